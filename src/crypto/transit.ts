/** Prepared versions of transit keys: they open and verify what Vault or OpenBao made, each value in its one spelling. */
import type { DecryptFailure } from '../model/errors.ts'
import { KmsError } from '../model/errors.ts'
import type { TransitKeyType } from '../model/key.ts'
import { andThen } from '../model/promise.ts'
import { type AeadName, aeads, tagLength } from './aead.ts'
import { equal, wipe } from './bytes.ts'
import type { Aead, Engine } from './engine.ts'
import type { SealingKey } from './frame.ts'
import { held } from './held.ts'
import type { MacKey } from './mac.ts'
import { checkOption, type SignatureOptions } from './options.ts'
import { rsaBits } from './rsa-parts.ts'
import type { SigningKey } from './signing.ts'
import { transitContext } from './transit-context.ts'
import { type TransitHash, transitHashes, transitHashLength, transitHmac } from './transit-hash.ts'
import { derivedKey } from './transit-kdf.ts'
import { decodeTransitVersion, type TransitVersion, transitKinds } from './transit-material.ts'
import { transitVerifying } from './transit-signing.ts'
import { isTransitText, readTransit, type TransitValue, transitVersion } from './transit-text.ts'

/** What a call may say of how something was signed or authenticated; `verify` and `verifyHmac` of a client can say part of it. */
export interface TransitOptions extends Omit<SignatureOptions, 'hashAlgorithm'> {
  readonly hashAlgorithm?: TransitHash | 'none' | undefined
  /** Of a derived Ed25519 key. */
  readonly context?: Uint8Array | undefined
}

/** Whatever its type cannot do is `UNSUPPORTED_OPERATION`; so is everything that makes something. After `destroy`: `CLOSED`. */
export interface TransitKey extends SealingKey, SigningKey, MacKey {
  seal(): never
  sign(): never
  mac(): never
  /**
   * `signature`: `vault:v<version>:<base64>`, or, with the format `ieee-p1363`, which is Vault's `jws`, base64url without padding.
   * SHA-256 and PSS unless the options say otherwise, as transit has it; a PSS salt may have any length. Bytes that do not begin
   * with `vault:` are a plain signature, as `vaultTransit` gives it, made with its defaults.
   */
  verify(input: Uint8Array, signature: Uint8Array, options?: TransitOptions): boolean
  /** A text, or plain bytes as above. Without a `hashAlgorithm`, every one whose MACs are as long as this one. */
  verifyMac(input: Uint8Array, mac: Uint8Array, options?: TransitOptions): boolean
  destroy(): void
}

export interface TransitKeyOptions {
  readonly keyType: TransitKeyType
  readonly version: number
  /** As transit-material.ts has it; copied. What is none of the type is `INVALID_INPUT`. */
  readonly material: Uint8Array
}

export function transitKey(engine: Engine, { keyType, version, material }: TransitKeyOptions): TransitKey {
  const own = material.slice()
  const facts = decodeTransitVersion(keyType, own)
  if (facts === undefined) throw new KmsError('INVALID_INPUT', `this is no key material of type ${keyType}`)
  const opening = openingOf(engine, keyType, facts)
  const verifying = transitVerifying(engine, keyType, facts)
  const secret = held({
    macKey: transitKinds[keyType].is === 'hmac' ? facts.key : facts.hmacKey,
    destroy() {
      opening?.destroy()
      wipe(own)
    },
  })

  return {
    seal: () => makesNothing(keyType),
    sign: () => makesNothing(keyType),
    mac: () => makesNothing(keyType),
    open(ciphertext, context) {
      secret.use()
      if (opening === undefined) throw cannot(keyType, 'decrypt')
      const named = transitVersion(ciphertext)
      if (named !== undefined && named !== version) return 'unknown_version'
      const value = readTransit(ciphertext)
      return value === undefined ? 'malformed' : opening.open(value.body, context)
    },
    verify(input, signature, options = {}) {
      secret.use()
      if (verifying === undefined) throw cannot(keyType, 'verify')
      const { hashAlgorithm = verifying.plainHash } = options
      const isText = isTransitText(signature)
      // Options that make no sense are refused whatever the signature is.
      const check = verifying.prepare(input, isText ? options : { ...options, hashAlgorithm })
      if (!isText) return check(signature)
      const value = readTransit(signature, options.format === 'ieee-p1363' ? 'base64url' : 'base64')
      return value?.version === version && check(value.body)
    },
    verifyMac(input, mac, { hashAlgorithm } = {}) {
      const { macKey } = secret.use()
      checkOption(keyType, 'hashAlgorithm', hashAlgorithm, transitHashes)
      const { version: named, body } = isTransitText(mac) ? (readTransit(mac) ?? unread) : { version, body: mac }
      if (named !== version || macKey.length === 0) return false
      const fitting = transitHashes.filter(
        (hash) => transitHashLength(hash) === body.length && (hashAlgorithm ?? hash) === hash,
      )
      return fitting.some((hash) => equal(transitHmac(engine, hash, macKey, input), body))
    },
    get publicKey() {
      secret.use()
      if (verifying?.publicKey === undefined) throw cannot(keyType, 'getPublicKey')
      return verifying.publicKey()
    },
    destroy: secret.destroy,
  }
}

/** Of no version that there is. */
const unread: TransitValue = { version: 0, body: new Uint8Array(0) }

interface Opening {
  open(body: Uint8Array, context: Uint8Array): Uint8Array | DecryptFailure | Promise<Uint8Array | DecryptFailure>
  destroy(): void
}

function openingOf(engine: Engine, keyType: TransitKeyType, facts: TransitVersion): Opening | undefined {
  const kind = transitKinds[keyType]
  if (kind.is === 'aead')
    return facts.derivation === 'none' ? plain(engine, kind.aead, facts) : derived(engine, kind.aead, facts)
  return kind.is === 'rsa' ? decrypting(engine, rsaBits[kind.native] / 8, facts) : undefined
}

function plain(engine: Engine, name: AeadName, { key }: TransitVersion): Opening {
  const aead = engine.aead(name, key)
  return {
    open(body, canonical) {
      const { associatedData } = transitContext(canonical, { derived: false, nonceBeside: false })
      return opened(name, aead, body, associatedData)
    },
    destroy: aead.destroy,
  }
}

function derived(engine: Engine, name: AeadName, facts: TransitVersion): Opening {
  return {
    open(body, canonical) {
      const binding = { derived: true, nonceBeside: facts.convergent === 1 }
      const { context = canonical, associatedData, nonce } = transitContext(canonical, binding)
      const key = derivedKey(engine, facts, context, aeads[name].keyLength)
      const aead = engine.aead(name, key)
      try {
        return opened(name, aead, body, associatedData, nonce)
      } finally {
        aead.destroy()
        wipe(key)
      }
    },
    destroy() {},
  }
}

/** `nonce`, where it does not stand before the ciphertext. */
function opened(
  name: AeadName,
  aead: Aead,
  body: Uint8Array,
  associatedData: Uint8Array,
  nonce?: Uint8Array,
): Uint8Array | DecryptFailure {
  const { nonceLength } = aeads[name]
  const at = nonce === undefined ? nonceLength : 0
  if (body.length < at + tagLength) return 'malformed'
  if (nonce !== undefined && nonce.length !== nonceLength)
    throw new KmsError('INVALID_INPUT', `'vault:nonce' must be ${nonceLength} bytes, not ${nonce.length}`)
  return aead.open(nonce ?? body.slice(0, at), associatedData, body, at) ?? 'authentication_failed'
}

const noLabel = new Uint8Array(0)

/** `size`: of the modulus, in bytes. */
function decrypting(engine: Engine, size: number, { key }: TransitVersion): Opening {
  const privateKey = engine.rsa.privateKey(key)
  return {
    open(body, canonical) {
      // RSA-OAEP as Vault has it binds nothing: silence about it would promise what is not so.
      if (canonical.length !== 4)
        throw new KmsError(
          'INVALID_INPUT',
          "encryptionContext is not taken: transit's RSA ciphertexts are bound to none",
        )
      if (body.length !== size) return 'malformed'
      return andThen(privateKey.decrypt(body, noLabel), (plaintext) => plaintext ?? 'authentication_failed')
    },
    destroy: privateKey.destroy,
  }
}

function makesNothing(keyType: TransitKeyType): never {
  throw cannot(keyType, 'make anything')
}

function cannot(keyType: TransitKeyType, what: string): KmsError {
  return new KmsError('UNSUPPORTED_OPERATION', `a key of type ${keyType} cannot ${what}`)
}
