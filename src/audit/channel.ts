/**
 * One sink's queue: entries in order, one write in flight, and what waits is the next batch. A refused or late batch
 * stays at the head and is sent again first.
 */
import type { Clock } from '../model/clock.ts'
import type { AuditEntry } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import { host } from '../model/host.ts'
import { lineOf } from '../model/line.ts'
import { isPromise } from '../model/promise.ts'
import type { AuditSink, Receipt } from '../model/sink.ts'
import type { Deadlines } from './deadlines.ts'

export interface ChannelOptions {
  readonly clock: Clock
  readonly deadlines: Deadlines
  /** How long a write may take before those who wait for it are refused, ms. */
  readonly sinkDeadlineMs: number
  readonly onDown: (channel: Channel) => void
  readonly onUp: (channel: Channel) => void
  /** For a best-effort sink: what may wait. A required sink's queue is bounded by the calls in flight. */
  readonly room?: { readonly entries: number; readonly bytes: number }
  /** An entry found no room. */
  readonly onLoss?: (channel: Channel) => void
}

export interface Channel {
  readonly sink: AuditSink
  /**
   * Queues `entry` and tells what became of it: at once, without a promise, if the sink answers at once, and not later
   * than `expiresAt` (monotonic clock). Never throws or rejects; a refused entry stays queued all the same.
   */
  accept(entry: AuditEntry, expiresAt: number): Acceptance | Promise<Acceptance>
  /** Queues `entry`; nobody waits for it. */
  offer(entry: AuditEntry): void
  /** While held, entries queue up; the release sends them in one write. */
  hold(): void
  release(): void
  /** Why the sink is down: its last write was refused or is late. Undefined again once its whole backlog is accepted. */
  readonly problem: KmsError | undefined
  /** Entries not yet accepted. */
  readonly queued: number
  /** The last entry accepted. */
  readonly lastAccepted: AuditEntry | undefined
  /** Resolves when nothing waits any more. */
  drained(): Promise<void>
  /** Stops trying again. */
  stop(): void
}

/** Accepted, with the sink's receipt if it gives one; or the `AUDIT_REFUSED` that says why not. */
export type Acceptance = Receipt | undefined | KmsError

interface Waiting {
  readonly entry: AuditEntry
  /** Of its line; 0 as long as nobody needs to know. */
  bytes: number
  /** When who waits for it is told that it came too late; monotonic clock. */
  readonly expiresAt: number
  /** Who waits for it; nobody, or nobody any more, if undefined. */
  resolve: ((acceptance: Acceptance) => void) | undefined
}

const maxBatch = 1000
/** No entry is larger. */
const maxEntryBytes = 16_384
/** So many do not wait for the rest of what is called together: the disk works while that is made. */
const eagerBatch = 64
const firstRetryMs = 100
const lastRetryMs = 5000

export function createChannel(sink: AuditSink, options: ChannelOptions): Channel {
  const { clock, deadlines, sinkDeadlineMs, room } = options
  let queue: Waiting[] = []
  /** So many of the queue's head were measured, and this is what they come to. */
  let measured = 0
  let measuredBytes = 0
  /** How many of the queue's head are being written. */
  let inFlight = 0
  let problem: KmsError | undefined
  let lastAccepted: AuditEntry | undefined
  let holds = 0
  /** A write is about to start, in a microtask. */
  let scheduled = false
  /** A write was refused, and the next waits until it is time to try again. */
  let retrying = false
  let retryMs = firstRetryMs
  let cancelRetry = () => {}
  /** When the sweep for expired entries runs. */
  let sweepAt = Number.POSITIVE_INFINITY
  let cancelSweep = () => {}
  // Writes to a sink that answers with promises start in a microtask, so that what is called together is written together.
  let asynchronous = false
  let direct = false
  let stopped = false
  const drainers: (() => void)[] = []

  const channel: Channel = {
    sink,
    accept,
    offer(entry) {
      push(entry)
    },
    hold() {
      holds += 1
    },
    release() {
      holds -= 1
      if (asynchronous) schedule()
      else send()
    },
    get problem() {
      return problem
    },
    get queued() {
      return queue.length
    },
    get lastAccepted() {
      return lastAccepted
    },
    drained() {
      if (queue.length === 0) return Promise.resolve()
      return new Promise((resolve) => drainers.push(resolve))
    },
    stop() {
      stopped = true
      cancelRetry()
    },
  }
  return channel

  function accept(entry: AuditEntry, expiresAt: number): Acceptance | Promise<Acceptance> {
    if (queue.length === 0 && holds === 0 && !asynchronous && !direct) return acceptAtOnce(entry, expiresAt)
    if (problem !== undefined) {
      push(entry)
      return problem
    }
    return new Promise((resolve) => push(entry, expiresAt, resolve))
  }

  /** The path without a promise: nothing waits, and the sink has answered at once so far. */
  function acceptAtOnce(entry: AuditEntry, expiresAt: number): Acceptance | Promise<Acceptance> {
    let written: void | Receipt | Promise<void | Receipt>
    direct = true
    try {
      written = sink.write([entry])
    } catch (error) {
      direct = false
      queue.unshift({ entry, bytes: 0, expiresAt, resolve: undefined })
      return refused(error)
    }
    direct = false
    if (!isPromise(written)) {
      lastAccepted = entry
      // Calls made by the sink while it wrote.
      if (queue.length > 0) schedule()
      return written ?? undefined
    }
    asynchronous = true
    return new Promise((resolve) => {
      queue.unshift({ entry, bytes: 0, expiresAt, resolve })
      watchExpiry(expiresAt)
      inFlight = 1
      watch(written)
    })
  }

  function push(entry: AuditEntry, expiresAt = Number.POSITIVE_INFINITY, resolve?: Waiting['resolve']): void {
    const waiting = { entry, bytes: 0, expiresAt, resolve }
    queue.push(waiting)
    if (room !== undefined && isOverfull(room)) {
      queue.pop()
      forget(waiting)
      options.onLoss?.(channel)
      return
    }
    watchExpiry(expiresAt)
    if (inFlight > 0 || direct) return
    if (!asynchronous || queue.length === eagerBatch) send()
    else schedule()
  }

  /** An entry is measured by making its line, which callers would pay for: few fit however large they are. */
  function isOverfull({ entries, bytes }: { readonly entries: number; readonly bytes: number }): boolean {
    if (queue.length * maxEntryBytes > bytes)
      for (; measured < queue.length; measured++) {
        const waiting = elementAt(queue, measured)
        waiting.bytes = lineOf(waiting.entry).length
        measuredBytes += waiting.bytes
      }
    return queue.length > entries || measuredBytes > bytes
  }

  function forget({ bytes }: Waiting): void {
    if (bytes > 0) measured--
    measuredBytes -= bytes
  }

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    host.queueMicrotask(() => {
      scheduled = false
      send()
    })
  }

  /** Starts the next write, if one may start. */
  function send(): void {
    if (inFlight > 0 || direct || retrying || queue.length === 0 || holds > 0 || stopped) return
    inFlight = Math.min(queue.length, maxBatch)
    const batch = new Array<AuditEntry>(inFlight)
    for (let at = 0; at < inFlight; at++) batch[at] = elementAt(queue, at).entry
    let written: void | Receipt | Promise<void | Receipt>
    try {
      written = sink.write(batch)
    } catch (error) {
      refused(error)
      return
    }
    if (isPromise(written)) {
      asynchronous = true
      watch(written)
    } else accepted(written ?? undefined)
  }

  function watch(written: Promise<void | Receipt>): void {
    const cancel = deadlines.after(sinkDeadlineMs, late)
    written.then(
      (receipt) => {
        cancel()
        accepted(receipt ?? undefined)
      },
      (error: unknown) => {
        cancel()
        refused(error)
      },
    )
  }

  function accepted(receipt: Receipt | undefined): void {
    const settled = queue
    const count = inFlight
    queue = count === settled.length ? [] : settled.slice(count)
    inFlight = 0
    lastAccepted = settled[count - 1]?.entry
    retryMs = firstRetryMs
    for (let at = 0; at < count; at++) {
      const waiting = elementAt(settled, at)
      forget(waiting)
      waiting.resolve?.(receipt)
    }
    if (queue.length > 0) {
      schedule()
      return
    }
    if (problem !== undefined) {
      problem = undefined
      options.onUp(channel)
    }
    // Coming up again is an entry, too.
    if (queue.length > 0) return
    for (const resolve of drainers.splice(0)) resolve()
  }

  /** The batch stays at the head and is tried again by and by. */
  function refused(error: unknown): KmsError {
    inFlight = 0
    retrying = true
    cancelRetry = clock.after(retryMs, () => {
      retrying = false
      send()
    })
    retryMs = Math.min(lastRetryMs, retryMs * 2)
    const reason = refusal('refused the entry', error)
    goDown(reason)
    return reason
  }

  /** The write goes on, and no other starts beside it. */
  function late(): void {
    goDown(refusal(`did not accept the entry within ${sinkDeadlineMs} ms`))
  }

  /** Calls mostly expire in the order in which they came: then one sweep is armed at a time, and rarely anew. */
  function watchExpiry(expiresAt: number): void {
    if (expiresAt >= sweepAt) return
    cancelSweep()
    sweepAt = expiresAt
    cancelSweep = deadlines.after(expiresAt - clock.monotonic(), sweep)
  }

  /** Tells those whose time is up; their entries stay queued. */
  function sweep(): void {
    sweepAt = Number.POSITIVE_INFINITY
    const now = clock.monotonic()
    let next = Number.POSITIVE_INFINITY
    for (const waiting of queue) {
      const { resolve, expiresAt } = waiting
      if (resolve === undefined) continue
      if (expiresAt > now) {
        next = Math.min(next, expiresAt)
        continue
      }
      waiting.resolve = undefined
      resolve(refusal("did not accept the entry within the call's deadline"))
    }
    watchExpiry(next)
  }

  function refusal(what: string, cause?: unknown): KmsError {
    return new KmsError('AUDIT_REFUSED', `the sink '${sink.name}' ${what}`, { cause })
  }

  /** Everyone who waits hears it now; their entries stay queued. */
  function goDown(reason: KmsError): void {
    const wasUp = problem === undefined
    problem = reason
    for (const waiting of queue) {
      const { resolve } = waiting
      waiting.resolve = undefined
      resolve?.(reason)
    }
    if (wasUp) options.onDown(channel)
  }
}

/** The element that is known to be there: `index` is below the length. */
function elementAt(queue: readonly Waiting[], index: number): Waiting {
  return queue[index] as Waiting
}
