/** What a review is asked for, checked. */
import { type Level, levels } from '../detect/finding.ts'
import { type LocalTime, localTime } from '../detect/local-time.ts'
import type { Rule } from '../detect/rule.ts'
import { shippedRules } from '../detect/shipped.ts'
import { checkSuppressions, type Suppression } from '../detect/suppression.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import { type Duration, parseDuration } from '../model/duration.ts'
import { KmsError } from '../model/errors.ts'
import type { AnchorOptions } from '../trail/verify/anchors.ts'
import type { VerifyOptions } from '../trail/verify/verify.ts'

export interface ReviewOptions extends AnchorOptions, Pick<VerifyOptions, 'vkey'> {
  /** How far back from `to`, such as `'7d'`, which it is by default. Instead of `from`. */
  readonly since?: Duration
  /** From this moment on: RFC 3339 text, or a `Date`. */
  readonly from?: string | Date
  /** Before this moment; now by default. */
  readonly to?: string | Date
  /** Whose hours and days are meant: an IANA name, `UTC` by default. */
  readonly timeZone?: string
  /** What is looked for; `shippedRules()` by default. */
  readonly rules?: readonly Rule[]
  /** Findings that need no eyes for now. They are shown, and marked. */
  readonly suppressions?: readonly Suppression[]
  /** From which level on a finding needs eyes; `medium` by default. */
  readonly least?: Level
  /** False leaves the verification out, which then needs eyes. */
  readonly verify?: boolean
  readonly clock?: Clock
  readonly onProgress?: (progress: ReviewProgress) => void
}

export interface ReviewProgress {
  readonly step: 'verifying' | 'reading'
  readonly instance: string
  readonly bytes: number
  readonly totalBytes: number
}

/** The same, with nothing left open. */
export interface ReviewPlan {
  /** ms since the epoch. */
  readonly from: number
  readonly to: number
  readonly now: number
  readonly timeZone: string
  readonly local: LocalTime
  readonly rules: readonly Rule[]
  readonly suppressions: readonly Suppression[]
  readonly least: Level
  /** Undefined when it is not to be verified. */
  readonly verify: VerifyOptions | undefined
  readonly clock: Clock
  readonly onProgress: (progress: ReviewProgress) => void
}

const dayMs = 86_400_000
const bounds = { min: 60_000, max: 36_525 * dayMs }

const names = [
  ...['since', 'from', 'to', 'timeZone', 'rules', 'suppressions', 'least', 'verify', 'clock', 'onProgress'],
  ...['vkey', 'pin', 'witness', 'copy'],
]

/** @throws KmsError `INVALID_INPUT` that says which option is wrong. */
export function planReview(options: ReviewOptions): ReviewPlan {
  if (typeof options !== 'object' || options === null) refuse('a review takes one object of options')
  const strange = Object.keys(options).find((name) => !names.includes(name))
  if (strange !== undefined) refuse(`a review has no option '${strange}': it has ${names.join(', ')}`)
  const { timeZone = 'UTC', rules = shippedRules(), suppressions = [], least = 'medium', clock = systemClock } = options
  const { verify = true, onProgress = () => {}, vkey, pin, witness, copy } = options
  if (!levels.includes(least)) refuse(`'least' must be one of ${levels.join(', ')}`)
  if (typeof verify !== 'boolean') refuse("'verify' must be true or false")
  const anchors = { vkey, pin, witness, copy }
  const given = Object.entries(anchors).filter(([, value]) => value !== undefined)
  const [unused] = given[0] ?? []
  if (!verify && unused !== undefined) refuse(`'${unused}' is of no use with 'verify: false'`)
  const now = clock.now()
  return {
    ...timeOf(options, now),
    ...{ now, timeZone, local: localTime(timeZone), rules, least, clock, onProgress },
    suppressions: checkSuppressions(suppressions, { now }),
    verify: verify ? Object.fromEntries(given) : undefined,
  }
}

function timeOf({ since, from, to }: ReviewOptions, now: number): { readonly from: number; readonly to: number } {
  if (since !== undefined && from !== undefined) refuse("give 'since' or 'from', not both")
  const end = to === undefined ? now : momentOf('to', to)
  const start = from === undefined ? end - parseDuration('since', since ?? '7d', bounds) : momentOf('from', from)
  if (start >= end) refuse("'from' must be before 'to'")
  if (end - start > bounds.max) refuse('a review takes at most a hundred years')
  return { from: start, to: end }
}

const spelling = /^(\d{4}-\d\d-\d\d)(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/

/** Only the spelling whose meaning does not hang on where the reader sits; a day begins in UTC. */
function momentOf(name: string, given: string | Date): number {
  const at = given instanceof Date ? given.getTime() : typeof given === 'string' ? spelled(given) : Number.NaN
  if (Number.isNaN(at)) refuse(`'${name}' must be a time such as 2026-01-31T12:00:00Z or 2026-01-31, or a Date`)
  return at
}

function spelled(text: string): number {
  const [, date = ''] = spelling.exec(text) ?? []
  const day = Date.parse(`${date}T00:00:00Z`)
  // A date that does not exist is taken for the next month's by some.
  const exists = !Number.isNaN(day) && new Date(day).toISOString().startsWith(date)
  return exists && date !== '' ? Date.parse(text) : Number.NaN
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
