/** `keytrail audit …`: reads and verifies a trail. Needs no key and no lock. */
import { hex } from '../crypto/bytes.ts'
import { systemClock } from '../model/clock.ts'
import { parseMoment } from '../model/moment.ts'
import { visible } from '../sinks/render.ts'
import type { InstanceVerdict, Verdict } from '../trail/verify/verdict.ts'
import { verifyTrail } from '../trail/verify/verify.ts'
import { type Command, type CommandLine, usageError } from './command.ts'
import { homeOf } from './home.ts'
import { toJson } from './json.ts'
import { print } from './output.ts'
import { openProgress } from './progress.ts'

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
    await print(
      line.flag('json') ? `${toJson(plainVerdict(verdict))}\n` : `${verdict.instances.map(describe).join('\n')}\n`,
    )
    return verdict.verdict === 'valid' ? 0 : 1
  },
}

export const auditCommands: readonly Command[] = [verify]

/** The operand, else the trail of `--dir`. */
export function trailOf(line: CommandLine): string {
  return line.operands[0] ?? homeOf(line).audit
}

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A moment, or an age counted back from now. */
export function momentOf(line: CommandLine, option: 'since' | 'until'): Date | undefined {
  const text = line.text(option)
  if (text === undefined) return undefined
  const [, count, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  if (count !== undefined) return new Date(systemClock.now() - Number(count) * (unitMs[unit] ?? 0))
  // Only forms whose meaning does not hang on where the reader sits; to the minute will do.
  const moment = parseMoment(text.replace(/(T\d\d:\d\d)(?=Z|[+-])/, '$1:00'))
  if (moment === undefined)
    throw usageError(`option '--${option}' takes a time such as 2026-01-31T12:00:00Z, 2026-01-31, or an age such as 2h`)
  return new Date(moment)
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

/** As JSON can be: sizes are numbers, roots hexadecimal. */
export function plainVerdict({ instances, ...worst }: Verdict): object {
  const plain = (verdict: InstanceVerdict) => ({ ...verdict, root: hex(verdict.root) })
  return { ...plain(worst), instances: instances.map(plain) }
}
