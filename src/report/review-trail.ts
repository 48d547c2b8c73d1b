/** `reviewTrail`: verifies a trail, reads it once, and tells what somebody has to look at. */
import { createDetector } from '../detect/detector.ts'
import { momentReader } from '../detect/moment.ts'
import { nodeFileSystem, statusOf } from '../storage/filesystem.ts'
import { readRuns, type TrailEntry } from '../trail/reading/read.ts'
import type { Damage } from '../trail/reading/runs.ts'
import type { VerifyProgress } from '../trail/verify/instance.ts'
import type { Verdict } from '../trail/verify/verdict.ts'
import { collectActors } from './actors.ts'
import { collectExports } from './exports.ts'
import { eyesOf, notesOf, type Reviewed } from './eyes.ts'
import { type Fact, factReader, momentText } from './fact.ts'
import { collectFailures } from './failures.ts'
import { collectFindings } from './findings.ts'
import { collectHours } from './hours.ts'
import { collectIntents } from './intents.ts'
import { collectKeys } from './keys.ts'
import { collectLog } from './log.ts'
import { planReview, type ReviewOptions, type ReviewPlan } from './options.ts'
import type { Review } from './review.ts'
import { mostCounted, roomFor } from './rows.ts'
import { collectSequences } from './sequences.ts'
import { collectSilences } from './silences.ts'
import { collectTimeline } from './timeline.ts'
import { startVerifying } from './verifying.ts'

/**
 * Reviews the trail at `path`: one instance's directory, the parent of many, or an archive. It is verified against the
 * key and the anchors given, and meanwhile the whole of it is read once, since policies, last uses and what is usual come from
 * before the time reviewed. Counted is only what lies in that time. Memory is bounded, whatever the trail holds: what had no room is
 * counted and told. Never changes anything; a writer may be at work meanwhile.
 *
 * Errors: `INVALID_INPUT` (an option, no trail there), `PROVIDER_UNAVAILABLE` (a file cannot be read). A trail that was
 * tampered with, or is damaged, is reviewed as far as it can be read, and needs eyes.
 *
 * @example
 * ```ts
 * const { needsEyes, findings } = await reviewTrail('./audit', { since: '7d', vkey, pin: '/mnt/elsewhere/prod.pin' })
 * ```
 */
export async function reviewTrail(path: string, options: ReviewOptions = {}): Promise<Review> {
  const plan = planReview(options)
  const progress = progressOf(plan)
  const verifying =
    plan.verify && (await startVerifying({ path, options: plan.verify, onProgress: progress.verifying }))
  const collecting = collectAll(plan)
  // What could be read is reviewed: that lines are damaged is told by their number.
  const damage: Damage = { lines: 0 }
  try {
    for await (const run of readRuns(path, damage)) {
      verifying?.check()
      for (const read of run) collecting.take(read)
      progress.reading(run, verifying?.verdict)
    }
    return collecting.told({
      damagedLines: damage.lines,
      // What comes after an archive stands elsewhere.
      isWhole: statusOf(nodeFileSystem, path)?.kind !== 'file',
      verdict: await verifying?.ended(),
    })
  } finally {
    await verifying?.stop()
  }
}

interface Ending {
  readonly damagedLines: number
  readonly isWhole: boolean
  readonly verdict: Verdict | undefined
}

/** What was read of one trail: from the first index up to, not including, the second. */
interface Extent {
  readonly from: bigint
  next: bigint
}

interface Collecting {
  take(read: TrailEntry): void
  told(ending: Ending): Review
}

const hourMs = 3_600_000
/** Values that all sets of a review hold together: some 100 MB at the very most. */
const mostValues = 1_000_000

function collectAll(plan: ReviewPlan): Collecting {
  const { from, to, now, timeZone, local, least, clock } = plan
  const detector = createDetector(plan.rules, { clock, timeZone })
  const moment = momentReader()
  const factOf = factReader()
  const room = roomFor(mostValues)
  const extents = new Map<string, Extent>()
  const sequences = collectSequences()
  const intents = collectIntents()
  const findings = collectFindings({ from, to, suppressions: plan.suppressions, now })
  const exports = collectExports()
  const keys = collectKeys(room)
  const actors = collectActors(room)
  const failures = collectFailures(room)
  const silences = collectSilences(from)
  const log = collectLog()
  const timeline = collectTimeline({ from, to })
  const hours = collectHours(local)
  const collectors: readonly { take(fact: Fact): void }[] = [
    ...[exports, keys, actors, failures, silences, log, timeline, hours],
  ]
  const counts = { entries: 0, read: 0, undated: 0, after: 0 }
  let begins: number | undefined

  function take(read: TrailEntry): void {
    const { entry, instance, index } = read
    reach(instance, index)
    const at = moment(entry.createdAt)
    const within = at !== undefined && at >= from && at < to
    const fact = factOf(read, { at: at ?? Number.NaN, within })
    if (!sequences.take(fact)) return
    counts.read += 1
    findings.take(detector.take(entry))
    if (at === undefined) {
      counts.undated += 1
      return
    }
    const intent = intents.take(fact)
    if (at >= to) {
      counts.after += 1
      return
    }
    if (begins === undefined || at < begins) begins = at
    if (within) counts.entries += 1
    const known = intent === undefined ? fact : { ...fact, intent }
    for (const collector of collectors) collector.take(known)
  }

  function reach(instance: string, index: bigint): void {
    const extent = extents.get(instance)
    if (extent === undefined) extents.set(instance, { from: index, next: index + 1n })
    else extent.next = index + 1n
  }

  /** How many places were read that the verdict says nothing of. */
  function beyond(verdict: Verdict | undefined): number {
    if (verdict === undefined) return 0
    const verified = new Map(verdict.instances.map(({ instance, size }) => [instance, size]))
    return [...extents].reduce((sum, [instance, { from, next }]) => {
      const size = verified.get(instance) ?? 0n
      return sum + Math.max(0, Number(next - (size > from ? size : from)))
    }, 0)
  }

  function told({ damagedLines, isWhole, verdict }: Ending): Review {
    const until = Math.min(to, now)
    findings.take(detector.advance(until))
    const found = findings.told()
    const exported = exports.told()
    const keyed = keys.told({ to: until, begins: begins ?? to })
    const acting = actors.told()
    const failed = failures.told()
    const silent = silences.told(isWhole ? until : undefined)
    const reviewed: Reviewed = {
      ...{ madeAt: momentText(now), from: momentText(from), to: momentText(to), timeZone, least },
      ...(verdict !== undefined && { verdict }),
      ...{ damagedLines: damagedLines + counts.undated, entries: counts.entries, entriesRead: counts.read },
      instances: [...extents.keys()].sort(),
      ...{ findings: found.rows, othersOfFindings: found.others, detector: detector.health() },
      ...{ exports: exported.rows, othersOfExports: exported.others },
      ...{ keys: keyed.rows, othersOfKeys: keyed.others },
      ...{ actors: acting.rows, othersOfActors: acting.others },
      ...{ failures: failed.rows, othersOfFailures: failed.others },
      ...{ silences: silent.rows, othersOfSilences: silent.others },
      log: { ...log.told(), missing: sequences.missing, openIntents: intents.told(to - hourMs) },
      ...{ timeline: timeline.told(), hours: hours.told() },
    }
    const leftOut = [
      { what: `calls of actors beyond ${mostCounted.toLocaleString('en-US')}, in no row`, count: actors.leftOut },
      { what: `calls of keys beyond ${mostCounted.toLocaleString('en-US')}, in no row`, count: keyed.leftOut },
      { what: 'intents that were not followed, for their number', count: intents.leftOut },
      { what: 'networks, agents, keys and actors that were not counted, for their number', count: room.leftOut },
    ]
    const facts = {
      keyGiven: [plan.verify?.vkey ?? []].flat().length > 0,
      beyond: beyond(verdict),
      after: counts.after,
    }
    return {
      ...reviewed,
      needsEyes: eyesOf(reviewed, keyed),
      notes: notesOf(reviewed, { ...facts, begins, from, to, leftOut }),
    }
  }

  return { take, told }
}

interface Progress {
  verifying(progress: VerifyProgress): void
  reading(run: readonly TrailEntry[], verdict: Verdict | undefined): void
}

/** Of reading nothing until it is verified: one step at a time, and verifying tells how long the trail is. */
function progressOf({ onProgress }: ReviewPlan): Progress {
  const totals = new Map<string, number>()
  let read = 0
  return {
    verifying(progress) {
      totals.set(progress.instance, progress.totalBytes)
      onProgress({ step: 'verifying', ...progress })
    },
    reading(run, verdict) {
      read += run.length
      const instance = run.at(-1)?.instance
      if (verdict === undefined || instance === undefined) return
      const totalBytes = [...totals.values()].reduce((sum, bytes) => sum + bytes, 0)
      const entries = verdict.instances.reduce((sum, { size }) => sum + Number(size), 0)
      const bytes = entries === 0 ? 0 : Math.round(totalBytes * Math.min(1, read / entries))
      onProgress({ step: 'reading', instance, bytes, totalBytes })
    },
  }
}
