/** The live watch: a sink that shows entries to a detector as they are written, off the caller's path. */
import { type Clock, systemClock } from '../model/clock.ts'
import type { AuditEntry } from '../model/entry.ts'
import { describeForeign, KmsError } from '../model/errors.ts'
import { host } from '../model/host.ts'
import { isPromise } from '../model/promise.ts'
import type { AuditSink } from '../model/sink.ts'
import type { Detector } from './detector.ts'
import type { Finding } from './finding.ts'

export interface DetectorSinkOptions {
  /** Told of what is found, some at a time, in order; `createAlerts(…).take` is made for it. What it throws or rejects with is counted. */
  readonly onFindings: (findings: readonly Finding[]) => unknown
  /** `detector` by default. */
  readonly name?: string
  /** So often the detector is told what time it is while nothing happens, ms; 60,000 by default. */
  readonly tickMs?: number
  readonly clock?: Clock
}

export interface DetectorSinkHealth {
  /** Entries taken and not yet shown to the detector. */
  readonly waiting: number
  readonly findings: number
  /** How often `onFindings` failed, and the name of its last failure: what it was told of then may not have arrived. */
  readonly failures: number
  readonly lastFailure?: string
}

export interface DetectorSink extends AuditSink {
  health(): DetectorSinkHealth
}

/** Of the event loop, at a time. */
const sliceMs = 1
/** So many entries between two looks at the clock. */
const stride = 16
/**
 * How far the time that the detector is told stays behind the clock: an entry that was stamped may still be on its way here, and
 * must not find the detector ahead of it.
 */
const behindMs = 5000
const longestTickMs = 86_400_000

/**
 * Shows every entry to `detector`. Give it as a best-effort sink: then no call ever waits for it.
 *
 * - **Never in the caller's turn.** A write is worked off later, a millisecond at a time. Its promise resolves when all of it was
 *   shown: until then entries wait in the emitter's queue, and what that has no room for is counted there (`lost`, and an
 *   `audit.dropped` entry; the detector sees the gap in the running numbers).
 * - **Findings** are those of the detector: the same that `detector.take` gives over the trail afterwards, if nothing was lost.
 * - **Time passes** for it also when nothing happens, by a timer that keeps no process alive.
 * - `flush` and `close` wait for what was taken, and for what `onFindings` returned; `flush` also for what the emitter has queued
 *   behind it.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option.
 * @example
 * ```ts
 * const watch = detectorSink(createDetector(shippedRules()), { onFindings: alerts.take })
 * const kms = new KmsClient({ provider, audit: { required: [trail], bestEffort: [watch] } })
 * ```
 */
export function detectorSink(detector: Detector, options: DetectorSinkOptions): DetectorSink {
  const { onFindings, name = 'detector', tickMs = 60_000, clock = systemClock } = options ?? {}
  check({ detector, onFindings, tickMs })
  const waiting: { readonly entries: readonly AuditEntry[]; at: number; readonly resolve: () => void }[] = []
  let left = 0
  let working = false
  let findings = 0
  let failures = 0
  let lastFailure: string | undefined
  /** Answers of `onFindings` that are still awaited. */
  let underWay = 0
  let waiters: (() => void)[] = []
  let closed = false
  let cancelTick = clock.after(tickMs, tick)

  return {
    name,
    durability: 'memory',
    write(entries) {
      if (closed) throw new KmsError('CLOSED', `sink ${name} is closed`)
      return new Promise<void>((resolve) => {
        waiting.push({ entries: entries.slice(), at: 0, resolve })
        left += entries.length
        schedule()
      })
    },
    flush,
    async close() {
      closed = true
      cancelTick()
      await settled()
    },
    health: () => ({
      ...{ waiting: left, findings, failures },
      ...(lastFailure !== undefined && { lastFailure }),
    }),
  }

  function schedule(): void {
    if (working) return
    working = true
    // Not the clock's timer: what was taken keeps its process alive until it was looked at.
    host.setTimeout(slice, 0)
  }

  function slice(): void {
    const end = host.performance.now() + sliceMs
    const found: Finding[] = []
    for (let batch = waiting[0]; batch !== undefined && host.performance.now() < end; batch = waiting[0]) {
      const next = Math.min(batch.at + stride, batch.entries.length)
      for (const entry of batch.entries.slice(batch.at, next)) found.push(...detector.take(entry))
      left -= next - batch.at
      batch.at = next
      if (next < batch.entries.length) continue
      waiting.shift()
      batch.resolve()
    }
    handOver(found)
    working = false
    if (waiting.length > 0) schedule()
    else tellIfIdle()
  }

  function tick(): void {
    // What waits tells the time itself.
    if (waiting.length === 0) handOver(detector.advance(clock.now() - behindMs))
    // Whoever was told may have closed it.
    if (!closed) cancelTick = clock.after(tickMs, tick)
  }

  function handOver(found: readonly Finding[]): void {
    if (found.length === 0) return
    findings += found.length
    try {
      const answer = onFindings(found)
      if (isPromise(answer)) void awaited(answer)
    } catch (error) {
      failed(error)
    }
  }

  async function awaited(answer: Promise<unknown>): Promise<void> {
    underWay += 1
    try {
      await answer
    } catch (error) {
      failed(error)
    }
    underWay -= 1
    tellIfIdle()
  }

  function failed(error: unknown): void {
    failures += 1
    lastFailure = describeForeign(error).message
  }

  function tellIfIdle(): void {
    if (waiting.length > 0 || underWay > 0) return
    const idle = waiters
    waiters = []
    for (const resolve of idle) resolve()
  }

  /** The emitter writes the rest of its queue in the same turn in which a write resolves. */
  async function flush(): Promise<void> {
    do {
      await settled()
      await new Promise<void>((resolve) => host.setTimeout(resolve, 0))
    } while (waiting.length > 0 || underWay > 0)
  }

  function settled(): Promise<void> {
    return new Promise((resolve) => {
      waiters.push(resolve)
      tellIfIdle()
    })
  }
}

function check({ detector, onFindings, tickMs }: { detector: unknown; onFindings: unknown; tickMs: number }): void {
  const take = typeof detector === 'object' && detector !== null && 'take' in detector ? detector.take : undefined
  if (typeof take !== 'function') refuse('detectorSink takes a detector, as createDetector makes one')
  if (typeof onFindings !== 'function') refuse('onFindings of detectorSink must be a function')
  // Timers take longer for no time at all.
  if (!(tickMs >= 1 && tickMs <= longestTickMs)) refuse('tickMs of detectorSink must be a number from 1 to 86400000')
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
