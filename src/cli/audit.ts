/** `keytrail audit …`: reads and verifies a trail. Needs no key and no lock. */
import { hex } from '../crypto/bytes.ts'
import { systemClock } from '../model/clock.ts'
import type { Outcome, Phase } from '../model/entry.ts'
import { lineOf } from '../model/line.ts'
import { renderEntry, renderTable, visible } from '../sinks/render.ts'
import type { TrailFilter } from '../trail/reading/filter.ts'
import { followTrail } from '../trail/reading/follow.ts'
import { readTrail, type TrailEntry } from '../trail/reading/read.ts'
import type { InstanceVerdict, Verdict } from '../trail/verify/verdict.ts'
import { verifyTrail } from '../trail/verify/verify.ts'
import { type Command, type CommandLine, type ExitCode, usageError } from './command.ts'
import { homeOf } from './home.ts'
import { toJson } from './json.ts'
import { look, print } from './output.ts'
import { openProgress } from './progress.ts'

const show: Command = {
  verb: 'audit show',
  operands: '[TRAIL]',
  summary: 'show the entries of a trail',
  details: `TRAIL is a trail's folder, the parent of many, or an archive's file; DIR/audit if left out.
All filters must match. With --json, one line an entry: {"instance","index","covered","entry"}.
With --follow it goes on until it is interrupted. Reading does not verify: audit verify does.`,
  examples: [
    'keytrail audit show --action kms.export --since 7d',
    'keytrail audit show --key orders --outcome failure --json | jq .entry',
  ],
  options: [
    'action',
    'key',
    'actor',
    'outcome',
    'status',
    'phase',
    'since',
    'until',
    'event',
    'operation',
    'limit',
    'follow',
    'dir',
  ],
  async run(line) {
    if (line.flag('follow')) return follow(line)
    const write = line.flag('json') ? printLines : printTable
    // So many at a time that columns can be aligned, and a trail of any length be shown.
    let page: TrailEntry[] = []
    try {
      for await (const entry of readTrail(trailOf(line), filterOf(line))) {
        page.push(entry)
        if (page.length < pageSize) continue
        const full = page
        page = []
        if (!(await write(full))) return 0
      }
    } finally {
      // Damage is told after the last entry: what could be read is shown first.
      if (page.length > 0) await write(page)
    }
    return 0
  },
}

const pageSize = 500

async function follow(line: CommandLine): Promise<ExitCode> {
  const write = line.flag('json') ? printLines : printEach
  for await (const entry of followTrail(trailOf(line), filterOf(line))) if (!(await write([entry]))) return 0
  return 0
}

const verify: Command = {
  verb: 'audit verify',
  operands: '[TRAIL]',
  summary: 'check every byte of a trail',
  details: `Recomputes the whole tree and checks every signature. TRAIL is a trail's folder, the parent of
many, an archive's file, or the folder of a tlog-tiles log. Give --vkey, as printed by init and
kept elsewhere: the key that lies beside the trail could have been replaced with it. Only an
anchor tells of entries missing at the end: --pin, --witness, --copy. One verdict: valid,
tampered (and where), rolled-back (an anchor covers more), forked (an anchor covers other
entries), unverifiable (a key or a cosignature is missing). Exits with 0 if it is valid, else 1.
With --json, one object: the worst verdict, and all in "instances"; sizes and indexes are
numbers, root is hexadecimal. --incremental does not look at what the pin covers.`,
  examples: [
    "keytrail audit verify --vkey 'keytrail/…+1f0e2d3c+AQ…' --pin /mnt/elsewhere/prod.pin",
    'keytrail audit verify /backup/audit',
    'keytrail audit verify old-entries.jsonl.gz',
  ],
  options: ['vkey', 'pin', 'witness', 'copy', 'incremental', 'dir'],
  async run(line) {
    const [vkey, pin, witness, copy] = [line.list('vkey'), line.list('pin'), line.list('witness'), line.list('copy')]
    if (line.flag('incremental') && pin.length === 0)
      throw usageError("option '--incremental' needs a --pin to go on from")
    const progress = openProgress()
    const verdict = await verifyTrail(trailOf(line), {
      ...(vkey.length > 0 && { vkey }),
      ...(pin.length > 0 && { pin }),
      ...(witness.length > 0 && { witness }),
      ...(copy.length > 0 && { copy }),
      incremental: line.flag('incremental'),
      onProgress: ({ instance, bytes, totalBytes }) => progress.at(visible(instance), bytes, totalBytes),
    }).finally(progress.end)
    await print(line.flag('json') ? `${verdictJson(verdict)}\n` : `${verdict.instances.map(describe).join('\n')}\n`)
    return verdict.verdict === 'valid' ? 0 : 1
  },
}

export const auditCommands: readonly Command[] = [show, verify]

/** The operand, else the trail of `--dir`. */
export function trailOf(line: CommandLine): string {
  return line.operands[0] ?? homeOf(line).audit
}

function printTable(page: readonly TrailEntry[]): Promise<boolean> {
  return print(
    `${renderTable(
      page.map(({ entry }) => entry),
      look(),
    )}\n`,
  )
}

function printEach(page: readonly TrailEntry[]): Promise<boolean> {
  return print(page.map(({ entry }) => `${renderEntry(entry, look())}\n`).join(''))
}

function printLines(page: readonly TrailEntry[]): Promise<boolean> {
  const lines = page.map(({ instance, index, covered, entry }) => {
    // The entry as it stands in the trail: `lineOf` gives its exact bytes.
    return `{"instance":${toJson(instance)},"index":${index},"covered":${covered},"entry":${lineOf(entry)}}\n`
  })
  return print(lines.join(''))
}

function filterOf(line: CommandLine): TrailFilter {
  const given = {
    action: line.list('action').length === 0 ? undefined : line.list('action'),
    key: line.text('key'),
    actor: line.text('actor'),
    outcome: oneOf(line, 'outcome', outcomes),
    statusCode: line.count('status'),
    phase: oneOf(line, 'phase', phases),
    from: momentOf(line, 'since'),
    to: momentOf(line, 'until'),
    eventID: line.text('event'),
    operationID: line.text('operation'),
    limit: line.count('limit'),
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

const outcomes: readonly Outcome[] = ['success', 'failure', 'pending', 'unknown']
const phases: readonly Phase[] = ['intent', 'result', 'amendment']

function oneOf<T extends string>(line: CommandLine, option: 'outcome' | 'phase', known: readonly T[]): T | undefined {
  const text = line.text(option)
  const found = known.find((name) => name === text)
  if (text !== undefined && found === undefined)
    throw usageError(`option '--${option}' takes one of ${known.join(', ')}`)
  return found
}

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A moment, or an age counted back from now. */
export function momentOf(line: CommandLine, option: 'since' | 'until'): Date | undefined {
  const text = line.text(option)
  if (text === undefined) return undefined
  const [, count, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  if (count !== undefined) return new Date(systemClock.now() - Number(count) * (unitMs[unit] ?? 0))
  const moment = new Date(text)
  // Only the one form whose meaning does not hang on where the reader sits.
  const isDate = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/.test(text)
  if (!isDate || Number.isNaN(moment.getTime()))
    throw usageError(`option '--${option}' takes a time such as 2026-01-31T12:00:00Z, 2026-01-31, or an age such as 2h`)
  return moment
}

/** What a verdict says, on a line or a few. */
export function describe(verdict: InstanceVerdict): string {
  const { instance, verdict: kind, size, root, origin, note } = verdict
  const told = [visible(note), ...anchorsOf(verdict), ...restOf(verdict)].map((words) => `\n  ${words}`).join('')
  if (kind === 'valid')
    return `valid: ${instance}, ${size} entries of ${visible(origin)}, root ${hex(root).slice(0, 16)}…${told}`
  return `${kind}: ${visible(instance)}, ${visible(verdict.problem ?? 'no reason given')}${placeOf(verdict)}${told}`
}

function anchorsOf({ anchors }: InstanceVerdict): readonly string[] {
  return anchors.map(({ kind, size, at, file, witness, agrees }) => {
    const words = [kind, witness ?? file, `of ${size} entries`, at && `at ${at}`, agrees ? 'agrees' : 'does not agree']
    return visible(words.filter((word) => word !== undefined).join(' '))
  })
}

function restOf({ prunedBelow, read, unsignedTail }: InstanceVerdict): readonly string[] {
  const words: string[] = []
  if (prunedBelow !== undefined) words.push(`entries below ${prunedBelow} were pruned`)
  if (read !== undefined) words.push(`read from entry ${read.from} on, ${read.bytes} bytes`)
  if (unsignedTail !== undefined)
    words.push(`${unsignedTail.bytes} bytes after the last signature in ${unsignedTail.segment}`)
  return words
}

/** Where it is that something is wrong, as far as that can be told. */
export function placeOf({ segment, line, index, lastIndex }: InstanceVerdict): string {
  const entries =
    index === undefined
      ? []
      : [lastIndex === undefined || lastIndex === index ? `entry ${index}` : `entries ${index} to ${lastIndex}`]
  const lines = line === undefined ? [] : [`line ${line}`]
  const places = [...entries, ...(segment === undefined ? [] : [segment]), ...lines]
  return places.length === 0 ? '' : ` (${places.join(', ')})`
}

function verdictJson({ instances, ...worst }: Verdict): string {
  const plain = (verdict: InstanceVerdict) => ({ ...verdict, root: hex(verdict.root) })
  return toJson({ ...plain(worst), instances: instances.map(plain) })
}
