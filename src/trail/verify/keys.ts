/**
 * Who signed which part of a trail, followed from handover to handover: keys change only at a commit that both the old and
 * the new key signed, and whose batch holds the entry that says so.
 */
import { utf8 } from '../../crypto/bytes.ts'
import { ed25519VerifyLater } from '../../crypto/ed25519.ts'
import type { Engine } from '../../crypto/engine.ts'
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import type { TrailKey } from '../about.ts'
import type { Commit } from '../commit.ts'
import { keyTypes, madeBy, type NoteVerifier, noteVerifier, parseNote, parseVkey, type SignatureLine } from '../note.ts'

/** A key, and the entries from which on it signs. */
export interface ChainKey {
  readonly fromIndex: bigint
  readonly verifier: NoteVerifier
}

export interface KeyChain {
  /** What is wrong with the signatures of a commit line; `batch` holds at least its entries about the log itself. */
  check(commit: Commit, batch: readonly AuditEntry[]): string | Promise<string | undefined>
  /** The commit line checked last is good but for its signatures: the next one is signed by whom it was handed to. */
  committed(size: bigint): void
  /** The first key, and those that came by a handover within the first `size` entries. */
  keys(size: bigint): readonly ChainKey[]
}

/** `first`: the key that signs the first commit that will be checked. */
export function followKeys(engine: Engine, first: ChainKey): KeyChain {
  const followed: ChainKey[] = [first]
  let current = signatureCheck(engine, first.verifier.vkey)
  let next: SignatureCheck | undefined

  return {
    check({ note }, batch) {
      next = nextKey(engine, current, batch)
      const parsed = parseNote(note)
      if (parsed === undefined) return problems.malformed
      const [line, second, ...more] = parsed.signatures
      if (line === undefined || !current.made(line)) return problems.unsigned
      if (more.length > 0 || (second !== undefined && next === undefined)) return problems.surplus
      if (next !== undefined && (second === undefined || !next.made(second))) return problems.handover
      const message = utf8(parsed.text)
      const checks = [current.holds(message, line.signature)]
      if (next !== undefined && second !== undefined) {
        checks.push(next.holds(message, second.signature))
      }
      return allHold(checks)
    },
    committed(size) {
      if (next === undefined) return
      followed.push({ fromIndex: size, verifier: noteVerifier(engine, next.vkey) })
      current = next
      next = undefined
    },
    keys: (size) => followed.filter(({ fromIndex }, at) => at === 0 || fromIndex <= size),
  }
}

const problems = {
  malformed: 'the commit line holds no signed note',
  unsigned: 'the commit line is not signed by this key',
  surplus: 'the commit line has a signature too many',
  handover: 'the entry audit.key_rotated names a new key, but the commit line is not signed by both',
  wrong: 'the signature of the commit line is wrong',
} as const

async function allHold(checks: readonly Promise<boolean>[]): Promise<string | undefined> {
  for (const check of checks) if (!(await check)) return problems.wrong
  return undefined
}

interface SignatureCheck {
  readonly name: string
  readonly vkey: string
  made(line: SignatureLine): boolean
  holds(message: Uint8Array, signature: Uint8Array): Promise<boolean>
}

/** Errors: `INVALID_INPUT` for anything but a well-formed Ed25519 verification key. */
function signatureCheck(engine: Engine, vkey: string): SignatureCheck {
  const { name, keyHash, publicKey } = parseVkey(engine, vkey, keyTypes.ed25519)
  return { name, vkey, made: madeBy(name, keyHash), holds: ed25519VerifyLater(engine, publicKey) }
}

/** An entry that names another key as the one before is told of another trail, or told twice. */
function nextKey(engine: Engine, current: SignatureCheck, batch: readonly AuditEntry[]): SignatureCheck | undefined {
  for (const { action, details } of batch) {
    if (action !== 'audit.key_rotated' || details?.previousVkey !== current.vkey) continue
    const next = checkFor(engine, details.vkey)
    if (next?.name === current.name && next.vkey !== current.vkey) return next
  }
  return undefined
}

function checkFor(engine: Engine, vkey: string | undefined): SignatureCheck | undefined {
  try {
    return typeof vkey === 'string' ? signatureCheck(engine, vkey) : undefined
  } catch (error) {
    if (error instanceof KmsError && error.code === 'INVALID_INPUT') return undefined
    throw error
  }
}

/** The keys that trail.json names, in order and each of this name; undefined when it does not name them so. */
export function namedKeys(
  engine: Engine,
  about: { readonly origin: string; readonly vkeys: readonly TrailKey[] },
): readonly [ChainKey, ...ChainKey[]] | undefined {
  try {
    const keys = about.vkeys.map(({ vkey, fromIndex }) => ({
      fromIndex: BigInt(fromIndex),
      verifier: noteVerifier(engine, vkey),
    }))
    const [first, ...rest] = keys
    const inOrder = keys.every(({ fromIndex }, at) => at === 0 || (keys[at - 1]?.fromIndex ?? fromIndex) < fromIndex)
    const ofOneName = keys.every(({ verifier }) => verifier.name === about.origin)
    return first?.fromIndex === 0n && inOrder && ofOneName ? [first, ...rest] : undefined
  } catch (error) {
    if (error instanceof KmsError && error.code === 'INVALID_INPUT') return undefined
    throw error
  }
}

/** The key in force for the entry at `index`. */
export function keyAt(keys: readonly [ChainKey, ...ChainKey[]], index: bigint): ChainKey {
  return keys.findLast(({ fromIndex }) => fromIndex <= index) ?? keys[0]
}

/** The keys that may sign a checkpoint of `size` entries: where one took over from another, either. */
export function signersAt(keys: readonly ChainKey[], size: bigint): readonly ChainKey[] {
  return keys.filter(({ fromIndex }, at) => fromIndex <= size && size <= (keys[at + 1]?.fromIndex ?? size))
}
