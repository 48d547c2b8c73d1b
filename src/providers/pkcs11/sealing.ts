/** Encryption by keys of the token. */
import { wipe } from '../../crypto/bytes.ts'
import { encodeContext } from '../../crypto/canonical.ts'
import { type DecryptFailure, type Evidence, KmsError } from '../../model/errors.ts'
import type { EncryptionContext, Input, Operation, Output } from '../../model/operation.ts'
import type { CallInfo } from '../../model/provider.ts'
import type { TokenKey, TokenVersion } from './assemble.ts'
import { type Calls, noPublicKey, type Took, traceOf } from './calls.ts'
import { aadOf, behind, commitment, digestOf, type Frame, formats, frameOf, parseFrame } from './frame.ts'
import { refOf } from './keys.ts'
import type { Done } from './pool.ts'
import type { Abilities, Plaintext } from './protocol.ts'

type SealOperation = 'encrypt' | 'decrypt' | 'generateDataKey' | 'reEncrypt'

export type Sealings = { readonly [O in SealOperation]: (input: Input<O>, call: CallInfo) => Promise<Output<O>> }

interface Opening {
  readonly ciphertext: Uint8Array
  readonly encryptionContext?: EncryptionContext
}

interface Opened {
  readonly version: TokenVersion
  readonly plaintext: Uint8Array
  readonly took: Took
}

interface Sealing {
  readonly key: string
  readonly operation: Operation
  readonly keyVersion?: number | undefined
  readonly plaintext: Plaintext
  readonly context: EncryptionContext | undefined
}

interface Sealed {
  readonly ciphertext: Uint8Array
  /** What the token made up, if it was asked to. */
  readonly random?: Uint8Array
  readonly marks: { readonly flags?: readonly string[] }
  readonly took: Took
}

const defaultDataKeyLength = 32

export function tokenSealing({ keys, abilities, withKey, ask, need }: Calls): Sealings {
  function seal(
    sealing: Sealing,
    call: CallInfo,
  ): Promise<Sealed & { readonly key: TokenKey; readonly keyVersion: number }> {
    const { key: name, operation, keyVersion } = sealing
    return withKey({ key: name, use: 'encrypt', operation }, call, async (key) => {
      const version = await keys.version(key, keyVersion)
      const sealed = key.type.kind.is === 'rsa' ? sealOaep : sealGcm
      return { key, keyVersion: version.version, ...(await sealed(key, version, sealing, call)) }
    })
  }

  async function sealGcm(key: TokenKey, version: TokenVersion, sealing: Sealing, call: CallInfo): Promise<Sealed> {
    const bound = boundOf(key, version, sealing.context)
    const aad = aadOf({ ...bound, format: formats.gcm })
    const { plaintext } = sealing
    const job = { key: version.object, gcm: gcmWay(abilities), aad, prefix: commitment, plaintext }
    const { output, ...took } = await ask(version, 'sealGcm', job, call)
    const ciphertext = frameOf(formats.gcm, version.version, output.iv, output.sealed)
    return { ciphertext, ...randomOf(output), marks: {}, took }
  }

  async function sealOaep(key: TokenKey, version: TokenVersion, sealing: Sealing, call: CallInfo): Promise<Sealed> {
    need('RSA_PKCS_OAEP')
    const { publicObject: publicKey } = version
    if (publicKey === undefined) throw noPublicKey(key, version)
    const prefix = digestOf(boundOf(key, version, sealing.context))
    const { plaintext } = sealing
    const job = { key: version.object, publicKey, size: sizeOf(key), prefix, plaintext }
    const { output, ...took } = await ask(version, 'sealOaep', job, call)
    const ciphertext = frameOf(formats[output.hash], version.version, output.block)
    return { ciphertext, ...randomOf(output), marks: output.hash === 'sha1' ? { flags: ['oaep_sha1'] } : {}, took }
  }

  async function open(key: TokenKey, { ciphertext, encryptionContext }: Opening, call: CallInfo): Promise<Opened> {
    const frame = frameFor(key, ciphertext)
    if (frame === undefined) throw undecryptable(key, { decryptFailure: 'malformed' })
    const version = await versionNamed(key, frame)
    const keyVersion = version.version
    const bound = boundOf(key, version, encryptionContext)
    const { output, ...took } = await (frame.is === 'gcm'
      ? askGcm(version, frame, aadOf({ ...bound, format: formats.gcm }), call)
      : askOaep(version, frame, call))
    // A tag or a padding that does not fit: what exactly, the token does not say.
    if (!output.opened) throw undecryptable(key, { keyVersion, ...took })
    const plaintext = behind(frame.is === 'gcm' ? commitment : digestOf(bound), output.plaintext)
    wipe(output.plaintext)
    if (plaintext !== undefined && plaintext.length > 0) return { version, plaintext, took }
    const decryptFailure: DecryptFailure = frame.is === 'gcm' ? 'commitment_mismatch' : 'authentication_failed'
    throw undecryptable(key, { keyVersion, decryptFailure, ...took })
  }

  async function versionNamed(key: TokenKey, { version }: Frame): Promise<TokenVersion> {
    try {
      return await keys.version(key, version)
    } catch (error) {
      if (!(error instanceof KmsError) || error.code !== 'VERSION_NOT_FOUND') throw error
      throw undecryptable(key, { decryptFailure: 'unknown_version' })
    }
  }

  function askGcm(version: TokenVersion, frame: GcmFrame, aad: Uint8Array, call: CallInfo): Promise<Done<'openGcm'>> {
    const { iv, sealed } = frame
    return ask(version, 'openGcm', { key: version.object, gcm: gcmWay(abilities), aad, iv, sealed }, call)
  }

  function askOaep(version: TokenVersion, { hash, block }: OaepFrame, call: CallInfo): Promise<Done<'openOaep'>> {
    need('RSA_PKCS_OAEP')
    const { object: key, publicObject: publicKey } = version
    return ask(version, 'openOaep', { key, publicKey, size: block.length, hash, block }, call)
  }

  return {
    async encrypt(input, call) {
      const plaintext = { bytes: input.plaintext }
      const { key: name, keyVersion: asked, encryptionContext: context } = input
      const sealing = { key: name, operation: 'encrypt', keyVersion: asked, plaintext, context } as const
      const { key, keyVersion, ciphertext, marks, took } = await seal(sealing, call)
      return { key: refOf(key), keyVersion, ciphertext, ...marks, provider: traceOf(took) }
    },
    decrypt(input, call) {
      return withKey({ key: input.key, use: 'encrypt', operation: 'decrypt' }, call, async (key) => {
        const { version, plaintext, took } = await open(key, input, call)
        return { key: refOf(key), keyVersion: version.version, plaintext, provider: traceOf(took) }
      })
    },
    async generateDataKey(input, call) {
      const length = input.length ?? defaultDataKeyLength
      const { key: name, encryptionContext: context } = input
      const sealing = { key: name, operation: 'generateDataKey', plaintext: { random: length }, context } as const
      const { key, keyVersion, ciphertext, random, marks, took } = await seal(sealing, call)
      if (random?.length !== length) throw new KmsError('INTERNAL', 'the token gave no data key')
      return { key: refOf(key), keyVersion, plaintext: random, ciphertext, ...marks, provider: traceOf(took) }
    },
    async reEncrypt(input, call) {
      const wanted = { key: input.key, use: 'encrypt', operation: 'reEncrypt' } as const
      const { key, opened } = await withKey(wanted, call, async (found) => ({
        key: found,
        opened: await open(found, input, call),
      }))
      const bytes = opened.plaintext
      const context = input.destinationEncryptionContext ?? input.encryptionContext
      // What the call's key resolved to is not the destination.
      const { key: _source, ...elsewhere } = call
      const to = input.destinationKey === undefined ? call : elsewhere
      const name = input.destinationKey ?? input.key
      try {
        const sealed = await seal({ key: name, operation: 'reEncrypt', plaintext: { bytes }, context }, to)
        return {
          key: refOf(key),
          keyVersion: opened.version.version,
          ciphertext: sealed.ciphertext,
          destinationKey: refOf(sealed.key),
          destinationKeyVersion: sealed.keyVersion,
          ...sealed.marks,
          provider: traceOf(opened.took, sealed.took),
        }
      } finally {
        wipe(bytes)
      }
    },
  }
}

type GcmFrame = Extract<Frame, { readonly is: 'gcm' }>
type OaepFrame = Extract<Frame, { readonly is: 'oaep' }>

/** Undefined for what no key of this type can have made. */
function frameFor(key: TokenKey, ciphertext: Uint8Array): Frame | undefined {
  const frame = parseFrame(ciphertext)
  if (frame?.is === 'gcm') return key.type.kind.is === 'aes' ? frame : undefined
  return frame?.block.length === sizeOf(key) ? frame : undefined
}

/** Of an RSA modulus, in bytes. */
function sizeOf({ type: { kind } }: TokenKey): number {
  return kind.is === 'rsa' ? kind.size : 0
}

function boundOf({ type }: TokenKey, { version }: TokenVersion, context: EncryptionContext | undefined) {
  return { version, keyType: type.keyType, context: encodeContext(context) }
}

function randomOf({ random }: { readonly random?: Uint8Array }): { readonly random?: Uint8Array } {
  return random === undefined ? {} : { random }
}

function gcmWay({ gcm }: Abilities): NonNullable<Abilities['gcm']> {
  if (gcm === undefined) throw new KmsError('UNSUPPORTED_OPERATION', 'the token has no CKM_AES_GCM that works')
  return gcm
}

function undecryptable({ slug }: TokenKey, evidence: Evidence): KmsError {
  const message = 'ciphertext does not open with this key and encryption context'
  return new KmsError('INVALID_CIPHERTEXT', message, { key: slug, evidence })
}
