/** Witnesses (c2sp.org/tlog-witness): others are asked to cosign the trail's checkpoints, beside the trail's own work. */
import type { Engine } from '../../crypto/engine.ts'
import { type Clock, systemClock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import { formatNote, mergeSignatures, type SignatureLine } from '../note.ts'
import { checkedWitness, type WitnessOptions } from './witness-options.ts'
import { type Prove, parseSubmission, type Submission, takeTurns, type WitnessHealth } from './witness-turns.ts'

export interface WitnessClientOptions {
  readonly engine: Engine
  readonly witnesses: readonly WitnessOptions[]
  readonly prove: Prove
  /**
   * Keeps a checkpoint with the cosignatures that it has by now. Told of the largest cosigned size only, and again when
   * another witness cosigns that; one call at a time. A failure becomes the witness's `problem`.
   */
  readonly onCosigned: (note: string) => void | Promise<void>
  /** What `onCosigned` was told last, by an earlier client: tells where to begin, and gives way to larger ones only. */
  readonly witnessed?: string
  readonly clock?: Clock
}

export interface WitnessClient {
  /**
   * Has every witness asked to cosign `note`, the signed checkpoint at `size`; returns at once. A witness that is being
   * asked, or left alone after a failure, hears only of the newest one submitted meanwhile.
   * Errors: `INVALID_INPUT` when `note` is no checkpoint at `size`.
   */
  submit(note: string, size: bigint): void
  /** Resolves when no witness is being asked and what they said is kept. Never rejects; lasts as long as they take. */
  idle(): Promise<void>
  /** In the order of the options. */
  health(): readonly WitnessHealth[]
  /** Gives up what is under way. Nothing is asked or kept after. */
  close(): void
}

/**
 * A client of several witnesses, each at its own pace: what one does, neither the others nor the trail notice. A
 * cosignature is believed when the witness's key verifies it. After a failure a witness is left alone for some time, up
 * to ten minutes.
 *
 * Errors: `INVALID_INPUT` for an option that cannot be.
 *
 * @example
 * ```ts
 * const witnesses = witnessClient({ engine, witnesses: [{ url, vkey }], prove, onCosigned: (note) => keep(note) })
 * witnesses.submit(note, size)
 * ```
 */
export function witnessClient(options: WitnessClientOptions): WitnessClient {
  const { engine, clock = systemClock } = options
  const prove = provedOnce(options.prove)
  const witnesses = options.witnesses.map((witness) => checkedWitness(engine, witness))
  const known = options.witnessed === undefined ? undefined : parseSubmission(options.witnessed)
  const keep = keeper(
    options.onCosigned,
    known && witnesses.some(({ verifier }) => verifier.open(known.note)) ? known : undefined,
  )
  const turns = witnesses.map((witness) =>
    takeTurns({ witness, prove, clock, onCosigned: keep, ...(known && { known }) }),
  )
  return {
    submit(note, size) {
      const submission = parseSubmission(note)
      if (submission?.size !== size)
        throw new KmsError('INVALID_INPUT', `the note for the witnesses is no checkpoint of ${size} entries`)
      for (const turn of turns) turn.submit(submission)
    },
    async idle() {
      await Promise.all(turns.map(({ idle }) => idle()))
    },
    health: () => turns.map(({ health }) => health()),
    close() {
      for (const turn of turns) turn.close()
    },
  }
}

/** Most witnesses stand at the same size: what is proven to one is proven to the next without reading the trail again. */
function provedOnce(prove: Prove): Prove {
  let last: { readonly from: bigint; readonly to: bigint; readonly proof: ReturnType<Prove> } | undefined
  return (from, to) => {
    if (last?.from === from && last.to === to) return last.proof
    const proof = prove(from, to)
    const proven = { from, to, proof }
    last = proven
    proof.catch(() => {
      if (last === proven) last = undefined
    })
    return proof
  }
}

/** Joins the cosignatures of one checkpoint, and hands the newest checkpoint on, one at a time. */
function keeper(
  onCosigned: WitnessClientOptions['onCosigned'],
  known: Submission | undefined,
): (submission: Submission, line: SignatureLine) => Promise<void> {
  let newest = known
  let keeping: Promise<void> = Promise.resolve()
  return (submission, line) => {
    const same = newest?.parsed.text === submission.parsed.text
    // Of two roots at one size the first stays: it shows that the trail was changed.
    if (newest?.origin === submission.origin && !same && newest.size >= submission.size) return Promise.resolve()
    const parsed = mergeSignatures(same && newest ? newest.parsed : submission.parsed, [line])
    const cosigned = { ...submission, note: formatNote(parsed), parsed }
    newest = cosigned
    const keep = async () => {
      if (cosigned === newest) await onCosigned(cosigned.note)
    }
    // A failure is told to the one whose cosignature it was.
    keeping = keeping.then(keep, keep)
    return keeping
  }
}
