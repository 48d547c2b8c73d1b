/** Why somebody has to look, and what is good to know besides: the sentences of a review. No full stops; text of entries escaped. */
import { isAtLeast, levels } from '../detect/finding.ts'
import { counted, lengthOf, listed, word } from '../detect/words.ts'
import type { InstanceVerdict } from '../trail/verify/verdict.ts'
import type { Review } from './review.ts'

/** What the sentences are about. */
export type Reviewed = Omit<Review, 'needsEyes' | 'notes'>

/** Keys by slug or identity, of all that there are. */
export interface RotationFaults {
  readonly overdue: readonly string[]
  readonly failedToRotate: readonly string[]
}

/**
 * Eyes are needed by a verdict that is not `valid`, or none; by what is missing, lost or unreadable; by findings from the
 * level asked for on that are not suppressed; by every export, one that was refused too; by a rotation that is overdue, or
 * failed and was not made good; by a change of which nobody knows whether it was made.
 */
export function eyesOf(review: Reviewed, { overdue, failedToRotate }: RotationFaults): readonly string[] {
  const { verdict, damagedLines, log } = review
  const dropped = log.sinks.filter((sink) => sink.dropped > 0)
  return [
    ...(verdict === undefined ? ['the trail was not verified: nobody can say that it is as it was written'] : []),
    ...(verdict?.instances ?? []).filter((one) => one.verdict !== 'valid').map(broken),
    ...some(damagedLines, `${counted(damagedLines, 'line')} of the trail could not be read`),
    ...some(
      log.missing,
      `${counted(log.missing, 'running number is', 'running numbers are')} missing: entries that were made are not here`,
    ),
    ...alarms(review),
    ...exportsOf(review),
    ...some(overdue.length, `${counted(overdue.length, 'key')} should have rotated: ${listed(overdue)}`),
    ...some(
      failedToRotate.length,
      `the rotation of ${counted(failedToRotate.length, 'key')} failed: ${listed(failedToRotate)}`,
    ),
    ...dropped.map(({ sink, dropped }) => `the sink ${word(sink)} lost ${counted(dropped, 'entry', 'entries')}`),
    ...some(
      log.openIntents.length,
      `of ${counted(log.openIntents.length, 'change')} nobody knows whether it was made: an intent has no result`,
    ),
  ]
}

function broken({ instance, verdict, problem = 'no reason given' }: InstanceVerdict): string {
  return `the trail ${word(instance)} is ${verdict}: ${problem}`
}

function alarms({ findings, othersOfFindings, least }: Reviewed): readonly string[] {
  const open = findings.filter(({ level, suppressed }) => suppressed === undefined && isAtLeast(level, least))
  if (open.length === 0) return []
  const byLevel = levels.toReversed().flatMap((level) => {
    const count = open.filter((finding) => finding.level === level).length
    return count === 0 ? [] : [`${count.toLocaleString('en-US')} ${level}`]
  })
  const more = othersOfFindings > 0 ? ', and more than are listed' : ''
  return [`${counted(open.length, 'finding')}: ${byLevel.join(', ')}${more}`]
}

function exportsOf({ exports, othersOfExports }: Reviewed): readonly string[] {
  const left = exports.filter(({ outcome }) => outcome === 'success')
  const refused = exports.filter(({ outcome }) => outcome === 'failure').length
  // Recovery found the intent, and nobody can tell how it ended.
  const unknown = exports.filter(({ outcome }) => outcome !== 'success' && outcome !== 'failure')
  const keysOf = (some: typeof exports) => listed([...new Set(some.map(({ key }) => key))])
  const more = othersOfExports > 0 ? ', and more than are listed' : ''
  return [
    ...some(left.length, `key material was exported, ${times(left.length)}: ${keysOf(left)}${more}`),
    ...some(
      unknown.length,
      `key material may have been exported, ${times(unknown.length)}: ${keysOf(unknown)}: nobody knows how it ended`,
    ),
    ...some(refused, `an export was refused, ${times(refused)}`),
  ]
}

function times(count: number): string {
  return count === 1 ? 'once' : counted(count, 'time')
}

function some(count: number, sentence: string): readonly string[] {
  return count > 0 ? [sentence] : []
}

/** What the notes tell besides what the review holds. */
export interface NoteFacts {
  /** Whether a key was given that the trail must be signed by. */
  readonly keyGiven: boolean
  /** Entries beyond what the verdict speaks of, and those dated after the time reviewed. */
  readonly beyond: number
  readonly after: number
  /** ms: when the first entry of all was written, undefined without any, and the time reviewed. */
  readonly begins: number | undefined
  readonly from: number
  readonly to: number
  /** What found no room, and is in no count. */
  readonly leftOut: readonly { readonly what: string; readonly count: number }[]
}

const quarterMs = 90 * 86_400_000

/** What the verdict does not prove, what is held back, and where counts are incomplete. */
export function notesOf(review: Reviewed, facts: NoteFacts): readonly string[] {
  const { findings, detector, least } = review
  const suppressed = findings.filter((finding) => finding.suppressed !== undefined && isAtLeast(finding.level, least))
  const evicted = Object.entries(detector.evicted)
  const failed = Object.entries(detector.failed)
  return [
    ...anchorNotes(review, facts),
    ...some(facts.beyond, `${counted(facts.beyond, 'entry is', 'entries are')} beyond what the verdict speaks of`),
    ...beginning(facts),
    ...some(
      facts.after,
      `${counted(facts.after, 'entry is', 'entries are')} dated after the time reviewed, and not counted`,
    ),
    ...some(suppressed.length, `${counted(suppressed.length, 'finding is', 'findings are')} suppressed`),
    ...failed.map(([rule, { entries, last }]) => {
      return `the rule ${word(rule)} failed at ${counted(entries, 'entry', 'entries')}: ${word(last)}`
    }),
    ...some(
      evicted.length,
      `the rules ${listed(evicted.map(([rule]) => rule))} met more than they can remember: they may have missed something`,
    ),
    ...facts.leftOut.flatMap(({ what, count }) => some(count, `${what}: ${count.toLocaleString('en-US')}`)),
  ]
}

/** Of each sort once, however many trails there are. */
function anchorNotes({ verdict }: Reviewed, { keyGiven }: NoteFacts): readonly string[] {
  const valid = (verdict?.instances ?? []).filter((one) => one.verdict === 'valid')
  if (valid.length === 0) return []
  const isUnanchored = valid.some(({ anchor }) => anchor === 'none')
  return [
    ...(keyGiven
      ? []
      : ['the key was supplied by the folder of the trail itself: give the one that was kept elsewhere']),
    ...(isUnanchored
      ? ['nothing kept elsewhere was held against it: entries that were taken from its end would not be missed']
      : []),
  ]
}

function beginning({ begins, from, to, after }: NoteFacts): readonly string[] {
  if (begins === undefined)
    return [after > 0 ? 'the trail begins after the time reviewed' : 'the trail holds no entry that could be read']
  if (begins > from)
    return ['the trail begins within the time reviewed: what is usual, and what keys are used, it cannot tell yet']
  if (to - begins >= quarterMs) return []
  return [
    `the trail goes back ${lengthOf(to - begins)}: of keys made before that it cannot tell whether they are unused`,
  ]
}
