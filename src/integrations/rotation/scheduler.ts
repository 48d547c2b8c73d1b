/** The scheduler: a run at start and each hour after, however the wall clock is set meanwhile. */
import type { KmsClient } from '../../client.ts'
import { type Duration, parseDuration } from '../../model/duration.ts'
import { KmsError } from '../../model/errors.ts'
import { isPromise } from '../../model/promise.ts'
import { carryOut, type NotDone, planOf, type RotationRun, type RotationRunOptions } from './run.ts'

export interface RotationSchedulerOptions extends RotationRunOptions {
  /** From the start of one turn to that of the next: `'1h'` by default, `'1s'` to `'1d'`; a number is milliseconds. */
  readonly every?: Duration
  /**
   * The first run comes at a random moment within this, so that many that start together do not stampede: `'10s'` by
   * default, at most `every`; 0 for at once.
   */
  readonly jitter?: Duration
  /** Told of each run, by hand or not: for logs and metrics. What it throws or rejects with is dropped. */
  readonly onRun?: (run: RotationRun) => unknown
}

export interface RotationScheduler {
  /**
   * A run now; joins one that is in flight. Never rejects but with `CLOSED`, once the scheduler has stopped. Does not move
   * the next turn.
   */
  run(): Promise<RotationRun>
  /** Begins nothing more, not even another key, and resolves when what is in flight has settled. Idempotent. */
  stop(): Promise<void>
  /** The newest run that has come to its end. */
  readonly last: RotationRun | undefined
  /** By `stop`, or because the client is closed. */
  readonly stopped: boolean
  [Symbol.asyncDispose](): Promise<void>
}

const dayMs = 86_400_000
/** After the first failure that may pass; then twice as long each time. */
const retryMs = 60_000

/**
 * Rotates keys when they fall due, each as `kms.rotate.scheduled` with when it was due and how late it is, and destroys
 * those whose pending window is over.
 *
 * - **Turns** come by the monotonic clock, due times are compared with the wall clock: setting it brings neither a storm nor a
 *   standstill. A machine that slept makes one run, and a key that missed ten periods rotates once.
 * - **Failures** have entries. What may pass (`retryable`: the audit or the provider is down, throttled, late) is tried again
 *   after one minute, two, four … and at the next turn; anything else at the next turn. One key never stops the others.
 *   While the audit refuses, nothing is rotated.
 * - **Any number of processes** may do it: each key is rotated once, and the others find themselves `overtaken`.
 * - **The process** is not kept alive by it. `stop()` before `kms.close()`; after `close` it stops by itself.
 *
 * Start it outside of requests: what an `AsyncLocalStorage` carries where it is started, it carries for good.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option.
 * @example
 * ```ts
 * const rotation = startRotationScheduler(kms, { every: '1h', onRun: ({ failed }) => gauge.set(failed.length) })
 * // …
 * await rotation.stop()
 * await kms.close()
 * ```
 */
export function startRotationScheduler(kms: KmsClient, options: RotationSchedulerOptions = {}): RotationScheduler {
  const plan = planOf(kms, options)
  const { everyMs, jitterMs, onRun } = checked(options)
  const { clock } = plan
  let cancel = () => {}
  let inFlight: Promise<RotationRun> | undefined
  let last: RotationRun | undefined
  let stopped = false

  wait(Math.random() * jitterMs, turn)
  return {
    async run() {
      if (stopped) throw new KmsError('CLOSED', 'the rotation scheduler is stopped')
      return joined([])
    },
    stop,
    get last() {
      return last
    },
    get stopped() {
      return stopped
    },
    [Symbol.asyncDispose]: stop,
  }

  async function turn(): Promise<void> {
    await attempt({ nextAt: clock.monotonic() + everyMs, count: 0, earlier: [] })
  }

  /** A run of this turn; while one fails for what may pass, another follows, up to the next turn. */
  async function attempt({ nextAt, count, earlier }: Attempt): Promise<void> {
    const run = await joined(earlier)
    if (stopped) return
    const left = nextAt - clock.monotonic()
    const pause = retryMs * 2 ** count
    const again: Attempt = { nextAt, count: count + 1, earlier: run.failed.filter(({ error }) => !error.retryable) }
    if (mayPass(run) && pause < left) wait(pause, () => (clock.monotonic() < nextAt ? attempt(again) : turn()))
    // One that took longer than a turn is not followed at once by what it missed.
    else wait(left > 0 ? left : everyMs, turn)
  }

  function wait(ms: number, then: () => Promise<void>): void {
    cancel = clock.after(Math.ceil(ms), () => {
      // Never rejects.
      if (!stopped) void then()
    })
  }

  function joined(earlier: readonly NotDone[]): Promise<RotationRun> {
    inFlight ??= one(earlier)
    return inFlight
  }

  async function one(earlier: readonly NotDone[]): Promise<RotationRun> {
    const run = await carryOut(plan, { halted: () => stopped, earlier })
    inFlight = undefined
    last = run
    if (run.error?.code === 'CLOSED') halt()
    tell(onRun, run)
    return run
  }

  function halt(): void {
    stopped = true
    cancel()
  }

  async function stop(): Promise<void> {
    halt()
    await inFlight
  }
}

interface Attempt {
  /** Monotonic clock. */
  readonly nextAt: number
  /** Attempts of this turn before it. */
  readonly count: number
  /** What failed in this turn for good. */
  readonly earlier: readonly NotDone[]
}

function mayPass({ error, failed }: RotationRun): boolean {
  return error?.retryable === true || failed.some((one) => one.error.retryable)
}

function tell(onRun: RotationSchedulerOptions['onRun'], run: RotationRun): void {
  try {
    const told = onRun?.(run)
    if (isPromise(told)) told.then(undefined, nothing)
  } catch {
    // Whoever listens must not stop what it listens to.
  }
}

function nothing(): void {}

interface Times {
  readonly everyMs: number
  readonly jitterMs: number
  readonly onRun: RotationSchedulerOptions['onRun']
}

function checked({ every = '1h', jitter, onRun }: RotationSchedulerOptions): Times {
  const everyMs = parseDuration('every', every, { min: 1000, max: dayMs })
  const jitterMs = parseDuration('jitter', jitter ?? Math.min(10_000, everyMs), { min: 0, max: everyMs })
  if (onRun !== undefined && typeof onRun !== 'function')
    throw new KmsError('INVALID_INPUT', "'onRun' must be a function")
  return { everyMs, jitterMs, onRun }
}
