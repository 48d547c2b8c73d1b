/**
 * Who signs the trail, and how it is handed over. The batch that holds an entry `audit.key_rotated` is committed by a
 * checkpoint with two signatures: of the key that signed so far, then of the one that signs from there on. trail.json is
 * brought up to date before anything else is written, so a crash leaves it behind by the last commit at most.
 */
import type { Engine } from '../../crypto/engine.ts'
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import type { Signer } from '../../model/signer.ts'
import type { Notice } from '../../model/sink.ts'
import type { About } from '../about.ts'
import { formatNote, mergeSignatures, type NoteSigner, noteSigner, noteVerifier, parseNote } from '../note.ts'

export interface Keys {
  /** Of the key that signs now. */
  readonly vkey: string
  /** As trail.json says, or is about to. */
  readonly about: About
  /** The entry with which the handover under way takes place. */
  readonly notice: Notice | undefined
  /** `next` signs from the batch on that holds `notice`. Errors: `INVALID_INPUT` while another one is to be next. */
  handOver(next: Signer): void
  /** Whether a batch of these entries hands the trail over. */
  hasHandover(entries: readonly AuditEntry[]): boolean
  /** The signed note over `text`: by the present key, or by it and the next one. */
  sign(text: string, by: 'one' | 'both'): string
  /** A batch with the handover is on the disk, and the trail has `size` entries. */
  handedOver(size: bigint): void
  /** Whether trail.json must be written before the next batch. */
  readonly isBehind: boolean
  /** Writes it. Errors: as replaceFile. */
  catchUp(): Promise<void>
}

export interface KeysOptions {
  readonly engine: Engine
  readonly about: About
  /** The key to sign with. A trail that is signed by one before it is handed over. */
  readonly signer: Signer
  /** A checkpoint's text, by which the keys show that they sign. */
  readonly probe: string
  readonly save: (about: About) => Promise<void>
}

/** Errors: `INVALID_INPUT` when the trail is another signer's, or one does not sign with the key that it names. */
export function openKeys({ engine, signer, probe, save, ...options }: KeysOptions): Keys {
  let about = options.about
  let isBehind = false
  let current = checked(signingNow(signer))
  let next = current.vkey === named(signer).vkey ? undefined : checked(signer)

  function named(one: Signer): NoteSigner {
    return noteSigner(engine, about.origin, one)
  }

  function signingNow(one: Signer): Signer {
    const vkey = about.vkeys.at(-1)?.vkey
    for (let found: Signer | undefined = one; found !== undefined; found = found.previous)
      if (named(found).vkey === vkey) return found
    throw new KmsError(
      'INVALID_INPUT',
      `the trail is signed by ${vkey}, not by ${named(one).vkey}: open it with its own signer`,
    )
  }

  function checked(one: Signer): NoteSigner {
    const made = named(one)
    if ('text' in noteVerifier(engine, made.vkey).open(made.sign(probe))) return made
    throw new KmsError('INVALID_INPUT', 'signer does not sign with the key that its publicKey names')
  }

  function tellsOf({ action, details }: AuditEntry): boolean {
    return action === 'audit.key_rotated' && details?.vkey === next?.vkey && details?.previousVkey === current.vkey
  }

  return {
    get vkey() {
      return current.vkey
    },
    get about() {
      return about
    },
    get notice(): Notice | undefined {
      return next && { action: 'audit.key_rotated', details: { vkey: next.vkey, previousVkey: current.vkey } }
    },
    handOver(signer) {
      const wanted = checked(signer)
      if (wanted.vkey === current.vkey || wanted.vkey === next?.vkey) return
      if (next !== undefined)
        throw new KmsError('INVALID_INPUT', `the trail is being handed over to ${next.vkey}: wait until it is`)
      next = wanted
    },
    hasHandover: (entries) => next !== undefined && entries.some(tellsOf),
    sign(text, by) {
      const note = current.sign(text)
      return by === 'one' || next === undefined ? note : joined(note, next.sign(text))
    },
    handedOver(size) {
      if (next === undefined) return
      about = { ...about, vkeys: [...about.vkeys, { vkey: next.vkey, fromIndex: Number(size) }] }
      current = next
      next = undefined
      isBehind = true
    },
    get isBehind() {
      return isBehind
    },
    async catchUp() {
      await save(about)
      isBehind = false
    },
  }
}

/** Two notes over the same text as one. */
function joined(note: string, other: string): string {
  const [first, second] = [parseNote(note), parseNote(other)]
  if (first === undefined || second === undefined) throw new KmsError('INTERNAL', 'a signer made no signed note')
  return formatNote(mergeSignatures(first, second.signatures))
}
