/** @node The witness client against a server that answers as each test says: every status, and every sickness. */
import { deepStrictEqual, doesNotMatch, match, ok, strictEqual, throws } from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import { ed25519Key } from '../../src/crypto/ed25519.ts'
import { engine } from '../../src/crypto/node.ts'
import { KmsError } from '../../src/model/errors.ts'
import { type FakeClock, fakeClock } from '../../src/testing/clock.ts'
import { cosignatureVerifier } from '../../src/trail/anchors/cosignature.ts'
import { type WitnessClient, type WitnessClientOptions, witnessClient } from '../../src/trail/anchors/witness.ts'
import { formatCheckpoint } from '../../src/trail/checkpoint.ts'
import { noteSigner, parseNote } from '../../src/trail/note.ts'
import { type Cosigner, cosigner, cosignerOf } from './cosigner.ts'
import { signerOf } from './entries.ts'
import {
  cosigns,
  type Handler,
  hangs,
  hasSize,
  refuses,
  says,
  type WitnessServer,
  witnessServer,
} from './witness-server.ts'

const log = noteSigner(engine, 'keytrail/test', signerOf(7))

/** The checkpoint at `size`; its root says nothing, because the proofs of these tests do neither. */
function noteAt(size: bigint, root = 9): string {
  return log.sign(formatCheckpoint({ origin: 'keytrail/test', size, root: new Uint8Array(32).fill(root) }))
}

const proofOf = (from: bigint, to: bigint) => [
  new Uint8Array(32).fill(Number(from % 256n)),
  new Uint8Array(32).fill(Number(to % 256n)),
]
const spelled = (from: bigint, to: bigint) => proofOf(from, to).map((hash) => Buffer.from(hash).toString('base64'))

interface Asking {
  readonly client: WitnessClient
  readonly kept: string[]
  readonly clock: FakeClock
  ask(size: bigint): Promise<void>
}

function clientOf(
  t: TestContext,
  options: Partial<WitnessClientOptions> & Pick<WitnessClientOptions, 'witnesses'>,
): Asking {
  const kept: string[] = []
  const clock = fakeClock()
  const client = witnessClient({
    engine,
    prove: async (from, to) => proofOf(from, to),
    onCosigned: (note) => {
      kept.push(note)
    },
    clock,
    ...options,
  })
  t.after(() => client.close())
  return {
    client,
    kept,
    clock,
    async ask(size) {
      client.submit(noteAt(size), size)
      await client.idle()
    },
  }
}

const witness = cosignerOf(1)

async function oneWitness(
  t: TestContext,
  ...handlers: readonly Handler[]
): Promise<Asking & { server: WitnessServer }> {
  const server = await witnessServer(t, ...handlers)
  return { server, ...clientOf(t, { witnesses: [{ url: server.url, vkey: witness.vkey }] }) }
}

const problemOf = ({ client }: Asking) => client.health()[0]?.problem ?? ''

describe('a witness that is well', () => {
  test('is asked as the specification says, and its cosignature is handed on with the note', async (t) => {
    const set = await oneWitness(t, cosigns(witness))
    await set.ask(8n)
    const [asked] = set.server.asked
    strictEqual(asked?.method, 'POST')
    strictEqual(asked.path, '/add-checkpoint')
    strictEqual(asked.body, `old 0\n\n${noteAt(8n)}`)
    deepStrictEqual(set.kept, [noteAt(8n) + witness.cosign(noteAt(8n), 1_760_000_000)])
    deepStrictEqual(set.client.health(), [{ name: witness.name, url: set.server.url, size: 8n, at: 1_760_000_000_000 }])
  })

  test('is told the size that it cosigned last, with the proof from there', async (t) => {
    const set = await oneWitness(t, cosigns(witness))
    await set.ask(8n)
    await set.ask(2n ** 60n)
    strictEqual(set.server.asked[1]?.old, 'old 8')
    deepStrictEqual(set.server.asked[1]?.proof, spelled(8n, 2n ** 60n))
    strictEqual(set.client.health()[0]?.size, 2n ** 60n)
  })

  test('is asked over the connection that there is', async (t) => {
    const set = await oneWitness(t, cosigns(witness))
    for (let size = 8n; size < 28n; size++) await set.ask(size)
    strictEqual(set.server.asked.length, 20)
    // A request that begins before the last answer's connection is free again may open a second one.
    ok(set.server.connections() <= 2, `${set.server.connections()} connections`)
  })

  test('cosigns an empty trail too', async (t) => {
    const set = await oneWitness(t, cosigns(witness))
    await set.ask(0n)
    strictEqual(set.server.asked[0]?.body, `old 0\n\n${noteAt(0n)}`)
    strictEqual(set.kept.length, 1)
  })

  test('is not asked again for what it has cosigned', async (t) => {
    const set = await oneWitness(t, cosigns(witness))
    await set.ask(8n)
    await set.ask(8n)
    strictEqual(set.server.asked.length, 1)
  })

  test('that is slow hears of the newest only of what came meanwhile', async (t) => {
    const { promise: slow, resolve: answer } = promised()
    const set = await oneWitness(
      t,
      (asked, response) => void slow.then(() => cosigns(witness)(asked, response)),
      cosigns(witness),
    )
    for (const size of [8n, 9n, 10n, 12n, 11n]) set.client.submit(noteAt(size), size)
    await set.server.askedTimes(1)
    answer()
    await set.client.idle()
    deepStrictEqual(
      set.server.asked.map(({ old, note }) => [old, note.split('\n')[1]]),
      [
        ['old 0', '8'],
        ['old 8', '12'],
      ],
    )
    strictEqual(set.kept.length, 2)
  })

  test('may have its address under a path, with or without a slash at its end', async (t) => {
    const server = await witnessServer(t, cosigns(witness))
    for (const url of [`${server.url}/a/b`, `${server.url}/a/b/`]) {
      const { ask } = clientOf(t, { witnesses: [{ url, vkey: witness.vkey }] })
      await ask(8n)
    }
    deepStrictEqual(
      server.asked.map(({ path }) => path),
      ['/a/b/add-checkpoint', '/a/b/add-checkpoint'],
    )
  })

  test('gets the headers that are given, which nothing shows', async (t) => {
    const server = await witnessServer(t, refuses(401))
    const headers = { Authorization: 'Bearer swordfish' }
    const set = clientOf(t, { witnesses: [{ url: server.url, vkey: witness.vkey, headers }] })
    await set.ask(8n)
    strictEqual(server.asked[0]?.headers.authorization, 'Bearer swordfish')
    strictEqual(problemOf(set), 'answered 401')
    doesNotMatch(inspect(set.client, { depth: 9 }) + inspect(set.client.health()), /swordfish/)
  })
})

describe('a witness that holds another size', () => {
  test('is asked once more, from there', async (t) => {
    const set = await oneWitness(t, hasSize(5), cosigns(witness))
    await set.ask(8n)
    deepStrictEqual(
      set.server.asked.map(({ old, proof }) => [old, proof]),
      [
        ['old 0', []],
        ['old 5', spelled(5n, 8n)],
      ],
    )
    strictEqual(set.kept.length, 1)
    strictEqual(problemOf(set), '')
  })

  test('which is the trail’s, needs no proof', async (t) => {
    const set = await oneWitness(t, hasSize(8), cosigns(witness))
    await set.ask(8n)
    deepStrictEqual([set.server.asked[1]?.old, set.server.asked[1]?.proof], ['old 8', []])
    strictEqual(set.kept.length, 1)
  })

  test('which is none, because it forgot, is started with again', async (t) => {
    const set = await oneWitness(t, cosigns(witness), hasSize(0), cosigns(witness))
    await set.ask(8n)
    await set.ask(9n)
    deepStrictEqual(
      set.server.asked.map(({ old }) => old),
      ['old 0', 'old 8', 'old 0'],
    )
    strictEqual(set.client.health()[0]?.size, 9n)
  })

  test('and then another again, is left alone', async (t) => {
    const set = await oneWitness(t, hasSize(5), hasSize(6), hasSize(7))
    await set.ask(8n)
    strictEqual(set.server.asked.length, 2)
    match(problemOf(set), /another size at each try/)
    deepStrictEqual(set.kept, [])
  })

  test('which is beyond the trail, says that the trail was rolled back', async (t) => {
    const set = await oneWitness(t, hasSize(9))
    await set.ask(8n)
    strictEqual(set.server.asked.length, 1)
    match(problemOf(set), /^has cosigned 9 entries and the trail has 8: the trail was rolled back/)
    const later = await oneWitness(t, hasSize(5), hasSize(2n ** 62n))
    await later.ask(8n)
    match(problemOf(later), /^has cosigned 4611686018427387904 entries and the trail has 8/)
  })

  test('says in 409 or 422 that it has another root at the same size', async (t) => {
    const set = await oneWitness(t, hasSize(8), hasSize(8))
    await set.ask(8n)
    match(problemOf(set), /another root at this size/)
    const bare = await oneWitness(t, hasSize(8), refuses(409))
    await bare.ask(8n)
    match(problemOf(bare), /another root at this size/)
  })

  for (const [what, body, type] of [
    ['no size', '', 'text/x.tlog.size'],
    ['a size in another type', '5\n', 'text/plain'],
    ['a size in no type', '5\n', ''],
    ['a size without its newline', '5', 'text/x.tlog.size'],
    ['a leading zero', '05\n', 'text/x.tlog.size'],
    ['a sign', '-5\n', 'text/x.tlog.size'],
    ['a fraction', '5.0\n', 'text/x.tlog.size'],
    ['two sizes', '5\n6\n', 'text/x.tlog.size'],
    ['a size that no tree has', `${'9'.repeat(40)}\n`, 'text/x.tlog.size'],
    ['a million digits', `${'9'.repeat(1_000_000)}\n`, 'text/x.tlog.size'],
    ['the size it was asked from', '0\n', 'text/x.tlog.size'],
  ] as const)
    test(`and tells it as ${what}, is not believed`, async (t) => {
      const set = await oneWitness(t, refuses(409, body, type === '' ? {} : { 'content-type': type }))
      await set.ask(8n)
      strictEqual(set.server.asked.length, 1)
      strictEqual(problemOf(set), 'answered 409 and no other size')
    })

  test('has it read from a type with parameters', async (t) => {
    const answer = refuses(409, '5\n', { 'content-type': 'text/x.tlog.size; charset=utf-8' })
    const set = await oneWitness(t, answer, cosigns(witness))
    await set.ask(8n)
    strictEqual(set.server.asked[1]?.old, 'old 5')
  })
})

describe('a witness that refuses', () => {
  for (const [status, problem] of [
    [400, /could not read the request/],
    [403, /does not know the key/],
    [404, /does not know the origin/],
    [422, /does not continue/],
    [429, /too often/],
    [301, /redirected \(301\)/],
    [201, /^answered 201$/],
    [204, /^answered 204$/],
    [500, /^answered 500$/],
    [503, /^answered 503$/],
  ] as const)
    test(`with ${status} is left alone, and then asked for the newest`, async (t) => {
      const elsewhere = await witnessServer(t, cosigns(witness))
      const location = { location: `${elsewhere.url}/add-checkpoint` }
      const set = await oneWitness(t, refuses(status, witness.cosign(noteAt(8n), 1), location))
      await set.ask(8n)
      match(problemOf(set), problem)
      deepStrictEqual([set.kept, elsewhere.asked], [[], []])
      await set.ask(9n)
      await set.ask(10n)
      strictEqual(set.server.asked.length, 1)
      set.server.answer(cosigns(witness))
      set.clock.advance(1_000)
      await set.client.idle()
      deepStrictEqual(
        set.server.asked.map(({ note }) => note),
        [noteAt(8n), noteAt(10n)],
      )
      strictEqual(set.kept.length, 1)
      deepStrictEqual([problemOf(set), set.client.health()[0]?.size], ['', 10n])
    })

  test('is left alone for longer each time, up to ten minutes', async (t) => {
    const set = await oneWitness(t, refuses(500))
    await set.ask(8n)
    const rests: number[] = []
    for (let time = 0; rests.length < 14; ) {
      set.clock.advance(250)
      time += 250
      await set.client.idle()
      if (set.server.asked.length === rests.length + 2) {
        rests.push(time)
        time = 0
      }
    }
    for (const [at, rest] of rests.entries()) {
      const longest = Math.min(600_000, 1_000 * 2 ** at)
      ok(rest >= longest / 2 && rest <= longest + 250, `${rest} ms after ${at + 1} failures`)
    }
    ok(new Set(rests.slice(-4)).size > 1, 'by chance')
  })

  test('and then cosigns, is asked at once again after its next failure', async (t) => {
    const set = await oneWitness(t, refuses(500), refuses(500), refuses(500), cosigns(witness), refuses(500))
    await set.ask(8n)
    for (const rest of [1_000, 2_000, 4_000]) {
      set.clock.advance(rest)
      await set.client.idle()
    }
    strictEqual(set.kept.length, 1)
    await set.ask(9n)
    set.clock.advance(1_000)
    await set.client.idle()
    strictEqual(set.server.asked.length, 6)
  })
})

describe('a sick witness', () => {
  test('that never answers is given up after its timeout', async (t) => {
    const set = await oneWitness(t, hangs)
    set.client.submit(noteAt(8n), 8n)
    await set.server.askedTimes(1)
    set.clock.advance(9_999)
    strictEqual(problemOf(set), '')
    set.clock.advance(1)
    await set.client.idle()
    strictEqual(problemOf(set), 'did not answer within timeoutMs')
  })

  test('that drips its answer is given up after its timeout too', async (t) => {
    const { promise: begun, resolve: begin } = promised()
    const set = await oneWitness(t, (_, response) => {
      response.writeHead(200).write('— witness.ex', () => begin())
    })
    set.client.submit(noteAt(8n), 8n)
    await begun
    set.clock.advance(10_000)
    await set.client.idle()
    strictEqual(problemOf(set), 'did not answer within timeoutMs')
  })

  test('that hangs up is told from one that is not there', async (t) => {
    const set = await oneWitness(t, (_, response) => response.destroy())
    await set.ask(8n)
    match(problemOf(set), /^could not be reached \(.+\)$/)
    const half = await oneWitness(t, (_, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('— ', () => response.destroy())
    })
    await half.ask(8n)
    match(problemOf(half), /^could not be reached \(.+\)$/)
    const gone = clientOf(t, { witnesses: [{ url: 'http://127.0.0.1:9', vkey: witness.vkey }] })
    await gone.ask(8n)
    match(problemOf(gone), /^could not be reached \(.+\)$/)
  })

  test('that sends megabytes is not read to the end', async (t) => {
    const line = witness.cosign(noteAt(8n), 1)
    const flood = line.repeat(Math.ceil(10_000_000 / line.length))
    const { promise: stopped, resolve: stop } = promised()
    const bomb = gzipSync(Buffer.alloc(50_000_000, '\n'))
    const floods: readonly Handler[] = [
      says(flood),
      says(flood, { 'transfer-encoding': 'chunked' }),
      says(bomb, { 'content-encoding': 'gzip' }),
      (_, response) => {
        response.on('close', stop)
        const more = () => {
          while (!response.destroyed && response.write(flood));
        }
        response.on('drain', more)
        more()
      },
    ]
    for (const handler of floods) {
      const set = await oneWitness(t, handler)
      await set.ask(8n)
      strictEqual(problemOf(set), 'answered with more than a cosignature')
      deepStrictEqual(set.kept, [])
    }
    await stopped
  })

  const other = cosignerOf(2)
  const impostor = cosigner(witness.name, new Uint8Array(32).fill(3))
  const text = noteAt(8n).slice(0, noteAt(8n).indexOf('\n\n') + 1)
  const longer = `${text}\nmore\n\n`
  const good = witness.cosign(noteAt(8n), 1)
  const plain = noteSigner(engine, witness.name, ed25519Key(engine, new Uint8Array(32).fill(1))).sign(text)
  for (const [what, body] of [
    ['nothing', ''],
    ['a newline', '\n'],
    ['words', 'ok\n'],
    ['HTML', '<!doctype html><title>Sign in</title>'],
    ['another’s cosignature', other.cosign(noteAt(8n), 1)],
    ['one by another key in its name', impostor.cosign(noteAt(8n), 1)],
    ['one of another size', witness.cosign(noteAt(9n), 1)],
    ['one of another root', witness.cosign(noteAt(8n, 8), 1)],
    ['one of no time', witness.cosign(noteAt(8n), 0)],
    ['a plain signature', plain.slice(text.length + 1)],
    ['a cut one', good.slice(0, -6)],
    ['one without its newline', good.trimEnd()],
    ['one after something else', `hello\n${good}`],
    ['one beside a bad one', good + witness.lineOf(new Uint8Array(72))],
    ['one of a text that goes on', `more\n\n${witness.cosign(longer, 1)}`],
    ['101 of them', good.repeat(101)],
    ['bytes that are no text', Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from(good)])],
  ] as const)
    test(`that answers ${what} is not believed`, async (t) => {
      const set = await oneWitness(t, says(body))
      await set.ask(8n)
      match(problemOf(set), /^answered with(?:out a good| more than a) cosignature/)
      deepStrictEqual(set.kept, [])
      strictEqual(set.client.health()[0]?.size, undefined)
    })

  test('that answers its cosignature among others is believed, and one line is kept', async (t) => {
    const set = await oneWitness(
      t,
      says(other.cosign(noteAt(8n), 5) + good + witness.cosign(noteAt(8n), 7) + impostor.cosign(noteAt(8n), 9)),
    )
    await set.ask(8n)
    deepStrictEqual(set.kept, [noteAt(8n) + witness.cosign(noteAt(8n), 7)])
  })

  test('holds up neither the others nor who submits', async (t) => {
    const sick = await witnessServer(t, hangs)
    const well = await witnessServer(t, cosigns(witness))
    const set = clientOf(t, {
      witnesses: [
        { url: sick.url, vkey: cosignerOf(2).vkey },
        { url: well.url, vkey: witness.vkey },
      ],
    })
    for (const size of [8n, 9n, 10n]) {
      set.client.submit(noteAt(size), size)
      await well.askedTimes(Number(size) - 7)
      while (set.client.health()[1]?.size !== size) await new Promise(setImmediate)
    }
    strictEqual(sick.asked.length, 1)
    strictEqual(set.kept.length, 3)
    strictEqual(set.client.health()[0]?.size, undefined)
  })
})

describe('several witnesses', () => {
  const cosigners = [1, 2, 3, 4, 5].map((byte) => cosignerOf(byte))

  async function several(t: TestContext, handlerOf: (cosigner: Cosigner, at: number) => Handler) {
    const servers = await Promise.all(cosigners.map((one, at) => witnessServer(t, handlerOf(one, at))))
    const witnesses = servers.map(({ url }, at) => ({ url, vkey: cosigners[at]?.vkey ?? '' }))
    return { servers, witnesses }
  }

  test('have their cosignatures gathered in one note', async (t) => {
    const { witnesses } = await several(t, (one, at) => cosigns(one, 100 + at))
    const set = clientOf(t, { witnesses })
    await set.ask(8n)
    const note = set.kept.at(-1) ?? ''
    strictEqual(parseNote(note)?.signatures.length, 6)
    for (const [at, { vkey }] of cosigners.entries())
      strictEqual(cosignatureVerifier(engine, vkey).open(note)?.time, (100 + at) * 1000)
  })

  test('are proven to once where they stand at one size, and again after a failure', async (t) => {
    const { servers, witnesses } = await several(t, (one) => cosigns(one))
    const proven: string[] = []
    let broken = false
    const set = clientOf(t, {
      witnesses,
      async prove(from, to) {
        proven.push(`${from}-${to}`)
        if (broken) throw new KmsError('INTERNAL', 'a tile is missing')
        return proofOf(from, to)
      },
    })
    for (const size of [8n, 9n, 10n]) await set.ask(size)
    deepStrictEqual(proven, ['8-9', '9-10'])
    broken = true
    await set.ask(11n)
    broken = false
    set.clock.advance(1_000)
    await set.client.idle()
    deepStrictEqual(proven, ['8-9', '9-10', '10-11', '10-11'])
    servers[3]?.answer(hasSize(4), cosigns(cosigners[3] ?? witness))
    await set.ask(12n)
    deepStrictEqual(proven.slice(4), ['11-12', '4-12'])
    deepStrictEqual(servers[3]?.asked.at(-1)?.proof, spelled(4n, 12n))
    ok(set.client.health().every(({ size, problem }) => size === 12n && problem === undefined))
  })

  test('have only the largest size handed on, once one of them cosigned it', async (t) => {
    const { promise: late, resolve: answer } = promised()
    const { servers, witnesses } = await several(t, (one, at) =>
      at === 0 ? (asked, response) => void late.then(() => cosigns(one)(asked, response)) : cosigns(one),
    )
    const set = clientOf(t, { witnesses })
    set.client.submit(noteAt(8n), 8n)
    while (
      set.client
        .health()
        .slice(1)
        .some(({ size }) => size !== 8n)
    )
      await new Promise(setImmediate)
    set.client.submit(noteAt(9n), 9n)
    while (
      set.client
        .health()
        .slice(1)
        .some(({ size }) => size !== 9n)
    )
      await new Promise(setImmediate)
    const before = set.kept.length
    servers[0]?.answer(hangs)
    answer()
    await servers[0]?.askedTimes(2)
    strictEqual(set.client.health()[0]?.size, 8n)
    strictEqual(set.kept.length, before, 'its cosignature of the smaller one changes nothing')
    ok(set.kept.at(-1)?.startsWith(noteAt(9n)))
    strictEqual(parseNote(set.kept.at(-1) ?? '')?.signatures.length, 5)
  })

  test('have one note kept at a time, and the newest last', async (t) => {
    const { witnesses } = await several(t, (one) => cosigns(one))
    let keeping = 0
    let last = ''
    const set = clientOf(t, {
      witnesses,
      async onCosigned(note) {
        strictEqual(++keeping, 1)
        await new Promise(setImmediate)
        keeping--
        last = note
      },
    })
    for (const size of [8n, 9n, 10n]) await set.ask(size)
    ok(last.startsWith(noteAt(10n)))
    strictEqual(parseNote(last)?.signatures.length, 6)
  })
})

describe('the trail’s side', () => {
  test('that is slow to keep skips what is no longer the newest', async (t) => {
    const cosigners = [1, 2, 3, 4].map((byte) => cosignerOf(byte))
    const servers = await Promise.all(cosigners.map((one) => witnessServer(t, cosigns(one))))
    const { promise: slow, resolve: go } = promised()
    const kept: string[] = []
    const set = clientOf(t, {
      witnesses: servers.map(({ url }, at) => ({ url, vkey: cosigners[at]?.vkey ?? '' })),
      async onCosigned(note) {
        kept.push(note)
        await slow
      },
    })
    set.client.submit(noteAt(8n), 8n)
    // Until no answer is waited for, and what the last one sets off is done.
    while (set.clock.pending > 0) await new Promise(setImmediate)
    await new Promise(setImmediate)
    go()
    await set.client.idle()
    deepStrictEqual(
      kept.map((note) => parseNote(note)?.signatures.length),
      [2, 5],
    )
  })

  test('that cannot keep a cosignature says so, and asks again', async (t) => {
    const server = await witnessServer(t, cosigns(witness), hasSize(8), cosigns(witness))
    let full = true
    const kept: string[] = []
    const set = clientOf(t, {
      witnesses: [{ url: server.url, vkey: witness.vkey }],
      async onCosigned(note) {
        if (full) throw new KmsError('PROVIDER_UNAVAILABLE', 'cannot write /x: ENOSPC')
        kept.push(note)
      },
    })
    await set.ask(8n)
    match(problemOf(set), /^cosigned, which could not be kept \(cannot write \/x: ENOSPC\)$/)
    full = false
    set.clock.advance(1_000)
    await set.client.idle()
    strictEqual(problemOf(set), '')
    deepStrictEqual(kept, [noteAt(8n) + witness.cosign(noteAt(8n), 1_760_000_000)])
  })

  test('that has no proof says so, and is not told of by a request', async (t) => {
    const server = await witnessServer(t, hasSize(5))
    const set = clientOf(t, {
      witnesses: [{ url: server.url, vkey: witness.vkey }],
      prove: () => Promise.reject(new KmsError('INTERNAL', 'the tiles below 6 are missing')),
    })
    await set.ask(8n)
    strictEqual(server.asked.length, 1)
    match(problemOf(set), /^was not asked: there is no proof from the 5 entries .*tiles below 6/)
  })

  test('goes on from what was witnessed before', async (t) => {
    const server = await witnessServer(t, cosigns(witness))
    const witnesses = [{ url: server.url, vkey: witness.vkey }]
    const witnessed = noteAt(8n) + witness.cosign(noteAt(8n), 77)
    const set = clientOf(t, { witnesses, witnessed })
    deepStrictEqual(set.client.health(), [{ name: witness.name, url: server.url, size: 8n, at: 77_000 }])
    await set.ask(9n)
    strictEqual(server.asked[0]?.old, 'old 8')
  })

  test('has cosigned again what was witnessed before: since then it may have been rolled back to it', async (t) => {
    const server = await witnessServer(t, cosigns(witness, 78), hasSize(9))
    const witnesses = [{ url: server.url, vkey: witness.vkey }]
    const witnessed = noteAt(8n) + witness.cosign(noteAt(8n), 77)
    const honest = clientOf(t, { witnesses, witnessed })
    await honest.ask(8n)
    await honest.ask(8n)
    strictEqual(server.asked.length, 1)
    deepStrictEqual([server.asked[0]?.old, server.asked[0]?.proof], ['old 8', []])
    deepStrictEqual(honest.kept, [noteAt(8n) + witness.cosign(noteAt(8n), 78)])
    const rolledBack = clientOf(t, { witnesses, witnessed })
    await rolledBack.ask(8n)
    match(problemOf(rolledBack), /^has cosigned 9 entries and the trail has 8/)
  })

  test('keeps what was witnessed before when it is larger, or of another root', async (t) => {
    const two = cosignerOf(2)
    const server = await witnessServer(t, cosigns(two))
    const witnesses = [
      { url: server.url, vkey: two.vkey },
      { url: 'http://127.0.0.1:9', vkey: witness.vkey },
    ]
    for (const [before, after] of [
      [noteAt(9n), 0],
      [noteAt(8n, 8), 0],
      [noteAt(7n), 1],
    ] as const) {
      const set = clientOf(t, { witnesses, witnessed: before + witness.cosign(before, 77) })
      await set.ask(8n)
      strictEqual(set.client.health()[0]?.size, 8n)
      strictEqual(set.kept.length, after)
    }
  })

  test('is not kept from its own by a checkpoint of another trail', async (t) => {
    const server = await witnessServer(t, hasSize(0), cosigns(witness))
    const witnesses = [{ url: server.url, vkey: witness.vkey }]
    const body = formatCheckpoint({ origin: 'keytrail/other', size: 99n, root: new Uint8Array(32) })
    const other = noteSigner(engine, 'keytrail/other', signerOf(8)).sign(body)
    const set = clientOf(t, { witnesses, witnessed: other + witness.cosign(other, 77) })
    await set.ask(100n)
    deepStrictEqual(set.kept, [noteAt(100n) + witness.cosign(noteAt(100n), 1_760_000_000)])
    const smaller = clientOf(t, { witnesses, witnessed: other + witness.cosign(other, 77) })
    await smaller.ask(8n)
    strictEqual(smaller.kept.length, 1)
  })

  test('does not go on from what no witness of these cosigned', async (t) => {
    const server = await witnessServer(t, cosigns(witness))
    const witnesses = [{ url: server.url, vkey: witness.vkey }]
    for (const witnessed of ['', 'garbage', noteAt(9n), noteAt(9n) + cosignerOf(2).cosign(noteAt(9n), 77)]) {
      const set = clientOf(t, { witnesses, witnessed })
      await set.ask(8n)
      strictEqual(server.asked.at(-1)?.old, 'old 0')
      strictEqual(set.kept.length, 1)
    }
  })

  test('that rolled back asks from nothing, and hears how far the witness is', async (t) => {
    const server = await witnessServer(t, hasSize(9))
    const witnesses = [{ url: server.url, vkey: witness.vkey }]
    const set = clientOf(t, { witnesses, witnessed: noteAt(9n) + witness.cosign(noteAt(9n), 77) })
    await set.ask(8n)
    strictEqual(server.asked[0]?.old, 'old 0')
    match(problemOf(set), /rolled back/)
  })

  test('closes while a witness hangs: nothing waits, nothing is asked or kept after', async (t) => {
    const set = await oneWitness(t, hangs)
    set.client.submit(noteAt(8n), 8n)
    await set.server.askedTimes(1)
    set.client.close()
    await set.client.idle()
    strictEqual(set.clock.pending, 0)
    set.client.submit(noteAt(9n), 9n)
    await set.client.idle()
    set.clock.advance(3_600_000)
    strictEqual(set.server.asked.length, 1)
    set.client.close()
  })

  test('closes while a witness is left alone', async (t) => {
    const set = await oneWitness(t, refuses(500))
    await set.ask(8n)
    strictEqual(set.clock.pending, 1)
    set.client.close()
    strictEqual(set.clock.pending, 0)
  })

  test('leaves no timer behind when all is said', async (t) => {
    const set = await oneWitness(t, cosigns(witness))
    await set.ask(8n)
    strictEqual(set.clock.pending, 0)
  })

  test('must submit a checkpoint, at the size it says', async (t) => {
    const { client } = await oneWitness(t, cosigns(witness))
    for (const [note, size] of [
      [noteAt(8n), 9n],
      ['', 0n],
      ['words\n', 0n],
    ] as const)
      throws(() => client.submit(note, size), refused(/no checkpoint of/))
  })
})

describe('options', () => {
  const url = 'https://witness.example/'
  const { vkey } = witness
  const made = (options: object) => () =>
    witnessClient({
      engine,
      // What callers without types may give.
      witnesses: [options as { url: string; vkey: string }],
      prove: async () => [],
      onCosigned: () => {},
    })

  for (const [what, options, problem] of [
    ['no url', { vkey }, /url/],
    ['no address', { url: 'witness', vkey }, /absolute address/],
    ['another protocol', { url: 'ftp://witness.example', vkey }, /https:/],
    ['a password', { url: 'https://a:swordfish@witness.example', vkey }, /user name or password/],
    ['a query', { url: 'https://witness.example/?token=swordfish', vkey }, /query/],
    ['a fragment', { url: 'https://witness.example/#swordfish', vkey }, /query/],
    ['plain http', { url: 'http://witness.example', vkey }, /allowInsecure/],
    ['plain http to a name like this machine’s', { url: 'http://127.0.0.1.example', vkey }, /allowInsecure/],
    ['no vkey', { url }, /vkey/],
    ['the log’s vkey', { url, vkey: log.vkey }, /type 4/],
    ['no time', { url, vkey, timeoutMs: 0 }, /timeoutMs/],
    ['half a millisecond', { url, vkey, timeoutMs: 0.5 }, /timeoutMs/],
    ['more time than timers take', { url, vkey, timeoutMs: 2 ** 31 }, /timeoutMs/],
    ['a header that is none', { url, vkey, headers: { 'a b': 'swordfish' } }, /header name/],
    ['a header of two lines', { url, vkey, headers: { a: 'swordfish\r\nb: c' } }, /header a must be/],
    ['a header of the request’s own', { url, vkey, headers: { 'Content-Type': 'swordfish' } }, /content-type/],
  ] as const)
    test(`with ${what} are refused by name`, () => {
      throws(made(options), (error) => refused(problem)(error) && !inspect(error).includes('swordfish'))
    })

  test('allow this machine, and others by name, over plain http', () => {
    for (const host of ['localhost', '127.0.0.1', '[::1]', '127.9.9.9:80'])
      made({ url: `http://${host}/`, vkey })().close()
    made({ url: 'http://witness.example', vkey, allowInsecure: true })().close()
    const client = made({ url: 'https://witness.example/w/', vkey })()
    deepStrictEqual(client.health(), [{ name: witness.name, url: 'https://witness.example/w' }])
    client.close()
  })

  test('may name no witness at all', async () => {
    const client = witnessClient({ engine, witnesses: [], prove: async () => [], onCosigned: () => {} })
    client.submit(noteAt(8n), 8n)
    await client.idle()
    deepStrictEqual(client.health(), [])
    client.close()
  })
})

function refused(problem: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof KmsError && error.code === 'INVALID_INPUT' && problem.test(error.message)
}

function promised(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
