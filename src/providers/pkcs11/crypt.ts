/** @node In the blocking thread: sealing and signing in the token, one operation a session at a time. */
import { concat, utf8, wipe } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import type { HashAlgorithm } from '../../model/operation.ts'
import { ckg, ckm, ckr, oaepSource } from './constants.ts'
import { faultOf, type Handle, type Mechanism, type Pkcs11Js } from './cryptoki.ts'
import { buffer, check } from './objects.ts'
import type { GcmParameters, Jobs, OaepHash, Plaintext } from './protocol.ts'
import type { Connection } from './session.ts'

export const ivLength = 12
export const tagLength = 16

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

export const controlText: Uint8Array = utf8('keytrail/pkcs11/control/1')

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

export function oaepHash(connection: Connection, publicKey: Handle, size: number): OaepHash {
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
