/** Crypto and reads on a keyring: nothing changes, and nothing waits where the engine does not. */

import type { PreparedKeys } from '../../crypto/algorithms.ts'
import { wipe } from '../../crypto/bytes.ts'
import { encodeContext } from '../../crypto/canonical.ts'
import type { Engine } from '../../crypto/engine.ts'
import { isTransit } from '../../crypto/every-algorithm.ts'
import { requireHashing } from '../../crypto/fips.ts'
import { versionOf } from '../../crypto/frame.ts'
import { publicJwk } from '../../crypto/jwk.ts'
import { type DecryptFailure, type Evidence, KmsError } from '../../model/errors.ts'
import type { Key, KeyRef, KeyType } from '../../model/key.ts'
import type { EncryptionContext, Input, KeyUsage, Output, Used } from '../../model/operation.ts'
import { andThen, isPromise } from '../../model/promise.ts'
import type { CallInfo } from '../../model/provider.ts'
import { capable, hasVersion, type Keyring, type LiveKey, sealable, usable } from './keyring.ts'
import type { Usage } from './usage.ts'
import { keyWithUsage } from './view.ts'

export type UseOperation =
  | 'encrypt'
  | 'decrypt'
  | 'sign'
  | 'verify'
  | 'hmac'
  | 'verifyHmac'
  | 'generateDataKey'
  | 'reEncrypt'
  | 'describeKey'
  | 'listKeys'
  | 'getPublicKey'

export interface UseParts {
  /** Only what FIPS mode allows. */
  readonly fips: boolean
  readonly engine: Engine
  readonly keyring: Keyring
  readonly usage: Usage
}

export type Uses = { readonly [O in UseOperation]: (input: Input<O>, call: CallInfo) => Output<O> | Promise<Output<O>> }

const defaultDataKeyLength = 32

/**
 * The functions of the provider's table. Reads answer for keys of any status, getPublicKey too: who verifies elsewhere must
 * not lose the public key with a disabled key.
 */
export function keyringUses({ engine, keyring, usage, fips }: UseParts): Uses {
  function find(input: { readonly key: string }, call: CallInfo): LiveKey {
    return keyring.find(call.key?.identity ?? input.key, call.scope)
  }

  function shown({ stored, key }: LiveKey): Key {
    return keyWithUsage(stored, key, usage)
  }

  function opened(
    key: LiveKey,
    ciphertext: Uint8Array,
    context: EncryptionContext | undefined,
  ): Opened | Promise<Opened> {
    const version = (key.algorithm.versionOf ?? versionOf)(ciphertext)
    if (version === undefined) throw undecryptable(key.ref, 'malformed')
    if (!hasVersion(key, version)) throw undecryptable(key.ref, 'unknown_version')
    if (version < key.least) throw undecryptable(key.ref, 'version_below_minimum', version)
    const answer = keyring.version(key, 'encrypt', version).open(ciphertext, encodeContext(context))
    return andThen(answer, (plaintext) => {
      if (typeof plaintext === 'string') throw undecryptable(key.ref, plaintext, version)
      return { plaintext, version }
    })
  }

  /** The newest version that says yes, or the one asked for whatever it says. */
  function verdict<U extends 'sign' | 'mac'>(key: LiveKey, use: U, check: Check<U>): Verdict | Promise<Verdict> {
    const { keyVersion, passes } = check
    if (keyVersion !== undefined) {
      const version = keyring.version(key, use, usedVersion(key, keyVersion))
      return andThen(passes(version), (valid) => ({ key: key.ref, valid, keyVersion }))
    }
    return newestPassing(key, key.stored.versions.length, (version) => passes(keyring.version(key, use, version)))
  }

  /** Of the first `count` versions. */
  function newestPassing(
    key: LiveKey,
    count: number,
    passes: (version: number) => boolean | Promise<boolean>,
  ): Verdict | Promise<Verdict> {
    for (let at = count - 1; at >= 0; at--) {
      const keyVersion = key.stored.versions[at]?.version ?? 0 // never absent
      if (keyVersion < key.least) break
      const passed = passes(keyVersion)
      const yes = { key: key.ref, valid: true, keyVersion }
      if (isPromise(passed)) return passed.then((valid) => (valid ? yes : newestPassing(key, at, passes)))
      if (passed) return yes
    }
    return { key: key.ref, valid: false }
  }

  return {
    encrypt(input, call) {
      const key = usable(find(input, call), 'encrypt', 'encrypt')
      const keyVersion = usedVersion(key, input.keyVersion)
      const context = encodeContext(input.encryptionContext)
      const { version, meter } = keyring.sealing(key, keyVersion)
      const told = meter?.count(keyVersion)
      const sealed = version.seal(input.plaintext, context)
      if (told === undefined) return andThen(sealed, (ciphertext) => ({ key: key.ref, keyVersion, ciphertext }))
      return andThen(sealed, (ciphertext) => ({ key: key.ref, keyVersion, ciphertext, usage: told }))
    },
    decrypt(input, call) {
      const key = usable(find(input, call), 'encrypt', 'decrypt')
      return andThen(opened(key, input.ciphertext, input.encryptionContext), ({ plaintext, version }) => ({
        key: key.ref,
        keyVersion: version,
        plaintext,
      }))
    },
    sign(input, call) {
      const key = usable(find(input, call), 'sign', 'sign')
      if (fips) requireHashing(input.prehashed)
      const keyVersion = usedVersion(key, input.keyVersion)
      const signed = keyring.version(key, 'sign', keyVersion).sign(input.input, input)
      return andThen(signed, (signature) => ({ key: key.ref, keyVersion, signature }))
    },
    verify(input, call) {
      const key = usable(find(input, call), 'sign', 'verify')
      if (fips) requireHashing(input.prehashed)
      return verdict(key, 'sign', {
        keyVersion: input.keyVersion,
        passes: (version) => version.verify(input.input, input.signature, input),
      })
    },
    hmac(input, call) {
      const key = usable(find(input, call), 'mac', 'hmac')
      const keyVersion = usedVersion(key, input.keyVersion)
      return { key: key.ref, keyVersion, hmac: keyring.version(key, 'mac', keyVersion).mac(input.input, input) }
    },
    verifyHmac(input, call) {
      const key = usable(find(input, call), 'mac', 'verifyHmac')
      return verdict(key, 'mac', {
        keyVersion: input.keyVersion,
        passes: (version) => version.verifyMac(input.input, input.hmac, input),
      })
    },
    generateDataKey(input, call) {
      const key = usable(find(input, call), 'encrypt', 'generateDataKey')
      const keyVersion = key.latest
      const context = encodeContext(input.encryptionContext)
      const { version, meter } = keyring.sealing(key, keyVersion)
      const told = withUsage(meter?.count(keyVersion))
      const plaintext = new Uint8Array(input.length ?? defaultDataKeyLength)
      engine.randomFill(plaintext)
      const sealed = version.seal(plaintext, context)
      return andThen(sealed, (ciphertext) => ({ key: key.ref, keyVersion, plaintext, ciphertext, ...told }))
    },
    reEncrypt(input, call) {
      const key = usable(find(input, call), 'encrypt', 'reEncrypt')
      const named = input.destinationKey === undefined ? key : keyring.find(input.destinationKey, call.scope)
      const destination = sealable(named, 'reEncrypt')
      const context = encodeContext(input.destinationEncryptionContext ?? input.encryptionContext)
      return andThen(opened(key, input.ciphertext, input.encryptionContext), ({ plaintext, version }) => {
        let told: Pick<Used, 'usage'> = {}
        const sealed = wipedAfter(plaintext, () => {
          const sealing = keyring.sealing(destination)
          // A refusal's entry names the version that opened, as that of a success does.
          told = withUsage(sealing.meter?.count(version))
          return sealing.version.seal(plaintext, context)
        })
        return andThen(sealed, (ciphertext) => ({
          key: key.ref,
          keyVersion: version,
          ciphertext,
          destinationKey: destination.ref,
          destinationKeyVersion: destination.latest,
          ...told,
        }))
      })
    },
    describeKey(input, call) {
      return { key: shown(find(input, call)) }
    },
    listKeys(_input, call) {
      return { keys: keyring.list(call.scope).map(shown) }
    },
    getPublicKey(input, call) {
      const key = capable(find(input, call), 'sign', 'getPublicKey')
      const keyVersion = input.keyVersion ?? key.latest
      const { text, spki } = keyring.version(key, 'sign', keyVersion).publicKey
      return { key: key.ref, keyVersion, publicKey: text, spki, jwk: publicJwk(publicType(key), spki) }
    },
  }
}

/** Whose JWK its public keys have. */
function publicType({ stored: { keyType }, algorithm }: LiveKey): KeyType {
  if (!isTransit(keyType)) return keyType
  // Absent for types without public keys, which were refused.
  return algorithm.publicAs ?? 'ed25519'
}

/** The version asked for, or the latest; one below the key's minimum is `VERSION_NOT_FOUND`. */
function usedVersion(key: LiveKey, wanted: number | undefined): number {
  if (wanted === undefined) return key.latest
  if (wanted >= key.least) return wanted
  const message = `version ${wanted} is below ${key.least}, the least that the key lets be used: see updateMinDecryptionVersion`
  throw new KmsError('VERSION_NOT_FOUND', message, { key: key.stored.slug })
}

function withUsage(usage: KeyUsage | undefined): Pick<Used, 'usage'> {
  return usage === undefined ? {} : { usage }
}

/** Wipes `secret` when `use` is done with it, whatever came of it. */
function wipedAfter<T>(secret: Uint8Array, use: () => T | Promise<T>): T | Promise<T> {
  let answer: T | Promise<T> | undefined
  try {
    answer = use()
  } finally {
    if (answer === undefined || !isPromise(answer)) wipe(secret)
  }
  return isPromise(answer) ? answer.finally(() => wipe(secret)) : answer
}

interface Opened {
  readonly plaintext: Uint8Array
  readonly version: number
}

interface Verdict {
  readonly key: KeyRef
  readonly valid: boolean
  readonly keyVersion?: number
}

interface Check<U extends 'sign' | 'mac'> {
  readonly keyVersion: number | undefined
  readonly passes: (version: PreparedKeys[U]) => boolean | Promise<boolean>
}

/** One code and one message whatever failed: what exactly is evidence, for the entry only. */
function undecryptable(key: KeyRef, decryptFailure: DecryptFailure, keyVersion?: number): KmsError {
  const evidence: Evidence = keyVersion === undefined ? { decryptFailure } : { decryptFailure, keyVersion }
  const message = 'ciphertext does not open with this key and encryption context'
  return new KmsError('INVALID_CIPHERTEXT', message, { key: key.slug, evidence })
}
