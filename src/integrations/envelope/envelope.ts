/** `envelope`: seals and opens messages of any length under data keys of a KMS, whole or as Web Streams. */
import { type CallOptions, insideOf, KmsClient } from '../../client.ts'
import { openChunks, sealChunks, sealedLength } from '../../crypto/stream.ts'
import type { RequestContext } from '../../model/context.ts'
import { KmsError } from '../../model/errors.ts'
import type { KeyRef } from '../../model/key.ts'
import type { EncryptionContext } from '../../model/operation.ts'
import { type DataKeyCacheOptions, dataKeyCache } from './cache.ts'
import { defaultChunkLength, headerOf, isChunkLength } from './header.ts'
import { openingStream, sealingStream } from './machines.ts'
import {
  beginOpening,
  beginSealing,
  messageOf,
  notOpened,
  payloadGone,
  payloadOf,
  type Sender,
  useIn,
} from './message.ts'
import type { ByteTransform } from './streams.ts'

export interface EnvelopeOptions {
  /** Whose data keys they are. Each is a call of this client, with its entry. */
  readonly kms: KmsClient
  /** Identity or slug of the key that data keys are sealed under. */
  readonly key: string
  /** Uses a data key for more than one message, within limits. Without it each message has its own. */
  readonly cache?: DataKeyCacheOptions
  /** Bytes of plaintext in a chunk of what is sealed: a power of two from 4,096 to 1,048,576; 65,536 by default. */
  readonly chunkLength?: number
}

export interface Bound {
  /** Must be the same when opened as when sealed. Absent and empty are the same. */
  readonly encryptionContext?: EncryptionContext
}

/** Which key was used, and the entry that says so. */
export interface KeyUse {
  readonly key: KeyRef
  /** Absent where the service does not tell it. */
  readonly keyVersion?: number
  /** Of the entry: of the KMS call, or of the use of a cached data key. */
  readonly eventID: string
}

/** For `pipeThrough`. `used` settles when the data key's entry is accepted, or is refused; it need not be looked at. */
export type EnvelopeStream = ByteTransform & { readonly used: Promise<KeyUse> }

export interface Envelope {
  /**
   * Seals `plaintext`, of any length. Do not change its bytes until the promise settles. Errors: those of `generateDataKey`.
   */
  seal(
    input: Bound & { readonly plaintext: Uint8Array },
    options?: CallOptions,
  ): Promise<KeyUse & { readonly sealed: Uint8Array }>
  /**
   * Opens a whole message; releases nothing unless all of it is authentic. Errors: those of `decrypt`; everything that does not open
   * is the same `INVALID_CIPHERTEXT`, whose entry says why.
   */
  open(
    input: Bound & { readonly sealed: Uint8Array },
    options?: CallOptions,
  ): Promise<KeyUse & { readonly plaintext: Uint8Array }>
  /** Seals what is piped through it. Both sides fail with what `seal` would reject with. Holds one chunk. */
  sealStream(input?: Bound, options?: CallOptions): EnvelopeStream
  /**
   * Opens what is piped through it: each chunk is released once that chunk is authentic, and **before the end was seen**. That the
   * message was cut short is an error at the end, `INVALID_CIPHERTEXT` like any other: until the stream has ended without one, what
   * came out of it is only the beginning of something.
   */
  openStream(input?: Bound, options?: CallOptions): EnvelopeStream
  /** The same envelope, and the same cache, with `context` bound to each of its calls, as `KmsClient.with` does. */
  with(context: RequestContext): Envelope
  /** Wipes the cached data keys and refuses new messages (`CLOSED`); those under way go on to their end. Idempotent. The client stays open. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Seals data of any length under data keys that `kms` makes and seals under `key`. The format is on this folder's page, with a
 * program that opens it without keytrail.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option.
 * @example
 * ```ts
 * const orders = envelope({ kms, key: 'orders', cache: { maxAgeMs: 60_000 } })
 * const { sealed } = await orders.seal({ plaintext, encryptionContext: { order: '17' } })
 * const { plaintext } = await orders.open({ sealed, encryptionContext: { order: '17' } })
 *
 * await file.stream().pipeThrough(orders.sealStream()).pipeTo(upload)
 * ```
 */
export function envelope(options: EnvelopeOptions): Envelope {
  const { kms, key, chunkLength = defaultChunkLength } = checked(options)
  const { audit } = insideOf(kms)
  const cache = options.cache === undefined ? undefined : dataKeyCache(options.cache, audit)
  let closed = false
  return bound({ kms, key, chunkLength, cache })

  function bound(sender: Sender): Envelope {
    return {
      async seal(given, callOptions) {
        refuseIfClosed()
        const message = messageOf(sender, {
          operation: 'generateDataKey',
          given,
          payload: 'plaintext',
          options: callOptions,
        })
        const { bytes: plaintext, length } = await payloadOf(message)
        const { stream, dataKey, header } = await beginSealing(message, length)
        try {
          if (plaintext.length !== length) throw await payloadGone(message, dataKey)
          const sealed = new Uint8Array(header.length + sealedLength(length, chunkLength))
          sealed.set(header)
          sealChunks(stream, plaintext, sealed, header.length)
          return { sealed, ...useIn(dataKey) }
        } finally {
          stream.destroy()
        }
      },
      async open(given, callOptions) {
        refuseIfClosed()
        const message = messageOf(sender, { operation: 'decrypt', given, payload: 'sealed', options: callOptions })
        const { bytes: sealed, length } = await payloadOf(message)
        const header = headerOf(sealed)
        if (header === undefined) throw await notOpened(message, 'malformed')
        const { stream, dataKey } = await beginOpening(message, header, length - header.length)
        try {
          if (sealed.length !== length) throw await payloadGone(message, dataKey)
          const plaintext = openChunks(stream, sealed.subarray(header.length))
          if (plaintext === undefined) throw await notOpened(message, 'authentication_failed', dataKey)
          return { plaintext, ...useIn(dataKey) }
        } finally {
          stream.destroy()
        }
      },
      sealStream(given = {}, callOptions = {}) {
        refuseIfClosed()
        const input = { operation: 'generateDataKey', given, payload: undefined } as const
        return sealingStream((options) => messageOf(sender, { ...input, options }), callOptions)
      },
      openStream(given = {}, callOptions = {}) {
        refuseIfClosed()
        const input = { operation: 'decrypt', given, payload: undefined } as const
        return openingStream((options) => messageOf(sender, { ...input, options }), callOptions)
      },
      with: (context) => bound({ ...sender, kms: sender.kms.with(context) }),
      close,
      [Symbol.asyncDispose]: close,
    }
  }

  function refuseIfClosed(): void {
    if (closed) throw audit.countRefused(new KmsError('CLOSED', 'this envelope is closed'))
  }

  async function close(): Promise<void> {
    closed = true
    cache?.close()
  }
}

function checked(options: EnvelopeOptions): EnvelopeOptions {
  if (typeof options !== 'object' || options === null) refuse('envelope takes one object: { kms, key }')
  const { kms, key, chunkLength = defaultChunkLength } = options
  if (!(kms instanceof KmsClient)) refuse("'kms' must be a KmsClient")
  if (typeof key !== 'string' || key.length === 0 || key.length > 256)
    refuse("'key' must be a key's identity or slug: a string of 1–256 characters")
  if (!isChunkLength(chunkLength)) refuse("'chunkLength' must be a power of two from 4,096 to 1,048,576")
  return options
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
