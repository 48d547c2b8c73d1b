/** `watchTrail`: shows a trail's entries to a detector, as they become safe. */
import type { Detector } from '../../../detect/detector.ts'
import type { Finding } from '../../../detect/finding.ts'
import { type Clock, systemClock } from '../../../model/clock.ts'
import { KmsError } from '../../../model/errors.ts'
import type { Signal } from '../../../model/host.ts'
import { prepareFilter } from '../../../trail/reading/filter.ts'
import { coveredSince, pause } from '../../../trail/reading/follow.ts'
import type { WatchState } from './watch-state.ts'

export interface WatchOptions {
  /** Told of what is found, in order; awaited. What it throws ends the watch. */
  readonly onFindings: (findings: readonly Finding[]) => unknown
  /** Where to go on, and where to keep how far it came; from the start, and nowhere, without it. The detector is made of its `detector`. */
  readonly state?: WatchState
  /** Asked before the state is kept: whether all that was found so far has arrived. Until it has, the state stays as it is. */
  readonly isDelivered?: () => boolean | Promise<boolean>
  /** Ends when it has come to the end of what is there. */
  readonly once?: true
  /** Ends it. */
  readonly signal?: Signal
  /** So often it looks for new entries, ms; 200 by default. */
  readonly everyMs?: number
  /** So often the state is kept at most, while nothing is found, ms; 5,000 by default. */
  readonly saveEveryMs?: number
  /** Told of lines that could not be read; the watch goes on behind them. Without it that ends the watch. */
  readonly onDamage?: (error: KmsError) => void
  readonly clock?: Clock
}

export interface Watched {
  readonly entries: number
  readonly findings: number
}

/** How far the time that the detector is told stays behind the clock: an entry that was stamped may not be covered yet. */
const behindMs = 10_000

/**
 * Follows the trail at `path`, one instance or the parent of many, never beyond the published checkpoint, and tells what the detector
 * finds. Resolves when `signal` or `once` ends it. It keeps the process alive.
 *
 * With a `state` a restart goes on where the state was kept: nothing is missed, and what was told since then is told again, with
 * the same ids.
 *
 * Errors: `ROLLED_BACK` when a trail that was watched is shorter than what was seen of it, or gone; as `followTrail` otherwise.
 *
 * @example
 * ```ts
 * const state = await openWatchState('/var/lib/keytrail/watch.json')
 * const detector = createDetector(shippedRules(), { ...(state.detector && { state: state.detector }) })
 * const isDelivered = () => alerts.pending + alerts.lost === 0
 * await watchTrail('/srv/kms/audit', detector, { state, onFindings: alerts.takeAll, isDelivered })
 * ```
 */
export async function watchTrail(path: string, detector: Detector, options: WatchOptions): Promise<Watched> {
  const { onFindings, state, isDelivered = () => true, once, signal, onDamage } = options
  const { everyMs = 200, saveEveryMs = 5000, clock = systemClock } = options
  if (typeof onFindings !== 'function')
    throw new KmsError('INVALID_INPUT', 'onFindings of watchTrail must be a function')
  const everything = prepareFilter({})
  const cursors = new Map([...(state?.cursors ?? [])].map(([name, cursor]) => [name, { ...cursor }]))
  const isOver = () => signal?.aborted === true
  let entries = 0
  let findings = 0
  /** What is not kept yet: findings must be, soon; entries by and by. */
  let unsaved: 'nothing' | 'entries' | 'findings' = 'nothing'
  let savedAt = Number.NEGATIVE_INFINITY

  while (!isOver()) {
    // Cut short, the cursors are ahead of what was shown: nothing is kept then.
    if (!(await pass())) break
    await tell(detector.advance(clock.now() - behindMs))
    const isLast = once === true || isOver()
    if (isDue(isLast)) await save()
    if (isLast) break
    await pause(everyMs, signal)
    if (isOver() && isDue(true)) await save()
  }
  return { entries, findings }

  async function pass(): Promise<boolean> {
    try {
      for await (const { entry } of coveredSince(path, everything, cursors)) {
        entries += 1
        if (unsaved === 'nothing') unsaved = 'entries'
        const found = detector.take(entry)
        if (found.length > 0) await tell(found)
        if (isOver()) return false
      }
    } catch (error) {
      if (!(error instanceof KmsError && error.code === 'INTERNAL') || onDamage === undefined) throw error
      onDamage(error)
    }
    return true
  }

  async function tell(found: readonly Finding[]): Promise<void> {
    if (found.length === 0) return
    unsaved = 'findings'
    findings += found.length
    await onFindings(found)
  }

  function isDue(isLast: boolean): boolean {
    if (unsaved === 'nothing') return false
    return isLast || unsaved === 'findings' || clock.monotonic() - savedAt >= saveEveryMs
  }

  async function save(): Promise<void> {
    if (state === undefined || !(await isDelivered())) return
    await state.save(detector.state(), cursors)
    unsaved = 'nothing'
    savedAt = clock.monotonic()
  }
}
