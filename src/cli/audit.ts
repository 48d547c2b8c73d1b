/** `keytrail audit …`: reads and verifies a trail. Needs no key and no lock. */
import { hex } from '../crypto/bytes.ts'
import { systemClock } from '../model/clock.ts'
import type { Outcome, Phase } from '../model/entry.ts'
import { lineOf } from '../model/line.ts'
import { renderTable, visible } from '../sinks/render.ts'
import type { TrailFilter } from '../trail/filter.ts'
import { readTrail, type TrailEntry } from '../trail/read.ts'
import { type InstanceVerdict, type Verdict, verifyTrail } from '../trail/verify.ts'
import { type Command, type CommandLine, usageError } from './command.ts'
import { homeOf } from './home.ts'
import { toJson } from './json.ts'
import { look, print } from './output.ts'

const show: Command = {
  verb: 'audit show',
  operands: '[TRAIL]',
  summary: 'show the entries of a trail',
  details: `TRAIL is a trail's folder or the parent of many; DIR/audit if left out. All filters must
match. With --json, one line an entry: {"instance","index","covered","entry"}. Reading does
not verify: audit verify does.`,
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
    'dir',
  ],
  async run(line) {
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

const verify: Command = {
  verb: 'audit verify',
  operands: '[TRAIL]',
  summary: 'check every byte of a trail',
  details: `Recomputes the whole tree and checks every signature. Exits with 0 if the trail is valid, with
1 if it was tampered with (and says where) or cannot be verified. Give --vkey, as printed by
init and kept elsewhere: the key that lies beside the trail could have been replaced with it.`,
  examples: ["keytrail audit verify --vkey 'keytrail/…+1f0e2d3c+AQ…'", 'keytrail audit verify /backup/audit'],
  options: ['vkey', 'dir'],
  async run(line) {
    const vkey = line.list('vkey')
    const verdict = await verifyTrail(trailOf(line), vkey.length === 0 ? {} : { vkey })
    await print(line.flag('json') ? `${verdictJson(verdict)}\n` : `${verdict.instances.map(describe).join('\n')}\n`)
    return verdict.verdict === 'valid' ? 0 : 1
  },
}

export const auditCommands: readonly Command[] = [show, verify]

function trailOf(line: CommandLine): string {
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
function momentOf(line: CommandLine, option: 'since' | 'until'): Date | undefined {
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

/** What a verdict says, on one line or two. */
export function describe(verdict: InstanceVerdict): string {
  const { instance, verdict: kind, size, root, origin, note, unsignedTail } = verdict
  const tail =
    unsignedTail === undefined
      ? ''
      : `\n  ${unsignedTail.bytes} bytes after the last signature in ${unsignedTail.segment}`
  if (kind === 'valid')
    return `valid: ${instance}, ${size} entries of ${visible(origin)}, root ${hex(root).slice(0, 16)}…\n  ${visible(note)}${tail}`
  return `${kind}: ${instance}, ${visible(verdict.problem ?? 'no reason given')}${placeOf(verdict)}\n  ${visible(note)}`
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
