/** A sink that does as a test tells it: fails, hangs, or takes its time. */
import { type Clock, systemClock } from '../model/clock.ts'
import type { AuditEntry } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import type { AuditSink, Durability } from '../model/sink.ts'

/**
 * How a write goes: `working`, at once; `failing`, refused; `hanging`, not settled before the sink is told otherwise; or accepted
 * when `slowMs` have passed on the clock.
 */
export type SinkState = 'working' | 'failing' | 'hanging' | { readonly slowMs: number }

export interface FaultySinkOptions {
  /** `faulty` by default. */
  readonly name?: string
  /** `memory` by default, which it is; another one to be taken for a trail, say. */
  readonly durability?: Durability
  /** How it begins; `working` by default. */
  readonly state?: SinkState
  /** Which entries it is about: a write without any of them works. All by default. */
  readonly when?: (entry: AuditEntry) => boolean
  /** Of `slowMs`; the host's own by default. Give it the `fakeClock` of the audit. */
  readonly clock?: Clock
}

export interface FaultySink extends AuditSink {
  /** What was accepted, in order; an array of its own each time. */
  readonly entries: readonly AuditEntry[]
  /** Writes that were tried so far, accepted or not. */
  readonly attempts: number
  /** How writes go from now on. Those that hang are accepted when it works again, and refused when it fails. */
  become(state: SinkState): void
}

/**
 * A sink for tests of what a program does when audit is down. As a required sink it makes calls fail with `AUDIT_REFUSED`; as
 * best-effort sink it must not.
 *
 * @throws KmsError `INVALID_INPUT` for a state that is none.
 * @example
 * ```ts
 * const clock = fakeClock()
 * const sink = faultySink({ clock })
 * const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink], clock } })
 * sink.become('failing') // the next call is refused, and those after it before the provider is asked
 * sink.become('working')
 * clock.advance(5_000) // the audit has tried again
 * ```
 */
export function faultySink(options: FaultySinkOptions = {}): FaultySink {
  const {
    name = 'faulty',
    durability = 'memory',
    when = () => true,
    clock = systemClock,
    state: first = 'working',
  } = options
  let state = checked(first)
  let hanging: readonly Held[] = []
  let accepted: readonly AuditEntry[] = []
  let attempts = 0

  function accept(entries: readonly AuditEntry[]): void {
    accepted = [...accepted, ...entries]
  }

  function later(entries: readonly AuditEntry[], ms: number): Promise<void> {
    return new Promise((resolve) => {
      clock.after(ms, () => {
        accept(entries)
        resolve()
      })
    })
  }

  function held(entries: readonly AuditEntry[]): Promise<void> {
    return new Promise((resolve, reject) => {
      hanging = [
        ...hanging,
        {
          accept() {
            accept(entries)
            resolve()
          },
          refuse: () => reject(refused(name)),
        },
      ]
    })
  }

  return {
    name,
    durability,
    write(entries) {
      attempts += 1
      if (state === 'working' || !entries.some(when)) return accept(entries)
      if (state === 'failing') throw refused(name)
      // The sink must not keep the array that it was given.
      return state === 'hanging' ? held([...entries]) : later([...entries], state.slowMs)
    },
    get entries() {
      return [...accepted]
    },
    get attempts() {
      return attempts
    },
    become(next) {
      state = checked(next)
      if (state === 'hanging') return
      const writes = hanging
      hanging = []
      for (const write of writes) state === 'failing' ? write.refuse() : write.accept()
    },
  }
}

interface Held {
  readonly accept: () => void
  readonly refuse: () => void
}

function refused(name: string): KmsError {
  return new KmsError('AUDIT_REFUSED', `the sink '${name}' was told to refuse`)
}

function checked(state: SinkState): SinkState {
  if (state === 'working' || state === 'failing' || state === 'hanging') return state
  if (typeof state === 'object' && state !== null && Number.isFinite(state.slowMs) && state.slowMs >= 0) return state
  throw new KmsError('INVALID_INPUT', "a faulty sink is 'working', 'failing', 'hanging' or { slowMs }")
}
