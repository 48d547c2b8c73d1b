/**
 * What a transit ciphertext was bound to, from an encryption context. Other programs handed Vault raw bytes: these stand under
 * reserved names, as base64. What `vaultTransit` encrypted is bound to the canonical encoding of the whole context.
 */
import { KmsError } from '../model/errors.ts'
import { fromBase64, fromUtf8 } from './bytes.ts'

const reserved = ['vault:context', 'vault:associated_data', 'vault:nonce'] as const

type Reserved = (typeof reserved)[number]

export interface TransitContext {
  /** What the key was derived with, if it was; absent where there is no context at all. */
  readonly context?: Uint8Array
  readonly associatedData: Uint8Array
  readonly nonce?: Uint8Array
}

const nothing = new Uint8Array(0)

export interface TransitBinding {
  readonly derived: boolean
  /** Whether the nonce stands beside the ciphertext, not in it. */
  readonly nonceBeside: boolean
}

/**
 * `canonical` comes from canonical.ts. `INVALID_INPUT`: reserved names beside others, values that are no canonical base64, one
 * that such a key does not use, or one that it needs and that is not there.
 */
export function transitContext(canonical: Uint8Array, { derived, nonceBeside }: TransitBinding): TransitContext {
  const given = reservedIn(canonical)
  if (given === undefined) {
    const isEmpty = canonical.length === 4
    if (nonceBeside) refuse("must hold 'vault:nonce': the nonce of this key's ciphertexts was kept by who encrypted")
    if (!derived) return { associatedData: isEmpty ? nothing : canonical }
    if (isEmpty) refuse("must hold 'vault:context', or what vaultTransit encrypted with: the key is derived for each")
    return { context: canonical, associatedData: canonical }
  }
  const context = given.get('vault:context')
  const nonce = given.get('vault:nonce')
  if (derived !== (context !== undefined))
    refuse(
      derived
        ? "must hold 'vault:context': the key is derived for each"
        : "has a 'vault:context' that the key does not use",
    )
  if (nonceBeside !== (nonce !== undefined))
    refuse(nonceBeside ? "must hold 'vault:nonce'" : "has a 'vault:nonce' that the key does not use")
  return {
    ...(context !== undefined && { context }),
    ...(nonce !== undefined && { nonce }),
    associatedData: given.get('vault:associated_data') ?? nothing,
  }
}

/** Undefined where no name begins with `vault:`. */
function reservedIn(canonical: Uint8Array): ReadonlyMap<Reserved, Uint8Array> | undefined {
  const pairs = pairsOf(canonical)
  if (!pairs.some(([name]) => name.startsWith('vault:'))) return undefined
  return new Map(
    pairs.map(([name, text]) => {
      const known = reserved.find((one) => one === name)
      if (known === undefined)
        refuse(`has reserved names, ${reserved.join(', ')}, beside another: either only these, or none of them`)
      const value = fromBase64(text)
      if (value === undefined || value.length === 0)
        refuse(`has a '${known}' that is no base64 (RFC 4648 §4, with padding) of at least one byte`)
      return [known, value]
    }),
  )
}

/** What canonical.ts encoded. */
function pairsOf(canonical: Uint8Array): readonly (readonly [string, string])[] {
  const view = new DataView(canonical.buffer, canonical.byteOffset, canonical.length)
  let at = 4
  function next(): string {
    const length = view.getUint32(at)
    at += 4 + length
    return fromUtf8(canonical.subarray(at - length, at)) ?? ''
  }
  return Array.from({ length: view.getUint32(0) }, () => [next(), next()] as const)
}

function refuse(why: string): never {
  throw new KmsError('INVALID_INPUT', `encryptionContext ${why}`)
}
