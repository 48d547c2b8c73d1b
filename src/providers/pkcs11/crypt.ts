/** @node In the blocking thread: crypto in the token, one operation a session at a time. */
import { engine } from '#engine'
import { concat, equal, utf8, wipe } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import type { HashAlgorithm } from '../../model/operation.ts'
import { cka, ckg, ckk, ckm, cko, ckr, oaepSource } from './constants.ts'
import { faultOf, type Handle, type Mechanism, type Pkcs11Js } from './cryptoki.ts'
import { attributes, buffer, check, read } from './objects.ts'
import type { GcmParameters, Jobs, OaepHash, Opened, Plaintext } from './protocol.ts'
import type { Connection } from './session.ts'

export const ivLength = 12
export const tagLength = 16

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

export function gcm(
  library: Pkcs11Js,
  parameters: GcmParameters,
  { iv, aad }: { readonly iv: Uint8Array; readonly aad: Uint8Array },
): Mechanism {
  const shared = { iv: buffer(iv), aad: buffer(aad), tagBits: 8 * tagLength }
  const parameter =
    parameters === 'with-bits'
      ? { type: library.CK_PARAMS_AES_GCM_v240, ivBits: 8 * ivLength, ...shared }
      : { type: library.CK_PARAMS_AES_GCM, ...shared }
  return { mechanism: ckm.AES_GCM, parameter }
}

export function oaep(library: Pkcs11Js, hash: OaepHash): Mechanism {
  const names = hash === 'sha256' ? ([ckm.SHA256, ckg.SHA256] as const) : ([ckm.SHA_1, ckg.SHA1] as const)
  const parameter = { type: library.CK_PARAMS_RSA_OAEP, hashAlg: names[0], mgf: names[1], source: oaepSource }
  return { mechanism: ckm.RSA_PKCS_OAEP, parameter }
}

const pssNames: { readonly [H in HashAlgorithm]: readonly [number, number, number] } = {
  sha256: [ckm.SHA256, ckg.SHA256, 32],
  sha384: [ckm.SHA384, ckg.SHA384, 48],
  sha512: [ckm.SHA512, ckg.SHA512, 64],
}

/** Random bytes of the token's own. */
export function random({ api, session }: Connection, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  api.C_GenerateRandom(session, buffer(bytes))
  // Also what a token leaves that answers without filling them in: as an IV, twice, that would give the key away.
  if (length >= ivLength && bytes.every((byte) => byte === 0))
    throw new KmsError('PROVIDER_UNAVAILABLE', 'the token answered C_GenerateRandom with zeros')
  return bytes
}

export function encrypt({ api, session }: Connection, mechanism: Mechanism, key: Handle, wanted: Wanted): Uint8Array {
  api.C_EncryptInit(session, mechanism, key)
  return exactly('C_Encrypt', wanted.length, api.C_Encrypt(session, buffer(wanted.input), Buffer.alloc(wanted.length)))
}

interface Wanted {
  readonly input: Uint8Array
  /** Bytes that must come back. */
  readonly length: number
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

const controlText = utf8('keytrail/pkcs11/control/1')

/** Sealed once a key and thread: each costs one of the key's nonces. */
const controls = new Map<string, { readonly iv: Uint8Array; readonly sealed: Uint8Array }>()
const mostControls = 1000

export function sealGcm(connection: Connection, input: Jobs['sealGcm']['input']): Jobs['sealGcm']['output'] {
  const { library } = connection
  const key = check(connection, input.key)
  const iv = random(connection, ivLength)
  const made = materialOf(connection, input.plaintext)
  const plaintext = concat([input.prefix, made.bytes])
  try {
    const mechanism = gcm(library, input.gcm, { iv, aad: input.aad })
    const sealed = encrypt(connection, mechanism, key, { input: plaintext, length: plaintext.length + tagLength })
    return { iv, sealed, ...(made.random !== undefined && { random: made.random }) }
  } finally {
    wipe(plaintext)
    if (made.random === undefined) wipe(made.bytes)
  }
}

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

export function sealOaep(connection: Connection, input: Jobs['sealOaep']['input']): Jobs['sealOaep']['output'] {
  check(connection, input.key)
  const publicKey = check(connection, input.publicKey)
  const made = materialOf(connection, input.plaintext)
  const plaintext = concat([input.prefix, made.bytes])
  try {
    const hash = oaepHash(connection, publicKey, input.size)
    const most = input.size - 2 * (hash === 'sha256' ? 32 : 20) - 2
    if (plaintext.length > most) {
      const message = `a plaintext under this key must be at most ${most - input.prefix.length} bytes, not ${made.bytes.length}`
      throw new KmsError('INVALID_INPUT', message)
    }
    const wanted = { input: plaintext, length: input.size }
    const block = encrypt(connection, oaep(connection.library, hash), publicKey, wanted)
    return { hash, block, ...(made.random !== undefined && { random: made.random }) }
  } finally {
    wipe(plaintext)
    if (made.random === undefined) wipe(made.bytes)
  }
}

/** Found out once: lists of mechanisms do not tell it. */
let hashOfOaep: OaepHash | undefined

function oaepHash(connection: Connection, publicKey: Handle, size: number): OaepHash {
  if (hashOfOaep !== undefined) return hashOfOaep
  const wanted = { input: controlText, length: size }
  try {
    encrypt(connection, oaep(connection.library, 'sha256'), publicKey, wanted)
    hashOfOaep = 'sha256'
  } catch (error) {
    const rv = faultOf(error)?.rv
    if (rv !== ckr.ARGUMENTS_BAD && rv !== ckr.MECHANISM_PARAM_INVALID && rv !== ckr.MECHANISM_INVALID) throw error
    encrypt(connection, oaep(connection.library, 'sha1'), publicKey, wanted)
    hashOfOaep = 'sha1'
  }
  return hashOfOaep
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

export function sign(connection: Connection, input: Jobs['sign']['input']): Jobs['sign']['output'] {
  const { api, library, session } = connection
  const key = check(connection, input.key)
  const { scheme, size } = input
  let mechanism: Mechanism
  if (scheme.is === 'bare') mechanism = { mechanism: scheme.mechanism }
  else {
    const [hashAlg, mgf, saltLen] = pssNames[scheme.hashAlgorithm]
    mechanism = { mechanism: ckm.RSA_PKCS_PSS, parameter: { type: library.CK_PARAMS_RSA_PSS, hashAlg, mgf, saltLen } }
  }
  api.C_SignInit(session, mechanism, key)
  const signature = api.C_Sign(session, buffer(input.input), Buffer.alloc(size))
  return { signature: exactly('C_Sign', size, signature) }
}

/** Wraps under a fresh key, which leaves with it: whoever may export an extractable key may choose its wrapping key anyway. */
export function wrap(connection: Connection, { key, mechanism }: Jobs['wrap']['input']): Jobs['wrap']['output'] {
  const { api, session } = connection
  const target = check(connection, key)
  const kek = new Uint8Array(32)
  engine.randomFill(kek)
  const wrapping = sessionSecret(connection, ckk.AES, kek, { [cka.WRAP]: true })
  const room = Buffer.alloc(mostWrapped)
  try {
    const wrapped = new Uint8Array(api.C_WrapKey(session, { mechanism }, wrapping, target, room))
    return { wrapped, kek }
  } finally {
    api.C_DestroyObject(session, wrapping)
  }
}

/** A PKCS#8 of an RSA-4096 key takes 2,400. */
const mostWrapped = 16_384

/** A key of known value for as long as the session, or until it is destroyed. */
export function sessionSecret(
  { api, session }: Connection,
  keyType: number,
  value: Uint8Array,
  uses: Readonly<Record<number, boolean>>,
): Handle {
  const template = {
    [cka.CLASS]: cko.SECRET_KEY,
    [cka.KEY_TYPE]: keyType,
    [cka.TOKEN]: false,
    [cka.VALUE]: buffer(value),
    ...uses,
  }
  return api.C_CreateObject(session, attributes(template))
}

/** In the clear: only for keys that were made to be read. */
export function value(connection: Connection, { key }: Jobs['value']['input']): Jobs['value']['output'] {
  const found = read(connection, check(connection, key), [cka.VALUE]).get(cka.VALUE)
  if (found === undefined) throw new KmsError('EXPORT_NOT_ALLOWED', 'the token does not let this key out in the clear')
  return { value: found }
}

function materialOf(
  connection: Connection,
  plaintext: Plaintext,
): { readonly bytes: Uint8Array; readonly random?: Uint8Array } {
  if ('bytes' in plaintext) return { bytes: plaintext.bytes }
  const bytes = random(connection, plaintext.random)
  return { bytes, random: bytes }
}

/** Bytes of our own, as many as the mechanism makes: anything else is no answer. */
function exactly(call: string, length: number, answer: Uint8Array): Uint8Array {
  if (answer.length !== length)
    throw new KmsError(
      'PROVIDER_UNAVAILABLE',
      `the token answered ${call} with ${answer.length} bytes instead of ${length}`,
    )
  return new Uint8Array(answer)
}
