/** Crypto and reads on a keyring: nothing changes, and nothing waits where the engine does not. */

import type { PreparedKeys } from '../../crypto/algorithms.ts'
import { wipe } from '../../crypto/bytes.ts'
import { encodeContext } from '../../crypto/canonical.ts'
import type { Engine } from '../../crypto/engine.ts'
import { requireHashing } from '../../crypto/fips.ts'
import { versionOf } from '../../crypto/frame.ts'
import { publicJwk } from '../../crypto/jwk.ts'
import { type DecryptFailure, type Evidence, KmsError } from '../../model/errors.ts'
import type { KeyRef } from '../../model/key.ts'
import type { EncryptionContext, Input, Output } from '../../model/operation.ts'
import { andThen, isPromise } from '../../model/promise.ts'
import type { CallInfo } from '../../model/provider.ts'
import { capable, hasVersion, type Keyring, type LiveKey, usable } from './keyring.ts'

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

export type Uses = { readonly [O in UseOperation]: (input: Input<O>, call: CallInfo) => Output<O> | Promise<Output<O>> }

const defaultDataKeyLength = 32

/**
 * The functions of the provider's table. Reads answer for keys of any status, getPublicKey too: who verifies elsewhere must
 * not lose the public key with a disabled key.
 */
export function keyringUses(engine: Engine, keyring: Keyring, { fips }: { readonly fips: boolean }): Uses {
  function find(input: { readonly key: string }, call: CallInfo): LiveKey {
    return keyring.find(call.key?.identity ?? input.key, call.scope)
  }

  function opened(
    key: LiveKey,
    ciphertext: Uint8Array,
    context: EncryptionContext | undefined,
  ): Opened | Promise<Opened> {
    const version = versionOf(ciphertext)
    if (version === undefined) throw undecryptable(key.ref, 'malformed')
    if (!hasVersion(key, version)) throw undecryptable(key.ref, 'unknown_version')
    const answer = keyring.version(key, 'encrypt', version).open(ciphertext, encodeContext(context))
    return andThen(answer, (plaintext) => {
      if (typeof plaintext === 'string') throw undecryptable(key.ref, plaintext, version)
      return { plaintext, version }
    })
  }

  /** The newest version that says yes, or the one asked for whatever it says. */
  function verdict<U extends 'sign' | 'mac'>(key: LiveKey, use: U, check: Check<U>): Verdict | Promise<Verdict> {
    const { keyVersion, passes } = check
    if (keyVersion !== undefined)
      return andThen(passes(keyring.version(key, use, keyVersion)), (valid) => ({ key: key.ref, valid, keyVersion }))
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
      const keyVersion = input.keyVersion ?? key.latest
      const version = keyring.version(key, 'encrypt', keyVersion)
      const sealed = version.seal(input.plaintext, encodeContext(input.encryptionContext))
      return andThen(sealed, (ciphertext) => ({ key: key.ref, keyVersion, ciphertext }))
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
      const keyVersion = input.keyVersion ?? key.latest
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
      const keyVersion = input.keyVersion ?? key.latest
      return { key: key.ref, keyVersion, hmac: keyring.version(key, 'mac', keyVersion).mac(input.input, input) }
    },
    verifyHmac(input, call) {
      const key = usable(find(input, call), 'mac', 'verifyHmac')
      return verdict(key, 'mac', {
        keyVersion: input.keyVersion,
        passes: (version) => version.verify(input.input, input.hmac, input),
      })
    },
    generateDataKey(input, call) {
      const key = usable(find(input, call), 'encrypt', 'generateDataKey')
      const keyVersion = key.latest
      const plaintext = new Uint8Array(input.length ?? defaultDataKeyLength)
      engine.randomFill(plaintext)
      const context = encodeContext(input.encryptionContext)
      const sealed = keyring.version(key, 'encrypt', keyVersion).seal(plaintext, context)
      return andThen(sealed, (ciphertext) => ({ key: key.ref, keyVersion, plaintext, ciphertext }))
    },
    reEncrypt(input, call) {
      const key = usable(find(input, call), 'encrypt', 'reEncrypt')
      const named = input.destinationKey === undefined ? key : keyring.find(input.destinationKey, call.scope)
      const destination = usable(named, 'encrypt', 'reEncrypt')
      const context = encodeContext(input.destinationEncryptionContext ?? input.encryptionContext)
      return andThen(opened(key, input.ciphertext, input.encryptionContext), ({ plaintext, version }) => {
        const sealed = wipedAfter(plaintext, () => keyring.version(destination, 'encrypt').seal(plaintext, context))
        return andThen(sealed, (ciphertext) => ({
          key: key.ref,
          keyVersion: version,
          ciphertext,
          destinationKey: destination.ref,
          destinationKeyVersion: destination.latest,
        }))
      })
    },
    describeKey(input, call) {
      return { key: find(input, call).key }
    },
    listKeys(_input, call) {
      return { keys: keyring.list(call.scope).map(({ key }) => key) }
    },
    getPublicKey(input, call) {
      const key = capable(find(input, call), 'sign', 'getPublicKey')
      const keyVersion = input.keyVersion ?? key.latest
      const { text, spki } = keyring.version(key, 'sign', keyVersion).publicKey
      return { key: key.ref, keyVersion, publicKey: text, spki, jwk: publicJwk(key.stored.keyType, spki) }
    },
  }
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
