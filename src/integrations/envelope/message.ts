/** One message: its data key and its own key, for sealing and for opening; and what is said, and recorded, when it does not open. */
import { engine } from '#engine'
import { accepted } from '../../audit/accept.ts'
import { copyContext } from '../../audit/context.ts'
import { asOfNow, type CallOptions, type Inside, insideOf, type KmsClient } from '../../client.ts'
import { equal, wipe } from '../../crypto/bytes.ts'
import { encodeContext } from '../../crypto/canonical.ts'
import { randomBytes } from '../../crypto/random.ts'
import { dataKeyLength, type StreamKey, streamKey, streamSaltLength } from '../../crypto/stream.ts'
import { asKmsError } from '../../model/dispatch.ts'
import { type DecryptFailure, KmsError } from '../../model/errors.ts'
import type { EncryptionContext } from '../../model/operation.ts'
import type { DataKeyCache } from './cache.ts'
import { type DataKey, fetchDataKey, insideWith, useOf } from './data-keys.ts'
import type { KeyUse } from './envelope.ts'
import { type EnvelopeHeader, encodeHeader, streamInfo } from './header.ts'
import { type DataKeyOperation, type FetchedKey, recordRefusal } from './record.ts'
import { bytesGone, bytesOf } from './streams.ts'

/** What the messages of one envelope share, with what is bound to its client. */
export interface Sender {
  readonly kms: KmsClient
  readonly key: string
  readonly chunkLength: number
  readonly cache: DataKeyCache | undefined
}

/** What one message is bound to, and whose call it is. */
export interface Message {
  readonly sender: Sender
  readonly operation: DataKeyOperation
  /** A copy; or why it is none. */
  readonly bound: { readonly pairs: EncryptionContext | undefined; readonly context: Uint8Array } | KmsError
  /** What is to be sealed or opened, as it was given: not copied. */
  readonly payload: unknown
  readonly options: CallOptions
  /** Monotonic clock, of a whole message: its one deadline runs from then. A stream's lasts as long as the stream does. */
  readonly begunAt?: number
}

export interface Begun {
  readonly stream: StreamKey
  readonly dataKey: Omit<DataKey, 'plaintext'>
}

export interface MessageInput {
  readonly operation: DataKeyOperation
  /** What the caller gave: an object with an encryption context and, named by `payload`, bytes. */
  readonly given: unknown
  readonly payload: 'plaintext' | 'sealed' | undefined
  readonly options: CallOptions | undefined
}

/**
 * All but the payload is copied now, and who asks is who asks now: a stream is begun by whoever writes to it, and that may be another
 * request. What is wrong with it is told, and recorded, when the message is begun.
 */
export function messageOf(sender: Sender, { operation, given, payload, options }: MessageInput): Message {
  let base: Omit<Message, 'bound' | 'payload'> = { sender, operation, options: { ...options } }
  try {
    const { context } = base.options
    const kms = asOfNow(sender.kms)
    base = {
      ...base,
      sender: { ...sender, kms },
      options: { ...base.options, ...(context !== undefined && { context: copyContext(context) }) },
      ...(payload !== undefined && { begunAt: insideOf(kms).audit.clock.monotonic() }),
    }
    const { encryptionContext, ...fields }: Readonly<Record<string, unknown>> = { ...Object(given) }
    const unknown = Object.keys(fields).find((name) => name !== payload)
    if (unknown !== undefined)
      throw new KmsError(
        'INVALID_INPUT',
        `an envelope takes ${payload ? `${payload} and ` : ''}encryptionContext, and no other field`,
      )
    return { ...base, bound: boundTo(encryptionContext), payload: payload && fields[payload] }
  } catch (error) {
    const refusal =
      error instanceof KmsError ? error : new KmsError('INVALID_INPUT', 'the input could not be read', { cause: error })
    return { ...base, bound: refusal, payload: undefined }
  }
}

function boundTo(encryptionContext: unknown): Exclude<Message['bound'], KmsError> {
  if (encryptionContext === undefined) return { pairs: undefined, context: encodeContext(undefined) }
  // What is no plain object of strings is refused before it is copied.
  encodeContext(encryptionContext as EncryptionContext)
  const pairs = { ...(encryptionContext as EncryptionContext) }
  return { pairs, context: encodeContext(pairs) }
}

/** The caller's bytes, and how many they were when the call came: fewer once their buffer is transferred or shrunk. */
export interface Payload {
  readonly bytes: Uint8Array
  readonly length: number
}

/** What is to be sealed or opened. Errors: `INVALID_INPUT`, with its entry. */
export async function payloadOf(message: Message): Promise<Payload> {
  const { operation, bound, payload } = message
  if (bound instanceof KmsError) throw await refused(message, bound)
  try {
    const bytes = bytesOf(payloadName(operation), payload)
    return { bytes, length: bytes.length }
  } catch (error) {
    throw await refused(message, asKmsError(error))
  }
}

/** What the caller hears whose payload is gone, once its entry is accepted. */
export function payloadGone(message: Message, dataKey: FetchedKey): Promise<KmsError> {
  return refused(message, bytesGone(payloadName(message.operation)), dataKey)
}

function payloadName(operation: DataKeyOperation): 'sealed' | 'plaintext' {
  return operation === 'decrypt' ? 'sealed' : 'plaintext'
}

/** Which key was used, as the caller hears it. */
export function useIn({ key, keyVersion, eventID }: Omit<DataKey, 'plaintext'>): KeyUse {
  return { key, ...(keyVersion !== undefined && { keyVersion }), eventID }
}

/** A new message of `bytes`, or 0 while that is not known; its header can be given out at once. */
export async function beginSealing(message: Message, bytes: number): Promise<Begun & { readonly header: Uint8Array }> {
  const { chunkLength } = message.sender
  const { plaintext, context, dataKey } = await dataKeyOf(message, undefined, bytes)
  try {
    const salt = randomBytes(streamSaltLength)
    const info = streamInfo(chunkLength, context)
    const stream = streamKey(engine, { dataKey: plaintext, salt, info, chunkLength })
    const header = encodeHeader({ chunkLength, salt, commitment: stream.commitment, sealedKey: dataKey.sealedKey })
    return { stream, dataKey, header }
  } finally {
    wipe(plaintext)
  }
}

/** The message of `header`, of about `bytes`. Errors: `INVALID_CIPHERTEXT` if it is not of this KMS, key, context and header. */
export async function beginOpening(message: Message, header: EnvelopeHeader, bytes: number): Promise<Begun> {
  const { salt, chunkLength } = header
  const { plaintext, context, dataKey } = await dataKeyOf(message, header.sealedKey, bytes)
  try {
    if (plaintext.length === dataKeyLength) {
      const info = streamInfo(chunkLength, context)
      const stream = streamKey(engine, { dataKey: plaintext, salt, info, chunkLength })
      if (equal(stream.commitment, header.commitment)) return { stream, dataKey }
      stream.destroy()
    }
  } finally {
    wipe(plaintext)
  }
  throw await notOpened(message, 'commitment_mismatch', dataKey)
}

interface Fetched {
  readonly plaintext: Uint8Array
  readonly context: Uint8Array
  readonly dataKey: Omit<DataKey, 'plaintext'>
}

async function dataKeyOf(message: Message, sealedKey: Uint8Array | undefined, bytes: number): Promise<Fetched> {
  const { sender, bound, options } = message
  if (bound instanceof KmsError) throw await refused(message, bound)
  const { kms, key, cache } = sender
  const { pairs: encryptionContext, context } = bound
  const request = { kms, key, encryptionContext, context, bytes, options, ...(sealedKey && { sealedKey }) }
  try {
    const { plaintext, ...dataKey } = await fetchDataKey(request, cache)
    return { plaintext, context, dataKey }
  } catch (error) {
    throw sealedKey !== undefined && error instanceof KmsError ? asHeard(error) : error
  }
}

/** A data key that the KMS does not open is a message that does not open, and has its entry. */
function asHeard(error: KmsError): KmsError {
  const { code, operation = 'decrypt', key, eventID } = error
  if (code !== 'INVALID_CIPHERTEXT') return error
  return new KmsError(code, doesNotOpen, { operation, ...(key !== undefined && { key }), ...(eventID && { eventID }) })
}

const doesNotOpen = 'sealed message does not open with this key and encryption context'

/** What the caller hears of a message that does not open, once its entry, which says why, is accepted. */
export function notOpened(message: Message, decryptFailure: DecryptFailure, dataKey?: FetchedKey): Promise<KmsError> {
  const error = new KmsError('INVALID_CIPHERTEXT', doesNotOpen, { evidence: { decryptFailure } })
  return refused(message, error, dataKey)
}

/** `error` as the caller hears it, once its entry is accepted; or why that was not. */
export async function refused(message: Message, error: KmsError, dataKey?: FetchedKey): Promise<KmsError> {
  const { sender, operation, bound, options } = message
  const { kms, key } = sender
  const inside = insideOrRefusal(kms, options)
  // Context or options are wrong: the client refuses any call with them, and records it. These inputs it would refuse anyway.
  if (inside instanceof KmsError) {
    const hopeless = operation === 'decrypt' ? { key } : { key, length: 0 }
    return kms.call(operation, hopeless as never, options).then(() => inside, asKmsError)
  }
  try {
    const { audit, deadlineMs } = inside
    const barred = audit.admit()
    if (barred !== undefined) return barred
    const encryptionContext = bound instanceof KmsError ? undefined : bound.pairs
    const { begunAt = audit.clock.monotonic() } = message
    const use = { ...useOf({ operation, key, encryptionContext }, inside), begunAt }
    const draft = recordRefusal(use, error, dataKey)
    const eventID = audit.join(draft) ?? (await accepted(audit, draft, begunAt + deadlineMs))
    return new KmsError(error.code, error.message, { operation, key, eventID })
  } catch (failure) {
    return asKmsError(failure)
  }
}

function insideOrRefusal(kms: KmsClient, options: CallOptions): Inside | KmsError {
  try {
    return insideWith(kms, options)
  } catch (error) {
    return asKmsError(error)
  }
}
