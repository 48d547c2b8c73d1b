/** One witness: what it has cosigned, what it is asked next, and when. */
import type { Clock } from '../../model/clock.ts'
import { describeForeign } from '../../model/errors.ts'
import { host } from '../../model/host.ts'
import { parseCheckpoint } from '../checkpoint.ts'
import { formatNote, type Note, parseNote, type SignatureLine } from '../note.ts'
import type { Witness } from './witness-options.ts'
import { type Answer, addCheckpoint } from './witness-request.ts'

/** A signed checkpoint, taken apart. */
export interface Submission {
  readonly note: string
  readonly parsed: Note
  readonly origin: string
  readonly size: bigint
}

/** Undefined for anything but a signed checkpoint. */
export function parseSubmission(note: string): Submission | undefined {
  const parsed = parseNote(note)
  const checkpoint = parsed && parseCheckpoint(parsed.text)
  return parsed && checkpoint && { note, parsed, origin: checkpoint.origin, size: checkpoint.size }
}

/** The consistency proof between two sizes of the trail (RFC 6962 §2.1.2); `from` is above 0 and below `to`. */
export type Prove = (from: bigint, to: bigint) => Promise<readonly Uint8Array[]>

export interface TurnsOptions {
  readonly witness: Witness
  readonly prove: Prove
  readonly clock: Clock
  /** `line`: the witness's, and verified. */
  readonly onCosigned: (submission: Submission, line: SignatureLine) => Promise<void>
  /** A checkpoint that the witness may have cosigned earlier. */
  readonly known?: Submission
}

export interface Turns {
  submit(submission: Submission): void
  /** Resolves when the witness is not being asked. Never rejects. */
  idle(): Promise<void>
  health(): WitnessHealth
  close(): void
}

export interface WitnessHealth {
  readonly name: string
  readonly url: string
  /** The largest checkpoint that it is known to have cosigned. */
  readonly size?: bigint
  /** When, by its own clock: milliseconds since the epoch. */
  readonly at?: number
  /** What went wrong last, to be read after the name; absent when nothing did. */
  readonly problem?: string
}

interface Cosigned {
  readonly size: bigint
  readonly at: number
}

export function takeTurns({ witness, prove, clock, onCosigned, known }: TurnsOptions): Turns {
  const { verifier, url } = witness
  const closing = new host.AbortController()
  let cosigned = known && cosignedEarlier(known)
  // Only what was cosigned now: a trail that was rolled back to what it had cosigned before must hear so.
  let settled: Submission | undefined
  let wanted: Submission | undefined
  let problem: string | undefined
  let failures = 0
  let wake: (() => void) | undefined
  let asking = false
  let turn: Promise<void> = Promise.resolve()

  function cosignedEarlier({ note, size }: Submission): Cosigned | undefined {
    const opened = verifier.open(note)
    return opened && { size, at: opened.time }
  }

  function start(): void {
    if (asking || wake !== undefined || closing.signal.aborted) return
    asking = true
    turn = takeTurn()
  }

  /** Goes on until the newest is cosigned, or something is in the way. */
  async function takeTurn(): Promise<void> {
    try {
      while (wanted !== undefined && wanted !== settled) {
        const failure = await ask(wanted)
        if (closing.signal.aborted) return
        problem = failure
        if (failure !== undefined) return rest()
        failures = 0
      }
    } finally {
      asking = false
    }
  }

  function rest(): void {
    if (closing.signal.aborted) return
    // Half of it by chance: many trails that lost one witness must not come back at once.
    const ms = Math.min(longestRestMs, 1_000 * 2 ** failures++) * (0.5 + Math.random() / 2)
    const cancel = clock.after(ms, () => {
      wake = undefined
      start()
    })
    wake = cancel
  }

  /** What was in the way; undefined when it cosigned. */
  async function ask(submission: Submission): Promise<string | undefined> {
    const { size, parsed } = submission
    const first = await post(submission, cosigned !== undefined && cosigned.size <= size ? cosigned.size : 0n)
    const answer = 'size' in first && first.size <= size ? await post(submission, first.size) : first
    if ('problem' in answer) return answer.problem
    if ('size' in answer) return answer.size > size ? aheadOf(answer.size, size) : 'named another size at each try'
    const answered = parseNote(`${parsed.text}\n${answer.lines}`)
    // Lines that end the signatures and begin others would be over another text.
    const cosignature = answered?.text === parsed.text ? verifier.open(formatNote(answered)) : undefined
    if (cosignature === undefined) return 'answered without a good cosignature of this checkpoint'
    if (closing.signal.aborted) return undefined
    try {
      await onCosigned(submission, cosignature.line)
    } catch (error) {
      return `cosigned, which could not be kept (${describeForeign(error).message})`
    }
    // Not before it is kept: a cosignature that was not is asked for again.
    cosigned = { size, at: cosignature.time }
    settled = submission
    return undefined
  }

  async function post({ note, size }: Submission, old: bigint): Promise<Answer> {
    try {
      const proof = old === 0n || old === size ? [] : await prove(old, size)
      return await addCheckpoint({ witness, clock, old, size, proof, note, closing: closing.signal })
    } catch (error) {
      const why = describeForeign(error).message
      return { problem: `was not asked: there is no proof from the ${old} entries that it knows (${why})` }
    }
  }

  return {
    submit(submission) {
      if (wanted === undefined || wanted.size < submission.size) wanted = submission
      start()
    },
    idle: () => turn,
    health: () => ({
      name: verifier.name,
      url,
      ...(cosigned && { size: cosigned.size, at: cosigned.at }),
      ...(problem !== undefined && { problem }),
    }),
    close() {
      closing.abort()
      wake?.()
    },
  }
}

const longestRestMs = 600_000

function aheadOf(there: bigint, here: bigint): string {
  return `has cosigned ${there} entries and the trail has ${here}: the trail was rolled back, or another has its name`
}
