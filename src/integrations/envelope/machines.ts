/** The streams of an envelope: the data key is fetched when the first bytes come, or the end, and is let go of however the stream ends. */

import type { CallOptions } from '../../client.ts'
import { concat } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { host, type Signal } from '../../model/host.ts'
import { type Chunks, chunkOpener, chunkSealer } from './chunking.ts'
import type { EnvelopeStream, KeyUse } from './envelope.ts'
import { type EnvelopeHeader, readHeader } from './header.ts'
import { type Begun, beginOpening, beginSealing, type Message, notOpened, useIn } from './message.ts'
import { byteStreams, type Machine, type Out } from './streams.ts'

/** `options` with a signal that ends the message's call of the KMS together with the stream. */
export type MessageWith = (options: CallOptions) => Message

/** A message that has its key. */
interface Underway extends Begun {
  readonly chunks: Chunks
  /** Goes before the chunks. */
  readonly header?: Uint8Array
  /** What is to be sealed or opened of the bytes that came. */
  readonly rest: Uint8Array
}

/** Undefined while more bytes are needed; `isEnd`: there are none. */
type Begin = (bytes: Uint8Array, isEnd: boolean) => Promise<Underway | undefined>

export function sealingStream(messageWith: MessageWith, options: CallOptions): EnvelopeStream {
  return streamOf(options, (own) => {
    const message = messageWith(own)
    return async (bytes) => {
      const { stream, dataKey, header } = await beginSealing(message, 0)
      return { stream, dataKey, chunks: chunkSealer(stream, dataKey.count), header, rest: bytes }
    }
  })
}

export function openingStream(messageWith: MessageWith, options: CallOptions): EnvelopeStream {
  return streamOf(options, (own) => {
    const message = messageWith(own)
    let head: Uint8Array = new Uint8Array(0)

    /** Gathers the header; undefined while there is more of it to come. */
    async function headed(bytes: Uint8Array): Promise<{ header: EnvelopeHeader; rest: Uint8Array } | undefined> {
      for (let at = 0; ; ) {
        const header = readHeader(head)
        if (header === 'malformed') throw await notOpened(message, 'malformed')
        if ('sealedKey' in header) return { header, rest: bytes.subarray(at) }
        const part = bytes.subarray(at, at + header.needs - head.length)
        if (part.length === 0) return undefined
        head = concat([head, part])
        at += part.length
      }
    }

    return async (bytes, isEnd) => {
      const found = await headed(bytes)
      if (found === undefined && isEnd) throw await notOpened(message, 'malformed')
      if (found === undefined) return undefined
      const { stream, dataKey } = await beginOpening(message, found.header, 0)
      const refuse = async () => {
        throw await notOpened(message, 'authentication_failed', dataKey)
      }
      return { stream, dataKey, chunks: chunkOpener(stream, dataKey.count, refuse), rest: found.rest }
    }
  })
}

function streamOf(options: CallOptions, prepare: (own: CallOptions) => Begin): EnvelopeStream {
  const stop = new host.AbortController()
  const given = { ...options }
  const signal = isSignal(given.signal) ? given.signal : undefined
  // What is no signal goes to the client, which refuses the call and records it.
  const begin = prepare(given.signal === signal ? { ...given, signal: stop.signal } : given)
  let chunks: Chunks | undefined
  let isOver = false
  let settle: { readonly resolve: (use: KeyUse) => void; readonly reject: (error: unknown) => void } | undefined
  const used = new Promise<KeyUse>((resolve, reject) => {
    settle = { resolve, reject }
  })
  // Who does not look at it hears of the failure from the stream.
  used.catch(nothing)

  const machine: Machine = {
    async write(bytes, out) {
      const rest = chunks === undefined ? await begun(bytes, out, false) : bytes
      if (chunks !== undefined) await chunks.write(rest, out)
    },
    async end(out) {
      if (chunks === undefined) await begun(new Uint8Array(0), out, true)
      await chunks?.end(out)
    },
    destroy(reason) {
      isOver = true
      signal?.removeEventListener('abort', abort)
      stop.abort()
      chunks?.destroy()
      settle?.reject(reason)
    },
  }
  const { pair, fail } = byteStreams(machine)
  if (signal?.aborted === true) abort()
  else signal?.addEventListener('abort', abort, { once: true })
  return Object.assign(pair, { used })

  async function begun(bytes: Uint8Array, out: Out, isEnd: boolean): Promise<Uint8Array> {
    const underway = await begin(bytes, isEnd)
    if (underway === undefined) return bytes
    if (isOver) {
      underway.chunks.destroy()
      throw aborted()
    }
    chunks = underway.chunks
    settle?.resolve(useIn(underway.dataKey))
    if (underway.header !== undefined) out.give(underway.header)
    return underway.rest
  }

  function abort(): void {
    fail(aborted())
  }
}

function isSignal(value: unknown): value is Signal {
  const { addEventListener, removeEventListener }: Partial<Signal> = Object(value)
  return typeof addEventListener === 'function' && typeof removeEventListener === 'function'
}

function aborted(): KmsError {
  return new KmsError('ABORTED', 'the stream was ended before its message was')
}

function nothing(): void {}
