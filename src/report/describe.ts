/** A review as a page of plain words: the verdict first, then what needs eyes, then each section, also where there is nothing. */
import { isAtLeast } from '../detect/finding.ts'
import { counted, lengthOf, listed, word } from '../detect/words.ts'
import type { InstanceVerdict } from '../trail/verify/verdict.ts'
import { keyNames } from './keys.ts'
import { type Cell, columns, printable, wrapped } from './lines.ts'
import type { Review, ReviewedExport, ReviewedFinding, ReviewedKey, ReviewedRotation } from './review.ts'
import { byCount } from './rows.ts'

export interface DescribeOptions {
  /** Columns, 80 by default and at least 40. What cannot be broken, such as an id, may stand out. */
  readonly width?: number
}

const mostShown = 20
/** Each is for somebody to look at. */
const mostExports = 100
/** Of lists that are good to know, and that nobody has to go through. */
const mostGlanced = 10
const mostDecryptors = 5
const mostEvidence = 3
const leastWidth = 40

/**
 * The page, ending without a newline. Times are UTC. Of long lists the first rows are shown, and how many more there are: the
 * review itself has them all. Nothing of an entry reaches a terminal unescaped.
 *
 * @example
 * ```ts
 * console.log(describeReview(await reviewTrail('./audit', { since: '7d' })))
 * ```
 */
export function describeReview(review: Review, { width = 80 }: DescribeOptions = {}): string {
  const page = pageOf(Math.max(leastWidth, width))
  const sections: readonly (readonly string[])[] = [
    headOf(review, page),
    page.section('The trail', trailOf(review)),
    page.section('Findings', findingsOf(review), { others: review.othersOfFindings }),
    page.section('Exports', review.exports.map(exportOf), { others: review.othersOfExports, most: mostExports }),
    page.section('Rotations', rotationsOf(review)),
    page.table('Failures by cause', failuresOf(review), { others: review.othersOfFailures }),
    page.section('Who decrypts what', decryptorsOf(review), { most: mostGlanced }),
    page.section('Keys unused for 90 days', unusedOf(review)),
    page.section('Silences', silencesOf(review), { others: review.othersOfSilences }),
    page.section('The log itself', logOf(review)),
    page.table('Calls', callsOf(review)),
    page.table('Who calls most', actorsOf(review), { others: review.othersOfActors, most: mostGlanced }),
    ...(review.notes.length === 0 ? [] : [page.section('Good to know', review.notes.map(sentence))]),
  ]
  return sections.map((lines) => lines.join('\n')).join('\n\n')
}

/** What stands under one bullet: its first line, and lines that belong to it. */
interface Item {
  readonly says: string
  readonly more?: readonly string[]
}

interface Rest {
  /** How many more there are than were handed in. */
  readonly others?: number
  /** Of those handed in, how many are shown. */
  readonly most?: number
}

interface Page {
  readonly width: number
  section(heading: string, items: readonly Item[], rest?: Rest): readonly string[]
  /** The first row is the heading of the columns. */
  table(heading: string, rows: readonly (readonly Cell[])[], rest?: Rest): readonly string[]
}

function pageOf(width: number): Page {
  const rest = (shown: number, all: number, others: number) => {
    const more = all - shown + others
    return more > 0 ? [`  and ${more.toLocaleString('en-US')} more: see --json`] : []
  }
  return {
    width,
    section(heading, items, { others = 0, most = mostShown } = {}) {
      if (items.length === 0) return [`${heading}: nothing`]
      const shown = items.slice(0, most)
      const lines = shown.flatMap(({ says, more = [] }) => [
        ...wrapped(says, { width, lead: '  - ' }),
        ...more.flatMap((line) => wrapped(line, { width, lead: '    ' })),
      ])
      return [heading, ...lines, ...rest(shown.length, items.length, others)]
    },
    table(heading, rows, { others = 0, most = mostShown } = {}) {
      if (rows.length <= 1) return [`${heading}: nothing`]
      const shown = rows.slice(0, most + 1)
      return [heading, ...columns(shown, '  '), ...rest(shown.length, rows.length, others)]
    },
  }
}

function sentence(says: string): Item {
  return { says }
}

function headOf(
  { from, to, timeZone, entries, instances, needsEyes, verdict }: Review,
  { width }: Page,
): readonly string[] {
  const where = instances.length === 0 ? 'a trail without entries' : listed(instances)
  const zone = timeZone === 'UTC' ? '' : `; hours and days are those of ${word(timeZone)}`
  const about = `Review of ${where} from ${shortOf(from)} to ${shortOf(to)}: ${counted(entries, 'entry', 'entries')}${zone}`
  const found =
    needsEyes.length === 0 ? 'nothing needs eyes' : `${counted(needsEyes.length, 'thing needs', 'things need')} eyes`
  return [
    ...wrapped(`${standingOf(verdict)}: ${found}`, { width, lead: '' }),
    ...needsEyes.flatMap((says) => wrapped(says, { width, lead: '  ! ' })),
    '',
    ...wrapped(about, { width, lead: '' }),
  ]
}

/** What the verdict is, and what it rests on. */
function standingOf(verdict: Review['verdict']): string {
  if (verdict === undefined) return 'NOT VERIFIED'
  const kind = verdict.verdict.toUpperCase()
  return verdict.verdict === 'valid' ? `${kind} (${verdict.note})` : kind
}

function trailOf({ verdict, damagedLines }: Review): readonly Item[] {
  const told = verdict === undefined ? [sentence('not verified')] : verdict.instances.map(verdictOf)
  return [...told, ...(damagedLines === 0 ? [] : [sentence(`${counted(damagedLines, 'line')} could not be read`)])]
}

function verdictOf({
  instance,
  verdict,
  size,
  origin,
  problem,
  note,
  anchors,
  index,
  segment,
  line,
}: InstanceVerdict): Item {
  const place = [
    ...(index === undefined ? [] : [`entry ${index}`]),
    ...(segment === undefined ? [] : [segment]),
    ...(line === undefined ? [] : [`line ${line}`]),
  ]
  const what =
    verdict === 'valid' ? `${counted(Number(size), 'entry', 'entries')} of ${origin ?? 'no name'}` : (problem ?? '')
  return {
    says: `${verdict}: ${word(instance)}, ${what}${place.length === 0 ? '' : ` (${place.join(', ')})`}`,
    more: [
      note,
      ...anchors.map((anchor) => {
        const name = [anchor.kind, anchor.witness ?? anchor.file].filter((part) => part !== undefined).join(' ')
        const when = anchor.at === undefined ? '' : ` at ${anchor.at}`
        return `${name}, of ${counted(Number(anchor.size), 'entry', 'entries')}${when}: ${anchor.agrees ? 'agrees' : 'does not agree'}`
      }),
    ],
  }
}

function findingsOf({ findings, least }: Review): readonly Item[] {
  /** What to do is said once of each rule. */
  const said = new Set<string>()
  const toDoOf = ({ rule, whatToDo }: ReviewedFinding) => {
    if (said.has(rule)) return 'to do: as above'
    said.add(rule)
    return `to do: ${whatToDo}`
  }
  return findings.map((finding) => {
    const { level, at, rule, says, suppressed, evidence } = finding
    const held = suppressed === undefined ? [] : [`suppressed until ${shortOf(suppressed.until)}: ${suppressed.reason}`]
    const isOpen = suppressed === undefined && isAtLeast(level, least)
    return {
      says: `${level}, ${shortOf(at)}, ${rule}: ${says}`,
      more: [...held, ...(isOpen ? [toDoOf(finding)] : []), ...evidenceOf(evidence, finding)],
    }
  })
}

function evidenceOf(evidence: readonly string[], { count }: ReviewedFinding): readonly string[] {
  if (evidence.length === 0) return []
  const shown = evidence.slice(0, mostEvidence)
  const more = Math.max(count, evidence.length) - shown.length
  return [
    `${evidence.length === 1 ? 'entry' : 'entries'} ${shown.join(', ')}${more > 0 ? ` and ${more.toLocaleString('en-US')} more` : ''}`,
  ]
}

function exportOf({
  at,
  key,
  keyVersion,
  outcome,
  error,
  form,
  recipient,
  actor,
  clientIp,
  reason,
  ticket,
  eventID,
}: ReviewedExport): Item {
  const version = keyVersion === undefined ? '' : ` v${keyVersion}`
  const how = recipient === undefined ? (form ?? 'form unknown') : `${form ?? 'wrapped'} for ${recipient}`
  const ended = outcome === 'success' ? '' : `; ${outcome}${error === undefined ? '' : `: ${error}`}`
  const why =
    reason === undefined ? 'no reason' : `${word(reason)}${ticket === undefined ? '' : `, ticket ${word(ticket)}`}`
  const from = clientIp === undefined ? '' : ` from ${clientIp}`
  return {
    says: `${shortOf(at)}, ${word(key)}${version} by ${word(actor ?? 'unknown')}${from}, ${how}, ${why}${ended}`,
    more: [`entry ${eventID}`],
  }
}

function rotationsOf({ keys }: Review): readonly Item[] {
  const nameOf = namesOf(keys)
  const inState = (state: ReviewedRotation['state']) => keys.filter(({ rotation }) => rotation.state === state)
  const due = [...inState('overdue'), ...inState('late')]
  const done = keys.flatMap((key) => key.rotation.rotations.map((rotation) => ({ key, rotation })))
  done.sort((a, b) => Number(a.rotation.outcome === 'success') - Number(b.rotation.outcome === 'success'))
  const states = (['on time', 'off', 'unknown'] as const).flatMap((state) => {
    const count = inState(state).length
    return count === 0 ? [] : [`${counted(count, 'key')} ${wordsOf[state]}`]
  })
  return [
    ...due.map((key) => sentence(`${key.rotation.state}: ${nameOf(key)}${dueOf(key)}`)),
    ...(states.length === 0 ? [] : [sentence(states.join(', '))]),
    ...done.map(({ key, rotation: { at, action, outcome, eventID } }) => {
      return sentence(`${shortOf(at)}, ${nameOf(key)}: ${action}, ${outcome}, entry ${eventID}`)
    }),
  ]
}

const wordsOf = {
  'on time': 'on time',
  off: 'by hand only or not active',
  unknown: 'of which the trail does not tell enough',
} as const

function dueOf({ rotation: { dueAt, periodInDays, lastRotatedAt } }: ReviewedKey): string {
  const due = dueAt === undefined ? '' : `, due ${shortOf(dueAt)}`
  const every = periodInDays === undefined ? '' : `, every ${counted(periodInDays, 'day')}`
  const last = lastRotatedAt === undefined ? ', never rotated so far' : `, last rotated ${shortOf(lastRotatedAt)}`
  return `${due}${every}${last}`
}

function failuresOf({ failures }: Review): readonly (readonly Cell[])[] {
  const rows = failures.map((row): readonly Cell[] => {
    const { count, statusCode, error, decryptFailure, action, actors, keys } = row
    const cause = decryptFailure === undefined ? error : `${error} (${decryptFailure})`
    return [count, String(statusCode), action, actors, keys, cause]
  })
  return [['times', 'status', 'action', 'actors', 'keys', 'cause'], ...rows]
}

function decryptorsOf({ keys }: Review): readonly Item[] {
  const nameOf = namesOf(keys)
  const total = ({ uses }: ReviewedKey) => uses['kms.decrypt'] ?? 0
  const decrypted = keys.filter((key) => total(key) > 0).sort(byCount(total, ({ identity }) => identity))
  return decrypted.map((key) => {
    const shown = key.decryptedBy.slice(0, mostDecryptors)
    const who = shown.map(({ actor, count }) => `${word(actor)} ${count.toLocaleString('en-US')}`).join(', ')
    const more = key.decryptors - shown.length
    return sentence(`${nameOf(key)}: ${who}${more > 0 ? ` and ${counted(more, 'other')}` : ''}`)
  })
}

function unusedOf({ keys }: Review): readonly Item[] {
  const nameOf = namesOf(keys)
  return keys
    .filter(({ unused }) => unused === true)
    .map((key) => {
      const last = key.lastUsedAt === undefined ? 'no use is told' : `last used ${shortOf(key.lastUsedAt)}`
      return sentence(`${nameOf(key)}: ${last}${key.status === undefined ? '' : `, ${key.status}`}`)
    })
}

function silencesOf({ silences }: Review): readonly Item[] {
  return silences.map(({ instance, from, to }) => {
    const length = lengthOf(Date.parse(to) - Date.parse(from))
    return sentence(`${word(instance)}: ${length}, from ${shortOf(from)} to ${shortOf(to)}`)
  })
}

function logOf({ log }: Review): readonly Item[] {
  const told = (count: number, one: string, many: string) => (count === 0 ? [] : [sentence(counted(count, one, many))])
  return [
    ...log.sinks.map(({ sink, dropped, downs }) =>
      sentence(`sink ${word(sink)}: ${counted(dropped, 'entry', 'entries')} lost, down ${counted(downs, 'time')}`),
    ),
    ...told(log.refusedCalls, 'call was refused, as the log was down', 'calls were refused, as the log was down'),
    ...told(log.missing, 'running number is missing', 'running numbers are missing'),
    ...told(log.opened, 'start', 'starts'),
    ...told(log.recovered, 'repair after a crash', 'repairs after a crash'),
    ...told(log.quarantinedBytes, 'byte went to quarantine', 'bytes went to quarantine'),
    ...told(log.pruned, 'time old entries were dropped', 'times old entries were dropped'),
    ...told(log.restored, 'time an older state was accepted', 'times an older state was accepted'),
    ...told(log.clockSteps, 'time the clock was set back', 'times the clock was set back'),
    ...log.openIntents.map((eventID) => sentence(`an intent without a result: entry ${eventID}`)),
    ...(log.fieldPolicies.length < 2
      ? []
      : log.fieldPolicies.map(({ at, fields }) => sentence(`fields kept from ${shortOf(at)} on: ${fields}`))),
  ]
}

function callsOf({ timeline }: Review): readonly (readonly Cell[])[] {
  const calls = new Map<string, { succeeded: number; failed: number; unknown: number }>()
  for (const { action, outcome, counts } of timeline.series) {
    const row = calls.get(action) ?? { succeeded: 0, failed: 0, unknown: 0 }
    calls.set(action, row)
    const column = outcome === 'success' ? 'succeeded' : outcome === 'failure' ? 'failed' : 'unknown'
    row[column] += counts.reduce((sum, count) => sum + count, 0)
  }
  const rows = [...calls].sort(
    byCount(
      ([, row]) => row.succeeded + row.failed + row.unknown,
      ([action]) => action,
    ),
  )
  // Seldom: of changes whose end recovery could not tell.
  const isAnyUnknown = rows.some(([, { unknown }]) => unknown > 0)
  return [
    ['succeeded', 'failed', ...(isAnyUnknown ? ['unknown'] : []), 'action'],
    ...rows.map(([action, { succeeded, failed, unknown }]) => [
      ...[succeeded, failed, ...(isAnyUnknown ? [unknown] : []), action],
    ]),
  ]
}

function actorsOf({ actors }: Review): readonly (readonly Cell[])[] {
  const rows = actors.map(({ actor, uses, failures, keys, networks, userAgents }): readonly Cell[] => {
    const succeeded = Object.values(uses).reduce((sum, count) => sum + count, 0)
    return [succeeded, failures, keys, networks, userAgents, actor]
  })
  return [['succeeded', 'failed', 'keys', 'networks', 'agents', 'actor'], ...rows]
}

function namesOf(keys: readonly ReviewedKey[]): (key: ReviewedKey) => string {
  const nameOf = keyNames(keys)
  return (key) => word(nameOf(key))
}

/** To the second. */
function shortOf(moment: string): string {
  return `${printable(moment).slice(0, 19).replace('T', ' ')}Z`
}
