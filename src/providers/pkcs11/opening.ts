/** @node In the blocking thread: opening ciphertexts, and telling whether it is theirs or the token's fault when they do not. */
import { equal, wipe } from '../../crypto/bytes.ts'
import { ckr } from './constants.ts'
import { controlText, encrypt, gcm, ivLength, oaep, oaepHash, random, tagLength } from './crypt.ts'
import { faultOf, type Handle, type Mechanism } from './cryptoki.ts'
import { buffer, check } from './objects.ts'
import type { Jobs, Opened } from './protocol.ts'
import type { Connection } from './session.ts'

/** Only the ciphertext can be meant. */
const certain: readonly number[] = [
  ckr.ENCRYPTED_DATA_INVALID,
  ckr.ENCRYPTED_DATA_LEN_RANGE,
  ckr.AEAD_DECRYPT_FAILED,
  ckr.DATA_INVALID,
  ckr.DATA_LEN_RANGE,
]
/** A tag that does not fit, or a token that does not work: modules say the same to both. */
const ambiguous: readonly number[] = [ckr.GENERAL_ERROR, ckr.FUNCTION_FAILED, ckr.ARGUMENTS_BAD]

/** Sealed once a key and thread: each costs one of the key's nonces. */
const controls = new Map<string, { readonly iv: Uint8Array; readonly sealed: Uint8Array }>()
const mostControls = 1000

export function openGcm(connection: Connection, input: Jobs['openGcm']['input']): Opened {
  const { library } = connection
  const key = check(connection, input.key)
  const { iv, aad } = input
  return openOrTell(
    () => decrypt(connection, gcm(library, input.gcm, { iv, aad }), key, input.sealed),
    () => {
      const name = `${input.key.label} ${buffer(input.key.id).toString('hex')}`
      let control = controls.get(name)
      if (control === undefined) {
        const fresh = random(connection, ivLength)
        const mechanism = gcm(library, input.gcm, { iv: fresh, aad: controlText })
        const length = controlText.length + tagLength
        control = { iv: fresh, sealed: encrypt(connection, mechanism, key, { input: controlText, length }) }
        if (controls.size >= mostControls) controls.clear()
        controls.set(name, control)
      }
      const mechanism = gcm(library, input.gcm, { iv: control.iv, aad: controlText })
      return equal(
        decrypt(connection, mechanism, key, control.sealed).plaintext ?? controlText.subarray(1),
        controlText,
      )
    },
  )
}

export function openOaep(connection: Connection, input: Jobs['openOaep']['input']): Opened {
  const key = check(connection, input.key)
  const mechanism = oaep(connection.library, input.hash)
  const { hash } = input
  // Whoever wrote that hash into the header, it was not this token.
  if (input.publicKey !== undefined && hash !== oaepHash(connection, check(connection, input.publicKey), input.size))
    return { opened: false }
  return openOrTell(
    () => decrypt(connection, mechanism, key, input.block),
    () => {
      if (input.publicKey === undefined) return false
      const publicKey = check(connection, input.publicKey)
      const control = encrypt(connection, mechanism, publicKey, { input: controlText, length: input.size })
      return equal(decrypt(connection, mechanism, key, control).plaintext ?? controlText.subarray(1), controlText)
    },
  )
}

/** Undefined where the token refuses in a way that does not say whether it is the ciphertext: `failed` keeps what it said. */
function decrypt({ api, session }: Connection, mechanism: Mechanism, key: Handle, input: Uint8Array): Decrypted {
  const into = Buffer.alloc(input.length)
  api.C_DecryptInit(session, mechanism, key)
  try {
    const plaintext = api.C_Decrypt(session, buffer(input), into)
    return { plaintext: new Uint8Array(plaintext) }
  } catch (failed) {
    const rv = faultOf(failed)?.rv
    if (rv === undefined || !(certain.includes(rv) || ambiguous.includes(rv))) throw failed
    return { failed, certain: certain.includes(rv) }
  } finally {
    wipe(into)
  }
}

type Decrypted =
  | { readonly plaintext: Uint8Array; readonly failed?: never }
  | { readonly failed: unknown; readonly certain: boolean; readonly plaintext?: never }

/**
 * Opens a ciphertext; or, where the token's answer may mean anything, lets the same key open a ciphertext known to be good, and
 * tries once more: only what fails on both sides of that is the ciphertext's fault. Otherwise the token's error is thrown.
 */
function openOrTell(attempt: () => Decrypted, control: () => boolean): Opened {
  const first = attempt()
  if (first.plaintext !== undefined) return { opened: true, plaintext: first.plaintext }
  if (first.certain) return { opened: false }
  if (!control()) throw first.failed
  const second = attempt()
  return second.plaintext === undefined ? { opened: false } : { opened: true, plaintext: second.plaintext }
}
