/**
 * Key material on its way between systems: encrypted to an RSA public key, of any length. As `CKM_RSA_AES_KEY_WRAP`
 * (PKCS#11 §6.1.27), Vault's import and AWS's `RSA_AES_KEY_WRAP_SHA_256` have it:
 *
 *     RSA-OAEP (SHA-256, also in MGF1; empty label) of a fresh AES-256 key ‖ AES-KWP (RFC 5649) of the material under it
 *
 * It hides the material and finds damage; it does not say who sent it. That a recipient's key is the right one is for whoever
 * passes it in to know.
 */
import { KmsError } from '../model/errors.ts'
import { andThen, isPromise } from '../model/promise.ts'
import { concat, wipe } from './bytes.ts'
import { readDer, tags } from './der.ts'
import type { Engine } from './engine.ts'
import { unwrapKwp, wrapKwp } from './kwp.ts'
import { decodeRsaPkcs8, decodeRsaSpki } from './pkcs8.ts'

const keyLength = 32
const noLabel = new Uint8Array(0)
const minBits = 2048
const maxBits = 4096

/**
 * Wraps `material` (at least one byte) for the holder of a private key. `recipientSpki`: an RSA public key of 2048 to 4096
 * bits as SubjectPublicKeyInfo, DER; anything else is `INVALID_INPUT` that says what was wrong.
 */
export function wrapKeyMaterial(
  engine: Engine,
  recipientSpki: Uint8Array,
  material: Uint8Array,
): Uint8Array | Promise<Uint8Array> {
  const seal = transportKeySealer(engine, recipientSpki)
  const key = new Uint8Array(keyLength)
  engine.randomFill(key)
  try {
    const wrapped = wrapKwp(engine, key, material)
    // An engine that answers later has copied the key by now.
    return andThen(seal(key), (block) => concat([block, wrapped]))
  } finally {
    wipe(key)
  }
}

/**
 * The RSA half alone, for material that is wrapped elsewhere, such as in an HSM: seals the AES-256 key that it is wrapped under. The
 * recipient is checked at once, as by `wrapKeyMaterial`.
 */
export function transportKeySealer(
  engine: Engine,
  recipientSpki: Uint8Array,
): (key: Uint8Array) => Uint8Array | Promise<Uint8Array> {
  checkRecipient(recipientSpki)
  const recipient = engine.rsa.publicKey(recipientSpki)
  return (key) => recipient.encrypt(key, noLabel)
}

/**
 * The material that `wrapKeyMaterial` wrapped for this private key, which the caller wipes, or undefined for anything else,
 * without a hint why. `pkcs8`: of a key of ours, so one that is none is `INVALID_INPUT`.
 */
export function unwrapKeyMaterial(
  engine: Engine,
  pkcs8: Uint8Array,
  wrapped: Uint8Array,
): Uint8Array | undefined | Promise<Uint8Array | undefined> {
  const size = modulusLength(pkcs8)
  if (wrapped.length <= size) return undefined
  const privateKey = engine.rsa.privateKey(pkcs8)
  // A copy, for engines that answer later.
  const rest = wrapped.slice(size)
  const opened = andThen(privateKey.decrypt(wrapped.subarray(0, size), noLabel), (key) => {
    if (key === undefined) return undefined
    try {
      return key.length === keyLength ? unwrapKwp(engine, key, rest) : undefined
    } finally {
      wipe(key)
    }
  })
  if (isPromise(opened)) return opened.finally(privateKey.destroy)
  privateKey.destroy()
  return opened
}

function checkRecipient(spki: Uint8Array): void {
  const parts = decodeRsaSpki(spki)
  if (parts === undefined)
    refuse(isSpki(spki) ? 'is a public key, but not an RSA key' : 'is no SubjectPublicKeyInfo in DER')
  const { n, e } = parts
  const bits = 8 * n.length - Math.clz32(n[0] ?? 0) + 24
  if (bits < minBits || bits > maxBits) refuse(`is an RSA key of ${bits} bits: it must have ${minBits} to ${maxBits}`)
  // With e = 1 the key would travel in the clear; FIPS 186-5 §5.4 wants 65537 or more, and hosts take four bytes at most.
  if (e.length < 3 || e.length > 4 || isEven(e))
    refuse('is an RSA key whose exponent is not an odd number from 65537 to 2³²')
  if (isEven(n)) refuse('is an RSA key whose modulus is even')
}

/** Of whatever algorithm (RFC 5280 §4.1). */
function isSpki(der: Uint8Array): boolean {
  const found = readDer(der, (from) =>
    from.within(tags.sequence, () => {
      from.take(tags.sequence)
      return from.take(tags.bitString)
    }),
  )
  return found !== undefined
}

function isEven(number: Uint8Array): boolean {
  return (number[number.length - 1] ?? 0) % 2 === 0
}

function modulusLength(pkcs8: Uint8Array): number {
  const parts = decodeRsaPkcs8(pkcs8)
  if (parts === undefined)
    throw new KmsError(
      'INVALID_INPUT',
      'the private key is no PKCS#8 of an RSA key in DER: openssl pkcs8 -topk8 -nocrypt -outform DER makes one',
    )
  const { n, d, p, q, dp, dq, qi } = parts
  wipe(d, p, q, dp, dq, qi)
  return n.length
}

function refuse(why: string): never {
  throw new KmsError('INVALID_INPUT', `the recipient of key material ${why}`)
}
