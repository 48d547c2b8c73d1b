/** Wrapping key material to an RSA public key: what import takes, and what an export for a recipient gives. Portable. */
import { engine } from '#engine'
import { copyOf, wipe } from './crypto/bytes.ts'
import * as transport from './crypto/key-transport.ts'
import { KmsError } from './model/errors.ts'

export interface WrapKeyMaterialInput {
  /** 1–16,384 bytes: raw bytes of a symmetric key, or PKCS#8 (DER). */
  readonly keyMaterial: Uint8Array
  /** SubjectPublicKeyInfo (DER) of an RSA key of 2048–4096 bits, such as `getWrappingKey` gives as `spki`. */
  readonly recipient: Uint8Array
}

export interface UnwrapKeyMaterialInput {
  readonly wrapped: Uint8Array
  /** PKCS#8 (DER) of the RSA key. */
  readonly privateKey: Uint8Array
}

/**
 * RSA-OAEP (SHA-256) of a fresh AES-256 key, then the key material under it by AES-KWP (RFC 5649): what PKCS#11 calls
 * `CKM_RSA_AES_KEY_WRAP`. Errors: `INVALID_INPUT`.
 *
 * @example
 * ```ts
 * const { spki } = await kms.getWrappingKey()
 * const keyMaterial = await wrapKeyMaterial({ keyMaterial: raw, recipient: spki })   // where the key is
 * await kms.importKey({ slug: 'orders', keyType: 'aes256-gcm96', keyMaterial, form: 'wrapped' })
 * ```
 */
export async function wrapKeyMaterial(input: WrapKeyMaterialInput): Promise<Uint8Array> {
  const { keyMaterial, recipient } = bytesOf(input, ['keyMaterial', 'recipient'])
  try {
    return await transport.wrapKeyMaterial(engine, recipient, keyMaterial)
  } finally {
    wipe(keyMaterial)
  }
}

/** What `wrapKeyMaterial`, or an export for a recipient, wrapped. `INVALID_INPUT` if it does not open with this key. */
export async function unwrapKeyMaterial(input: UnwrapKeyMaterialInput): Promise<Uint8Array> {
  const { wrapped, privateKey } = bytesOf(input, ['wrapped', 'privateKey'])
  try {
    const keyMaterial = await transport.unwrapKeyMaterial(engine, privateKey, wrapped)
    if (keyMaterial !== undefined) return keyMaterial
  } finally {
    wipe(privateKey)
  }
  throw new KmsError('INVALID_INPUT', "'wrapped' does not open with this private key")
}

const most = 16_384

/** Copies, each field read once: what the caller does meanwhile with its own, and what is wiped here, is of no account. */
function bytesOf<N extends string>(
  input: { readonly [F in N]: Uint8Array },
  names: readonly N[],
): { readonly [F in N]: Uint8Array } {
  const copies = names.map((name): [N, Uint8Array] => {
    const bytes = fieldOf(input, name)
    if (!(bytes instanceof Uint8Array) || bytes.length === 0 || bytes.length > most)
      throw new KmsError('INVALID_INPUT', `'${name}' must be a Uint8Array of 1–${most} bytes`)
    return [name, copyOf(bytes)]
  })
  return Object.fromEntries(copies) as { readonly [F in N]: Uint8Array } // of just these names
}

/** A caller's getter may throw, or the input be no object. */
function fieldOf(input: unknown, name: string): unknown {
  try {
    return (input as Readonly<Record<string, unknown>>)[name]
  } catch (error) {
    throw new KmsError('INVALID_INPUT', `'${name}' could not be read`, { cause: error })
  }
}
