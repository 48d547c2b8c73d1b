/** `keytrail audit prove` and what goes with it: receipts, consistency proofs, exports. Needs no key and no lock. */
import { fromUtf8, hex } from '../crypto/bytes.ts'
import { renderTable, visible } from '../sinks/render.ts'
import { nodeFileSystem } from '../storage/filesystem.ts'
import { readPin } from '../trail/anchors/pin.ts'
import {
  type CheckpointRef,
  checkConsistency,
  parseConsistency,
  proveConsistency,
} from '../trail/receipts/consistency.ts'
import { exportTiles } from '../trail/receipts/export.ts'
import { type CheckedProof, checkProof, proveEntry } from '../trail/receipts/prove.ts'
import { report } from './answer.ts'
import { type Command, type CommandLine, type ExitCode, usageError } from './command.ts'
import { homeOf } from './home.ts'
import { readInput } from './input.ts'
import { toJson } from './json.ts'
import { look, print, writeFile } from './output.ts'

const prove: Command = {
  verb: 'audit prove',
  operands: 'EVENT [TRAIL]',
  summary: 'make a receipt: one entry, proven without the others',
  details: `EVENT is an entry's eventID. TRAIL is a trail's folder or the parent of many; DIR/audit if left
out. The receipt is a tlog-proof file (c2sp.org/tlog-proof) with the entry in it; audit
check-proof checks it anywhere, with nothing but the trail's key. An entry that was pruned is
proven from its --archive.`,
  examples: [
    'keytrail audit prove 019c13a6-4c00-7000-8000-00000000000b -o export.tlog-proof',
    'keytrail audit prove 019c13a6-4c00-7000-8000-00000000000b /srv/audit --archive 2025.jsonl.gz',
  ],
  options: ['out', 'archive', 'vkey', 'dir'],
  async run(line) {
    const archive = line.text('archive')
    const given = { ...vkeyOf(line), ...(archive !== undefined && { archive }) }
    const made = await proveEntry(trailOf(line, 1), line.operands[0] ?? '', given)
    return writeProof(line, made)
  },
}

const checkReceipt: Command = {
  verb: 'audit check-proof',
  operands: '[FILE]',
  summary: 'check a receipt, offline, and show its entry',
  details: `FILE is what audit prove made; standard input if left out. Exits with 0 if the entry stood at
this place in what the key signed, and every --witness cosigned it; with 1 if not, and says why.`,
  examples: ["keytrail audit check-proof export.tlog-proof --vkey 'keytrail/…+1f0e2d3c+AQ…'"],
  options: ['vkey', 'witness'],
  async run(line) {
    const given = { ...requiredVkey(line), witness: line.list('witness') }
    const checked = await checkProof(await textOf(line.operands[0]), given)
    await print(line.flag('json') ? `${toJson(checked)}\n` : describeReceipt(checked))
    return checked.valid ? 0 : 1
  },
}

const consistency: Command = {
  verb: 'audit consistency',
  operands: 'FROM [TO] [TRAIL]',
  summary: 'prove that one checkpoint of a trail continues another',
  details: `FROM and TO are pin files, or sizes at which the trail signed a checkpoint; TO is "latest", the
published one, if left out. TRAIL is a trail's folder or the parent of many; DIR/audit if left
out. The proof is a few lines of text, with the new checkpoint in it; audit check-consistency
checks it.`,
  examples: [
    'keytrail audit consistency monday.pin -o monday-to-now.proof',
    'keytrail audit consistency 1000 2000 /srv/audit',
  ],
  options: ['out', 'vkey', 'dir'],
  async run(line) {
    const [from = '', to = 'latest'] = line.operands
    const refs = { from: await checkpointIn(from), ...(to !== 'latest' && { to: await checkpointIn(to) }) }
    return writeProof(line, await proveConsistency(trailOf(line, 2), { ...refs, ...vkeyOf(line) }))
  },
}

const checkContinued: Command = {
  verb: 'audit check-consistency',
  operands: 'OLD [PROOF]',
  summary: 'check, offline, that a checkpoint continues another',
  details: `OLD is a pin file. PROOF is what audit consistency made; standard input if left out. Exits with
0 if the checkpoint in PROOF continues OLD: nothing that OLD covers was changed or taken away;
with 1 if not.`,
  examples: ["keytrail audit check-consistency monday.pin monday-to-now.proof --vkey 'keytrail/…+1f0e2d3c+AQ…'"],
  options: ['vkey'],
  async run(line) {
    const [old = '', file] = line.operands
    const { note } = await readPin(nodeFileSystem, old)
    const parsed = parseConsistency(await textOf(file))
    const checked =
      parsed === undefined
        ? ({ valid: false, problem: 'this is no consistency proof' } as const)
        : await checkConsistency({ old: note, new: parsed.note, proof: parsed.proof, ...requiredVkey(line) })
    const text = checked.valid
      ? `valid: ${visible(checked.origin)} with ${checked.to} entries continues what it was with ${checked.from}`
      : `not valid: ${checked.problem}`
    await report(line, { output: checked, text })
    return checked.valid ? 0 : 1
  },
}

const exportLog: Command = {
  verb: 'audit export',
  operands: '[TRAIL] OUT',
  summary: 'write a trail as a log that other tools read',
  details: `TRAIL is one trail's folder, or its parent; DIR/audit if left out. OUT is a folder that does not
exist yet. The format tlog-tiles (c2sp.org/tlog-tiles) is a checkpoint, hash tiles and entry
bundles, as plain files that any web server can serve. What was pruned is in it as hashes only.`,
  examples: ['keytrail audit export ./log', 'keytrail audit export /srv/audit ./log --format tlog-tiles'],
  options: ['format', 'vkey', 'dir'],
  async run(line) {
    if ((line.text('format') ?? 'tlog-tiles') !== 'tlog-tiles') throw usageError("'--format' takes tlog-tiles")
    const out = line.operands.at(-1) ?? ''
    const trail = line.operands.length > 1 ? line.operands[0] : undefined
    const made = await exportTiles(trail ?? homeOf(line).audit, out, vkeyOf(line))
    const { origin, size, entriesFrom, root } = made
    const missing = entriesFrom === 0n ? '' : `\nof the entries below ${entriesFrom} there are hashes only`
    const text = `exported ${size} entries of ${visible(origin)}, root ${hex(root).slice(0, 16)}…, to ${visible(out)}${missing}`
    await report(line, { output: { ...made, root: hex(root), out }, text })
    return 0
  },
}

export const proveCommands: readonly Command[] = [prove, checkReceipt, consistency, checkContinued, exportLog]

function trailOf(line: CommandLine, operand: number): string {
  return line.operands[operand] ?? homeOf(line).audit
}

function vkeyOf(line: CommandLine): { readonly vkey?: readonly string[] } {
  const vkey = line.list('vkey')
  return vkey.length === 0 ? {} : { vkey }
}

function requiredVkey(line: CommandLine): { readonly vkey: readonly string[] } {
  const vkey = line.list('vkey')
  if (vkey.length === 0) throw usageError("'--vkey' is missing: the trail's key, kept elsewhere")
  return { vkey }
}

async function writeProof(line: CommandLine, made: { readonly text: string }): Promise<ExitCode> {
  const out = line.text('out')
  if (out !== undefined) await writeFile(out, { bytes: made.text, for: 'shared' })
  if (line.flag('json')) await print(`${toJson(out === undefined ? made : { ...made, text: undefined, out })}\n`)
  else if (out === undefined) await print(made.text)
  return 0
}

/** Far above any proof. */
const mostBytes = 8 * 1024 * 1024

/** What is no text is no proof either, and told so. */
async function textOf(path: string | undefined): Promise<string> {
  return fromUtf8(await readInput(path, mostBytes)) ?? ''
}

/** A size, or a pin's note. */
async function checkpointIn(operand: string): Promise<CheckpointRef> {
  if (/^(0|[1-9]\d{0,18})$/.test(operand)) return BigInt(operand)
  return (await readPin(nodeFileSystem, operand)).note
}

function describeReceipt(checked: CheckedProof): string {
  if (!checked.valid) return `not valid: ${visible(checked.problem)}\n`
  const { index, size, origin, vkey, witnesses, entry, line } = checked
  const seen = witnesses.map(({ vkey: by, time }) => `cosigned by ${visible(by)} at ${new Date(time).toISOString()}\n`)
  const head = `valid: entry ${index} of ${size} in ${visible(origin)}\nsigned by ${visible(vkey)}\n${seen.join('')}`
  // What a terminal might act upon stays escaped; the quotes are the line's own.
  const shown = visible(line).replace(/\\(["\\])/g, '$1')
  return `${head}${renderTable([entry], look())}\n${shown}\n`
}
