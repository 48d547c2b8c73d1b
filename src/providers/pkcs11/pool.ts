/**
 * Sessions of one token, each with a thread of its own that blocks in the module's calls. One operation a session at a time;
 * what finds none free waits, and is given up while it waits if its caller gives up. A session that is lost is opened again once,
 * and what failed by it is tried again.
 */
import type { Clock } from '../../model/clock.ts'
import type { KmsError } from '../../model/errors.ts'
import type { Signal } from '../../model/host.ts'
import { abortedError, closedError, failureError, isSessionLost, overloadedError } from './failure.ts'
import { connecting, goneError } from './login.ts'
import { enterModule } from './modules.ts'
import type { Connected, Job, Jobs, TokenChoice } from './protocol.ts'
import { startThread, type Thread } from './thread.ts'

export interface PoolOptions {
  readonly module: string
  readonly choice: TokenChoice
  readonly pin: () => string | Promise<string>
  readonly sessions: number
  readonly maxWaiting: number
  readonly closeMs: number
  readonly clock: Clock
  /** What was known of the token's objects holds no more. */
  readonly onReset: () => void
}

/** What was done, how long it took in the token (waiting not included), and how often it was tried. */
export interface Done<J extends Job> {
  readonly output: Jobs[J]['output']
  readonly durationMs: number
  readonly attempts: number
}

export interface JobOptions {
  readonly signal?: Signal | undefined
  /** Changes the token: a thread that ends meanwhile leaves open whether it was done. */
  readonly changes?: boolean
}

/** How the sessions stand. */
export interface SessionCounts {
  readonly open: number
  readonly busy: number
  /** Of the busy ones: in a call that its caller has given up, which the module does not let be broken off. */
  readonly abandoned: number
  /** Calls for which no session is free. */
  readonly waiting: number
  readonly most: number
}

export interface Pool {
  readonly token: Connected['token']
  run<J extends Job>(job: J, input: Jobs[J]['input'], options: JobOptions): Promise<Done<J>>
  counts(): SessionCounts
  close(): Promise<void>
}

interface Lane {
  readonly thread: Thread
  state: 'opening' | 'free' | 'busy'
  /** Has no session any more. */
  lost: boolean
  abandoned: boolean
}

interface Waiting {
  begin(lane: Lane): void
  refuse(error: KmsError): void
}

/** After a token has refused another session, it is not asked for one again so soon. */
const growthPauseMs = 5000

export async function openPool(options: PoolOptions): Promise<Pool> {
  const { module, choice, sessions, maxWaiting, closeMs, clock, onReset } = options
  const use = await enterModule(module)
  const lanes = new Set<Lane>()
  const waiting = new Set<Waiting>()
  let growthFrom = 0
  let closing = false
  let closed: Promise<void> | undefined
  let idle = () => {}
  const connect = connecting({
    module,
    choice,
    pin: options.pin,
    onInitialized: use.initialized,
  })

  function newLane(): Lane {
    const thread = startThread(() => {
      lanes.delete(lane)
      pump()
    })
    const lane: Lane = { thread, state: 'opening', lost: true, abandoned: false }
    lanes.add(lane)
    return lane
  }

  /** Gives free sessions to those who wait, and opens another while there are fewer than there may be. */
  function pump(): void {
    for (const one of waiting) {
      const lane = [...lanes].find(({ state }) => state === 'free')
      if (lane === undefined) break
      waiting.delete(one)
      one.begin(lane)
    }
    const opening = [...lanes].filter(({ state }) => state === 'opening').length
    const mayGrow = lanes.size === 0 || clock.monotonic() >= growthFrom
    if (!closing && lanes.size < sessions && waiting.size > opening && mayGrow) grow(newLane())
    if (closing && [...lanes].every(({ state }) => state === 'free')) idle()
    hold()
  }

  /** A call that was given up keeps the process alive only for those who wait for its session. */
  function hold(): void {
    for (const { thread, abandoned } of lanes) if (abandoned) thread.mayEnd(waiting.size === 0)
  }

  function grow(lane: Lane): void {
    connect(lane.thread, 'again').then(
      () => {
        lane.lost = false
        free(lane)
      },
      async (error: KmsError) => {
        growthFrom = clock.monotonic() + growthPauseMs
        await lane.thread.ask('end', { finalize: false })
        lanes.delete(lane)
        // As long as there is another session, it serves; without any, there is nothing to wait for.
        if (lanes.size === 0) {
          for (const one of waiting) one.refuse(error)
          waiting.clear()
        }
        pump()
      },
    )
  }

  function free(lane: Lane): void {
    lane.state = 'free'
    lane.abandoned = false
    pump()
  }

  async function perform<J extends Job>(
    lane: Lane,
    job: J,
    input: Jobs[J]['input'],
    changes: boolean,
  ): Promise<Done<J>> {
    let durationMs = 0
    for (let attempts = 1; ; attempts++) {
      if (lane.lost) await reconnect(lane)
      const reply = await lane.thread.ask(job, input)
      if (reply === 'gone') throw goneError(lane.thread, changes ? { unsettled: true } : {})
      durationMs += reply.ms
      // The thread answers a job with its own output.
      if ('output' in reply) return { output: reply.output as Jobs[J]['output'], durationMs, attempts }
      const error = failureError(reply.failure, { attempts, durationMs })
      lane.lost = isSessionLost(reply.failure)
      if (!lane.lost || attempts > 1) throw error
    }
  }

  async function reconnect(lane: Lane): Promise<void> {
    await connect(lane.thread, 'again')
    lane.lost = false
    onReset()
  }

  function run<J extends Job>(
    job: J,
    input: Jobs[J]['input'],
    { signal, changes = false }: JobOptions,
  ): Promise<Done<J>> {
    if (closing) return Promise.reject(closedError())
    if (signal?.aborted) return Promise.reject(abortedError())
    if (waiting.size >= maxWaiting) return Promise.reject(overloadedError(waiting.size))
    return new Promise((resolve, reject) => {
      let at: Lane | undefined
      const one: Waiting = {
        begin(lane) {
          at = lane
          lane.state = 'busy'
          const done = perform(lane, job, input, changes)
          done.then(resolve, reject)
          done.then(after, after)
        },
        refuse(error) {
          signal?.removeEventListener('abort', giveUp)
          reject(error)
        },
      }
      function after(): void {
        signal?.removeEventListener('abort', giveUp)
        if (at !== undefined && !at.thread.gone) free(at)
      }
      /** What waits is taken back; what is in the module cannot be, and settles when it does. */
      function giveUp(): void {
        if (at === undefined) {
          waiting.delete(one)
          hold()
          reject(abortedError())
          return
        }
        at.abandoned = true
        hold()
      }
      signal?.addEventListener('abort', giveUp, { once: true })
      waiting.add(one)
      pump()
    })
  }

  async function shut(): Promise<void> {
    closing = true
    for (const one of waiting) one.refuse(closedError())
    waiting.clear()
    await settled()
    await use.leave((last) => endAll(last))
  }

  /** All calls have come back, or it has taken too long. */
  function settled(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(closeMs, resolve)
      idle = () => {
        cancel()
        resolve()
      }
      pump()
    })
  }

  async function endAll(last: boolean): Promise<void> {
    const all = [...lanes].map(({ thread }) => thread)
    const [first, ...others] = all.filter(({ busy }) => !busy)
    await Promise.all(others.map((thread) => thread.ask('end', { finalize: false })))
    // A module must not be finalized under a call that is still in it: then it ends with the process.
    const finalize = last && all.every(({ busy }) => !busy)
    await first?.ask('end', { finalize })
  }

  const first = newLane()
  let token: Connected['token']
  try {
    token = (await connect(first.thread, 'first')).token
  } catch (error) {
    await use.leave((last) => endAll(last))
    throw error
  }
  first.lost = false
  first.state = 'free'

  return {
    token,
    run,
    counts() {
      const all = [...lanes]
      return {
        open: all.filter(({ state }) => state !== 'opening').length,
        busy: all.filter(({ state }) => state === 'busy').length,
        abandoned: all.filter(({ abandoned }) => abandoned).length,
        waiting: waiting.size,
        most: sessions,
      }
    },
    close() {
      closed ??= shut()
      return closed
    },
  }
}
