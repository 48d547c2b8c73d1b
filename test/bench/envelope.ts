/**
 * @node Envelopes of 64 MiB beside the bare cipher: one `createCipheriv` or `createDecipheriv` for all of it, without chunks. Whole: as
 * everywhere in this bench, what a developer would write, with nonce and tag joined to one array as ours is; for information, beside
 * `update` alone too. As streams: both sides piped from one source of 64 KiB pieces, the bare cipher in a `TransformStream` (which
 * releases what it opens before anything of it is authentic); for information, beside bare calls without a stream, a cipher for each 64 KiB.
 */
import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, randomFillSync } from 'node:crypto'
import { ReadableStream, TransformStream } from 'node:stream/web'
import { type Envelope, type EnvelopeStream, envelope } from '../../src/integrations/envelope/index.ts'
import { bareDecrypt, bareEncrypt } from './bare.ts'
import { remembered } from './clients.ts'
import type { Contest, Figure, Side } from './figure.ts'

export const envelopeFigures: readonly Figure[] = [
  {
    name: 'envelope-seal',
    text: 'envelope ÷ bare: seal 64 MiB, speed',
    of: 'speed',
    aim: { atLeast: 0.8 },
    open: () => seal(() => bareEncrypt(plaintext)),
  },
  {
    name: 'envelope-open',
    text: 'envelope ÷ bare: open 64 MiB, speed',
    of: 'speed',
    aim: { atLeast: 0.8 },
    open: () => {
      const bare = bareEncrypt(plaintext)
      return open(() => bareDecrypt(bare))
    },
  },
  {
    name: 'envelope-seal-stream',
    text: 'envelope ÷ bare cipher in a stream: seal 64 MiB, speed',
    of: 'speed',
    aim: { atLeast: 0.8 },
    open: sealStream,
  },
  {
    name: 'envelope-open-stream',
    text: 'envelope ÷ bare cipher in a stream: open 64 MiB, speed',
    of: 'speed',
    aim: { atLeast: 0.8 },
    open: openStream,
  },
  {
    name: 'envelope-seal-update',
    text: 'envelope ÷ one update, nothing joined: seal 64 MiB, speed',
    of: 'speed',
    open: () => seal(bareSeal),
  },
  {
    name: 'envelope-open-update',
    text: 'envelope ÷ one update, nothing joined: open 64 MiB, speed',
    of: 'speed',
    open: () => open(bareUpdateOpening()),
  },
  {
    name: 'envelope-no-stream',
    text: 'envelope in a stream ÷ bare cipher a chunk, no stream: seal 64 MiB, speed',
    of: 'speed',
    open: noStream,
  },
]

const chunkLength = 65_536
const count = 1024
const plaintext = new Uint8Array(chunkLength * count)
const secret = createSecretKey(randomBytes(32))
const nonce = new Uint8Array(12)
/** Few, and each with what the one before left collected: payloads are large. */
const measuring = { turns: 1, rounds: 15, collects: true } as const

async function ready(): Promise<Envelope> {
  randomFillSync(plaintext)
  const { kms } = await remembered('xaes256-gcm')
  return envelope({ kms, key: 'key' })
}

async function seal(reference: () => unknown): Promise<Contest> {
  const sealing = await ready()
  return { ours: once(() => sealing.seal({ plaintext })), reference: once(reference), ...measuring }
}

async function open(reference: () => unknown): Promise<Contest> {
  const opening = await ready()
  const { sealed } = await opening.seal({ plaintext })
  deepStrictEqual((await opening.open({ sealed })).plaintext, plaintext)
  return { ours: once(() => opening.open({ sealed })), reference: once(reference), ...measuring }
}

function bareUpdateOpening(): () => void {
  const { body, tag } = bareSeal()
  return () => {
    const decipher = createDecipheriv('aes-256-gcm', secret, nonce)
    decipher.setAuthTag(tag)
    strictEqual(decipher.update(body).length, plaintext.length)
    decipher.final()
  }
}

async function sealStream(): Promise<Contest> {
  const sealing = await ready()
  const pieces = piecesOf(plaintext, chunkLength)
  return {
    ours: once(() => piped(pieces, sealing.sealStream())),
    reference: once(() => piped(pieces, bareSealing())),
    ...measuring,
  }
}

async function openStream(): Promise<Contest> {
  const opening = await ready()
  const { sealed } = await opening.seal({ plaintext })
  // As a file or a socket gives it: not where the chunks begin.
  const pieces = piecesOf(sealed, chunkLength)
  strictEqual(await piped(pieces, opening.openStream()), plaintext.length)
  const { body, tag } = bareSeal()
  const barePieces = piecesOf(body, chunkLength)
  return {
    ours: once(() => piped(pieces, opening.openStream())),
    reference: once(() => piped(barePieces, bareOpening(tag))),
    ...measuring,
  }
}

async function noStream(): Promise<Contest> {
  const sealing = await ready()
  const pieces = piecesOf(plaintext, chunkLength)
  return {
    ours: once(() => piped(pieces, sealing.sealStream())),
    reference: once(() => pieces.forEach(bareSealChunk)),
    ...measuring,
  }
}

function once(run: () => unknown): Side {
  return {
    calls: 1,
    async run() {
      await run()
    },
  }
}

function piecesOf(bytes: Uint8Array, length: number): readonly Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / length) }, (_, at) =>
    bytes.subarray(at * length, (at + 1) * length),
  )
}

/** Bytes that came out. */
async function piped(
  pieces: readonly Uint8Array[],
  through: EnvelopeStream | TransformStream<Uint8Array, Uint8Array>,
): Promise<number> {
  let at = 0
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces[at++]
      if (piece === undefined) controller.close()
      else controller.enqueue(piece)
    },
  })
  let bytes = 0
  for await (const chunk of source.pipeThrough<Uint8Array>(through)) bytes += chunk.length
  return bytes
}

function bareSeal() {
  const cipher = createCipheriv('aes-256-gcm', secret, nonce)
  const body = cipher.update(plaintext)
  cipher.final()
  return { body, tag: cipher.getAuthTag() }
}

function bareSealing(): TransformStream<Uint8Array, Uint8Array> {
  const cipher = createCipheriv('aes-256-gcm', secret, nonce)
  return new TransformStream({
    transform: (piece, controller) => controller.enqueue(cipher.update(piece)),
    flush(controller) {
      cipher.final()
      controller.enqueue(cipher.getAuthTag())
    },
  })
}

function bareOpening(tag: Buffer): TransformStream<Uint8Array, Uint8Array> {
  const decipher = createDecipheriv('aes-256-gcm', secret, nonce)
  decipher.setAuthTag(tag)
  return new TransformStream({
    transform: (piece, controller) => controller.enqueue(decipher.update(piece)),
    flush: () => void decipher.final(),
  })
}

function bareSealChunk(piece: Uint8Array, at: number): Buffer {
  const iv = new Uint8Array(12)
  new DataView(iv.buffer).setUint32(8, at)
  const cipher = createCipheriv('aes-256-gcm', secret, iv)
  cipher.update(piece)
  cipher.final()
  return cipher.getAuthTag()
}
