/** @node Envelopes as Web Streams: what comes out, when, and what happens when either side goes away. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { describe, test } from 'node:test'
import { createRequestContext } from '../../../src/integrations/context/index.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { turn } from '../../audit/puppet.ts'
import { counted, drained, rig, source } from './rig.ts'

const encryptionContext = { order: '17' }
const chunkLength = 4096
const step = chunkLength + 16

describe('a stream', () => {
  test('makes the same message as seal does, whatever pieces it comes in, and opens it', async () => {
    const { orders } = await rig({ chunkLength })
    for (const length of [0, 1, 4095, 4096, 4097, 8192, 20_000])
      for (const size of [1, 100, 4096, 4097, 100_000].filter((one) => length / one < 5000)) {
        const through = source(counted(length), size).pipeThrough(orders.sealStream({ encryptionContext }))
        const sealed = (await drained(through)).bytes
        assert.equal(sealed.length - 16 * (Math.floor(length / 4096) + 1) - length, 182)
        assert.deepEqual((await orders.open({ sealed, encryptionContext })).plaintext, counted(length))
        const opened = await drained(source(sealed, size).pipeThrough(orders.openStream({ encryptionContext })))
        assert.deepEqual(opened, { bytes: counted(length) })
      }
  })

  test('of pieces of one byte, header and all, opens', async () => {
    const { orders } = await rig({ chunkLength })
    const { sealed } = await orders.seal({ plaintext: counted(5000) })
    assert.deepEqual(await drained(source(sealed, 1).pipeThrough(orders.openStream())), { bytes: counted(5000) })
  })

  test('has one entry, and tells which key it used', async () => {
    const { orders, lines, entries } = await rig()
    const sealing = orders.sealStream({ encryptionContext })
    const { bytes: sealed } = await drained(source(counted(10)).pipeThrough(sealing))
    const opening = orders.openStream({ encryptionContext })
    await drained(source(sealed).pipeThrough(opening))
    assert.deepEqual(lines(), ['kms.generate_data_key success orders v1', 'kms.decrypt success orders v1'])
    assert.deepEqual(
      [await sealing.used, await opening.used].map(({ eventID, keyVersion }) => [eventID, keyVersion]),
      entries().map(({ eventID }) => [eventID, 1]),
    )
  })

  test('is of who made it, whoever writes to it, and whatever becomes of what was said', async () => {
    const requests = createRequestContext()
    const { orders, entries } = await rig({ client: { context: requests } })
    const actor = (id: string) => ({ actor: { type: 'user' as const, id } })
    const { sealed } = await orders.seal({ plaintext: counted(10) }, { context: actor('nobody') })
    for (const make of [orders.sealStream, orders.openStream]) {
      let feed: ReadableStreamDefaultController<Uint8Array> | undefined
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          feed = controller
        },
      })
      const out = requests.run(actor('alice'), () => drained(body.pipeThrough(make())))
      for (let turns = 0; turns < 5; turns++) await turn()
      // As a pool's connection does, which another request opened.
      requests.run({ ...actor('bob'), reason: { code: 'of-bob' } }, () => {
        feed?.enqueue(sealed)
        feed?.close()
      })
      assert.equal((await out).error, undefined)
      assert.deepEqual([entries().at(-1)?.actor?.id, entries().at(-1)?.reason], ['alice', undefined])
    }
    const said = actor('alice')
    const through = orders.sealStream({}, { context: said })
    said.actor.id = 'bob'
    await drained(source(counted(10)).pipeThrough(through))
    assert.equal(entries().at(-1)?.actor?.id, 'alice')
  })

  test('that nobody writes to asks for no key', async () => {
    const { orders, entries } = await rig()
    orders.sealStream()
    orders.openStream()
    await turn()
    assert.equal(entries().length, 0)
  })

  test('releases no byte before its entry is accepted', async () => {
    const { orders, sink } = await rig({ chunkLength })
    const { sealed } = await orders.seal({ plaintext: counted(20_000) })
    for (const through of [orders.sealStream(), orders.openStream()]) {
      sink.mode = 'hang'
      let bytes = 0
      const reading = (async () => {
        for await (const chunk of source(sealed, 5000).pipeThrough(through)) bytes += chunk.length
      })()
      for (let turns = 0; turns < 30; turns++) await turn()
      assert.equal(bytes, 0)
      sink.mode = 'sync'
      sink.settle('accept')
      await reading
      assert.ok(bytes >= 20_000)
    }
  })

  test('fails with AUDIT_REFUSED when its entry is refused, and gives nothing', async () => {
    const { orders, sink } = await rig()
    const { sealed } = await orders.seal({ plaintext: counted(20_000) })
    sink.mode = 'reject'
    for (const through of [orders.sealStream(), orders.openStream()]) {
      const { bytes, error } = await drained(source(sealed).pipeThrough(through))
      assert.equal(bytes.length, 0)
      assert.ok(error instanceof KmsError && error.code === 'AUDIT_REFUSED')
      await assert.rejects(through.used, { code: 'AUDIT_REFUSED' })
    }
  })
})

describe('a message that was meddled with, as a stream', () => {
  async function message() {
    // Of one data key.
    const made = await rig({ chunkLength, cache: {} })
    const one = await made.orders.seal({ plaintext: counted(20_000) })
    const other = await made.orders.seal({ plaintext: counted(20_000) })
    assert.equal(made.asked('generateDataKey'), 1)
    const head = one.sealed.length - (20_000 + 5 * 16)
    const chunksOf = (sealed: Uint8Array) =>
      [0, 1, 2, 3, 4].map((at) => sealed.subarray(head + at * step, head + (at + 1) * step))
    const [a, b, c, d, end] = chunksOf(one.sealed)
    assert.ok(a && b && c && d && end)
    return { ...made, header: one.sealed.subarray(0, head), a, b, c, d, end, others: chunksOf(other.sealed) }
  }

  const meddled: Readonly<
    Record<string, (of: Awaited<ReturnType<typeof message>>) => [number, (Uint8Array | undefined)[]]>
  > = {
    'cut within the last chunk': ({ a, b, c, d, end }) => [4, [a, b, c, d, end.subarray(0, -1)]],
    'without its last chunk': ({ a, b, c, d }) => [4, [a, b, c, d]],
    'cut at a chunk’s end': ({ a, b }) => [2, [a, b]],
    'cut within a chunk': ({ a, b }) => [1, [a, b.subarray(0, 100)]],
    'with bytes after its end': ({ a, b, c, d, end }) => [4, [a, b, c, d, end, Uint8Array.of(0)]],
    'with another message after its end': ({ a, b, c, d, end, header }) => [4, [a, b, c, d, end, header, a]],
    'with two chunks exchanged': ({ a, b, c, d, end }) => [1, [a, c, b, d, end]],
    'with a chunk twice': ({ a, b, c, d, end }) => [2, [a, b, b, c, d, end]],
    'without a chunk': ({ a, c, d, end }) => [1, [a, c, d, end]],
    'without its first chunk': ({ b, c, d, end }) => [0, [b, c, d, end]],
    'with a chunk of another message of the same data key': ({ a, c, d, end, others }) => [
      1,
      [a, others[1], c, d, end],
    ],
    'with the end of another message': ({ a, b, c, d, others }) => [4, [a, b, c, d, others[4]]],
    'with nothing but its header': () => [0, []],
  }

  for (const [how, make] of Object.entries(meddled))
    test(`${how}: what is authentic comes out, then the error, and an entry`, async () => {
      const made = await message()
      const [authentic, chunks] = make(made)
      const bytes = new Uint8Array(Buffer.concat([made.header, ...chunks.filter((chunk) => chunk !== undefined)]))
      const through = made.orders.openStream()
      const out = await drained(source(bytes, 3000).pipeThrough(through))
      assert.ok(out.error instanceof KmsError && out.error.code === 'INVALID_CIPHERTEXT', String(out.error))
      assert.deepEqual(out.bytes, counted(20_000).subarray(0, authentic * chunkLength))
      const entry = made.entries().at(-1)
      assert.equal(entry?.eventID, out.error.eventID)
      assert.equal(entry?.details?.decryptFailure, 'authentication_failed')
      assert.equal(entry.details.kmsEventID, (await through.used).eventID)
    })

  test('cut within its header, or none at all: malformed, and no key is asked for', async () => {
    const { orders, entries, asked, header } = await message()
    const before = asked('decrypt')
    const bad = header.slice()
    bad.set([127, 255, 255, 255], 69)
    for (const bytes of [new Uint8Array(0), header.subarray(0, 50), header.subarray(0, -1), counted(100), bad]) {
      const { error } = await drained(source(bytes, 30).pipeThrough(orders.openStream()))
      assert.ok(error instanceof KmsError && error.code === 'INVALID_CIPHERTEXT')
      assert.equal(entries().at(-1)?.details?.decryptFailure, 'malformed')
    }
    assert.equal(asked('decrypt'), before)
  })

  test('a changed bit in any chunk stops it there', async () => {
    const { orders, header, a, b, c, d, end } = await message()
    const sealed = Buffer.concat([header, a, b, c, d, end])
    for (let at = header.length; at < sealed.length; at += 997) {
      const changed = new Uint8Array(sealed)
      changed[at] = (changed[at] ?? 0) ^ 0x10
      const { bytes, error } = await drained(source(changed).pipeThrough(orders.openStream()))
      assert.ok(error instanceof KmsError && error.code === 'INVALID_CIPHERTEXT')
      assert.equal(bytes.length, Math.floor((at - header.length) / step) * chunkLength)
    }
  })
})

describe('either side', () => {
  test('that reads slowly is waited for: one chunk is ready, and no more is taken in', async () => {
    const { orders } = await rig({ chunkLength })
    const through = orders.sealStream()
    const [writer, reader] = [through.writable.getWriter(), through.readable.getReader()]
    let isDone = false
    // One piece of many chunks: nothing but the reader makes it go on.
    const writing = writer.write(counted(100 * chunkLength)).then(() => {
      isDone = true
    })
    for (let chunks = 0; chunks < 100; chunks++) {
      for (let turns = 0; turns < 3; turns++) await turn()
      assert.equal(isDone, false)
      await reader.read()
    }
    await reader.read()
    await writing
    await Promise.all([writer.close(), reader.read()])
  })

  test('that cancels ends the other, with its reason', async () => {
    const { orders, entries } = await rig({ chunkLength })
    const reason = new Error('enough')
    for (const through of [orders.sealStream(), orders.openStream()]) {
      const writer = through.writable.getWriter()
      await through.readable.cancel(reason)
      await assert.rejects(writer.closed, reason)
      await assert.rejects(writer.write(counted(10)), reason)
    }
    assert.equal(entries().length, 0)
    const sealing = orders.sealStream()
    const writer = sealing.writable.getWriter()
    writer.closed.catch(() => {})
    const reader = sealing.readable.getReader()
    // In the midst of a piece that waits for room.
    const writing = writer.write(counted(100 * chunkLength))
    await reader.read()
    await reader.cancel(reason)
    await assert.rejects(writing, reason)
  })

  test('that aborts ends the other, with its reason', async () => {
    const { orders } = await rig({ chunkLength })
    const through = orders.sealStream()
    const writer = through.writable.getWriter()
    writer.closed.catch(() => {})
    await writer.write(counted(10))
    const reason = new Error('the upload failed')
    await writer.abort(reason)
    await assert.rejects(
      drained(through.readable).then(({ error }) => Promise.reject(error)),
      reason,
    )
  })

  test('that aborts does not wait for the KMS, nor for a reader that is slow', async () => {
    const reason = new Error('the upload failed')
    for (const isAsked of [true, false]) {
      const { orders, provider } = await rig({ chunkLength })
      if (isAsked) provider.tell('generateDataKey', 'never')
      const through = orders.sealStream()
      const writer = through.writable.getWriter()
      writer.closed.catch(() => {})
      const writing = writer.write(counted(100 * chunkLength))
      writing.catch(() => {})
      while (isAsked && provider.calls.at(-1)?.asked !== 'generateDataKey') await turn()
      for (let turns = 0; turns < 5; turns++) await turn()
      await writer.abort(reason)
      await assert.rejects(writing, reason)
      await assert.rejects(through.readable.getReader().read(), reason)
      if (isAsked) assert.equal(provider.calls.at(-1)?.call?.signal.aborted, true)
    }
  })

  test('is given a signal that is none: INVALID_INPUT, with its entry', async () => {
    const { orders, entries } = await rig()
    for (const signal of [1, {}, null]) {
      const before = entries().length
      const through = orders.sealStream({}, { signal: signal as unknown as AbortSignal })
      const { error } = await drained(source(counted(10)).pipeThrough(through))
      assert.ok(error instanceof KmsError && error.code === 'INVALID_INPUT')
      assert.deepEqual([entries().length, entries().at(-1)?.eventID], [before + 1, error.eventID])
    }
  })

  test('hears of a signal: ABORTED, and a call of the KMS under way is aborted too', async () => {
    const { orders, provider, entries } = await rig()
    const stop = new AbortController()
    provider.tell('generateDataKey', 'never')
    const out = drained(source(counted(10)).pipeThrough(orders.sealStream({}, { signal: stop.signal })))
    while (entries().length === 0 && provider.calls.at(-1)?.asked !== 'generateDataKey') await turn()
    stop.abort()
    const { error, bytes } = await out
    assert.ok(error instanceof KmsError && error.code === 'ABORTED')
    assert.equal(bytes.length, 0)
    assert.equal(provider.calls.at(-1)?.call?.signal.aborted, true)
    assert.equal(entries().at(-1)?.error, 'ABORTED')
    // Aborted before it began.
    const late = await drained(source(counted(10)).pipeThrough(orders.sealStream({}, { signal: stop.signal })))
    assert.ok(late.error instanceof KmsError && late.error.code === 'ABORTED')
  })

  test('that is given what is no bytes fails with INVALID_INPUT', async () => {
    const { orders } = await rig()
    for (const wrong of ['text', 7, null, new Uint8Array(new SharedArrayBuffer(4))]) {
      const through = orders.sealStream()
      const writing = through.writable.getWriter()
      writing.closed.catch(() => {})
      await assert.rejects(writing.write(wrong), { code: 'INVALID_INPUT' })
      await assert.rejects(through.readable.getReader().read(), { code: 'INVALID_INPUT' })
    }
    const through = orders.sealStream({ encryptionContext: { a: 1 as unknown as string } })
    const { error } = await drained(source(counted(10)).pipeThrough(through))
    assert.ok(error instanceof KmsError && error.code === 'INVALID_INPUT')
  })

  test('may change its buffer once a write has settled', async () => {
    const { orders } = await rig({ chunkLength })
    const through = orders.sealStream()
    const out = drained(through.readable)
    const writer = through.writable.getWriter()
    const buffer = new Uint8Array(3000)
    for (let piece = 0; piece < 5; piece++) {
      await writer.write(buffer.fill(piece))
      buffer.fill(99)
    }
    await writer.close()
    const { plaintext } = await orders.open({ sealed: (await out).bytes })
    assert.deepEqual(
      plaintext,
      Uint8Array.from({ length: 15_000 }, (_, at) => Math.floor(at / 3000)),
    )
  })
})

describe('with what hosts have', () => {
  test('a Blob, a fetch body and its Response, over a real socket', async () => {
    const { orders } = await rig()
    const server = createServer((request, response) => void request.pipe(response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const body = new Blob([counted(300_000)]).stream().pipeThrough(orders.sealStream())
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const response = await fetch(url, { method: 'POST', body, duplex: 'half' } as RequestInit)
      assert.ok(response.body)
      const opened = new Response(response.body.pipeThrough(orders.openStream()))
      assert.deepEqual(new Uint8Array(await opened.arrayBuffer()), counted(300_000))
    } finally {
      server.close()
    }
  })

  test('Node’s streams and files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keytrail-envelope-'))
    try {
      const { orders } = await rig()
      const file = await open(join(folder, 'sealed'), 'w')
      const through = Readable.toWeb(Readable.from([counted(100_000), counted(50_000)], { objectMode: false }))
      await through.pipeThrough(orders.sealStream()).pipeTo(Writable.toWeb(file.createWriteStream()))
      const { plaintext } = await orders.open({ sealed: readFileSync(join(folder, 'sealed')) })
      assert.deepEqual(plaintext, new Uint8Array(Buffer.concat([counted(100_000), counted(50_000)])))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('256 MiB there and back take the memory of a few chunks', async () => {
    const { orders } = await rig()
    const piece = new Uint8Array(65_536)
    const pieces = 4096
    let given = 0
    const zeros = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (given++ === pieces) controller.close()
        else controller.enqueue(piece)
      },
    })
    const before = process.memoryUsage.rss()
    let [bytes, most] = [0, 0]
    for await (const chunk of zeros.pipeThrough(orders.sealStream()).pipeThrough(orders.openStream())) {
      bytes += chunk.length
      if (bytes % (1 << 22) < 65_536) most = Math.max(most, process.memoryUsage.rss() - before)
    }
    assert.equal(bytes, pieces * piece.length)
    // What is let go of waits for the garbage collector, so this is not a few chunks exactly.
    assert.ok(most < 128 * 2 ** 20, `${Math.round(most / 2 ** 20)} MiB more`)
  })
})
