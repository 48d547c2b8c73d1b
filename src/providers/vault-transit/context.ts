/** The encryption context as transit takes it: associated data, and for a derived key the context of the derivation. */
import { fromBase64, toBase64 } from '../../crypto/bytes.ts'
import { encodeContext } from '../../crypto/canonical.ts'
import { KmsError } from '../../model/errors.ts'
import type { EncryptionContext } from '../../model/operation.ts'
import type { TransitKey } from './key-description.ts'

/** Fields of a request. */
export interface Bound {
  readonly context?: string
  readonly associated_data?: string
}

/** Names whose values go to transit as they are: what other programs bound to their ciphertexts is not in our encoding. */
const raw = { context: 'vault:context', associatedData: 'vault:associated_data' } as const
const reserved = 'vault:'
/** Types that bind associated data. */
const aeads: readonly string[] = ['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'xchacha20-poly1305']

/** Absent and empty bind nothing. `INVALID_INPUT` for what `key` could not bind: transit would leave it out without a word. */
export function boundBy({ derived, ref }: TransitKey, context: EncryptionContext | undefined): Bound {
  const names = Object.keys(context ?? {})
  if (names.length === 0) {
    if (derived) throw invalid('the key is derived: it needs an encryption context', ref.slug)
    return {}
  }
  const bound = names.some((name) => name.startsWith(reserved)) ? rawValues(context, names) : encoded(context, derived)
  if (bound.context === undefined && derived)
    throw invalid(`the key is derived: it needs '${raw.context}' in its encryption context`, ref.slug)
  if (bound.context !== undefined && !derived)
    throw invalid(`the key is not derived: '${raw.context}' would not be bound`, ref.slug)
  if (bound.associated_data !== undefined && !aeads.includes(ref.keyType))
    throw invalid(`a key of type ${ref.keyType} cannot bind an encryption context`, ref.slug)
  return bound
}

/** The canonical encoding; as associated data also where the derivation binds it already, so that one rule fits every key. */
function encoded(context: EncryptionContext | undefined, derived: boolean): Bound {
  const text = toBase64(encodeContext(context))
  return { ...(derived && { context: text }), associated_data: text }
}

function rawValues(context: EncryptionContext | undefined, names: readonly string[]): Bound {
  const known: readonly string[] = Object.values(raw)
  if (!names.every((name) => known.includes(name)))
    throw invalid(`an encryption context with a name that begins with ${reserved} may hold ${known.join(' and ')} only`)
  const [derivation, associated] = [raw.context, raw.associatedData].map((name) => rawValue(name, context?.[name]))
  return {
    ...(derivation !== undefined && { context: derivation }),
    ...(associated !== undefined && { associated_data: associated }),
  }
}

function rawValue(name: string, value: string | undefined): string | undefined {
  if (value === undefined || (value !== '' && fromBase64(value) !== undefined)) return value
  throw invalid(`'${name}' must be base64 of at least one byte, padded (RFC 4648 §4)`)
}

function invalid(problem: string, key?: string): KmsError {
  return new KmsError('INVALID_INPUT', problem, key === undefined ? {} : { key })
}
