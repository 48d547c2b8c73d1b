/** @node Moving what was sealed to the newest version of its key: verdicts, where it goes on, what it tries again. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type ReEncryptOptions,
  type ReEncryptProgress,
  type ReEncryptVerdict,
  reEncryptAll,
  type SealedItem,
} from '../../../src/integrations/envelope/index.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { turn } from '../../audit/puppet.ts'
import { counted, rig } from './rig.ts'

type Made = Awaited<ReturnType<typeof rig>>

/** Rows of a table: ciphertexts of the key's first version, and the key at its second. */
async function table(count: number) {
  const made = await rig()
  const rows = new Map<string, SealedItem>()
  for (let at = 0; at < count; at++) {
    const id = `row-${String(at).padStart(3, '0')}`
    const encryptionContext = { id }
    const { ciphertext } = await made.kms.encrypt({ key: 'orders', plaintext: counted(at + 1), encryptionContext })
    rows.set(id, { id, ciphertext, encryptionContext })
  }
  await made.kms.rotate({ key: 'orders' })
  const store = ({ id, ciphertext }: { id: string; ciphertext: Uint8Array }) => {
    const row = rows.get(id) ?? assert.fail(id)
    rows.set(id, { ...row, ciphertext })
  }
  const run = (options: Partial<ReEncryptOptions> = {}) =>
    reEncryptAll({ kms: made.kms, key: 'orders', items: [...rows.values()], store, ...options })
  return { ...made, rows, store, run }
}

async function all(run: AsyncIterable<ReEncryptVerdict>): Promise<ReEncryptVerdict[]> {
  const verdicts: ReEncryptVerdict[] = []
  for await (const verdict of run) verdicts.push(verdict)
  return verdicts
}

const words = (verdicts: readonly ReEncryptVerdict[]) => verdicts.map(({ verdict }) => verdict)

async function assertOpen({ kms }: Made, rows: Map<string, SealedItem>, key = 'orders'): Promise<void> {
  for (const [at, { ciphertext, encryptionContext = {} }] of [...rows.values()].entries()) {
    const { plaintext } = await kms.decrypt({ key, ciphertext, encryptionContext })
    assert.deepEqual(plaintext, counted(at + 1))
  }
}

describe('reEncryptAll', () => {
  test('moves every item to the newest version, in order, with an entry each; a second run makes no call', async () => {
    const made = await table(25)
    const { run, rows, entries, asked } = made
    const verdicts = await all(run())
    assert.deepEqual(
      verdicts.map(({ id }) => id),
      [...rows.keys()],
    )
    for (const one of verdicts) {
      assert.ok(one.verdict === 'moved')
      assert.deepEqual([one.from, one.to], [1, 2])
      const entry = entries().find(({ eventID }) => eventID === one.eventID)
      assert.deepEqual([entry?.action, entry?.keyVersion], ['kms.re_encrypt', 1])
      assert.equal(entry?.details?.destinationKey?.keyVersion, 2)
    }
    await assertOpen(made, rows)
    assert.equal(asked('reEncrypt'), 25)
    const again = await all(run())
    assert.deepEqual(
      again.map(({ id, ...rest }) => rest),
      Array(25).fill({ verdict: 'current', from: 2 }),
    )
    assert.equal(asked('reEncrypt'), 25)
  })

  test('moves the sealed data key of an envelope’s message, or of its header alone, and leaves its chunks as they are', async () => {
    const { orders, kms } = await rig()
    const encryptionContext = { order: '17' }
    const { sealed } = await orders.seal({ plaintext: counted(200_000), encryptionContext })
    await kms.rotate({ key: 'orders' })
    const header = sealed.slice(0, sealed.length - 200_000 - 4 * 16)
    const items = [
      { id: 'whole', ciphertext: sealed, encryptionContext },
      { id: 'header', ciphertext: header, encryptionContext },
    ]
    const [whole, alone] = await all(reEncryptAll({ kms, key: 'orders', items }))
    assert.ok(whole?.verdict === 'moved' && alone?.verdict === 'moved')
    assert.deepEqual(whole.ciphertext.subarray(header.length), sealed.subarray(header.length))
    for (const moved of [whole.ciphertext, Buffer.concat([alone.ciphertext, sealed.subarray(header.length)])]) {
      const opened = await orders.open({ sealed: moved, encryptionContext })
      assert.deepEqual([opened.plaintext, opened.keyVersion], [counted(200_000), 2])
    }
    const again = [{ ...items[0], id: 'again', ciphertext: whole.ciphertext }]
    assert.deepEqual(words(await all(reEncryptAll({ kms, key: 'orders', items: again }))), ['current'])
  })

  test('one that fails stops no other, and says why', async () => {
    const made = await table(6)
    const { run, rows } = made
    rows.set('row-001', { id: 'row-001', ciphertext: counted(90) })
    rows.set('row-002', { ...(rows.get('row-002') ?? assert.fail()), encryptionContext: { id: 'another' } })
    rows.set('row-003', { id: 'row-003', ciphertext: 'text' as unknown as Uint8Array })
    const store = (item: { id: string; ciphertext: Uint8Array }) =>
      item.id === 'row-004' ? Promise.reject(new Error('secret of the database')) : made.store(item)
    const verdicts = await all(run({ store }))
    assert.deepEqual(words(verdicts), ['moved', 'failed', 'failed', 'failed', 'failed', 'moved'])
    const failures = verdicts.flatMap((one) => (one.verdict === 'failed' ? [one] : []))
    const codes = ['INVALID_CIPHERTEXT', 'INVALID_CIPHERTEXT', 'INVALID_INPUT', 'INTERNAL']
    assert.deepEqual(
      failures.map(({ error }) => error.code),
      codes,
    )
    assert.doesNotMatch(failures.map(({ error }) => `${error.message} ${error.cause}`).join(), /secret/)
    const entry = made.entries().find(({ eventID }) => eventID === failures[0]?.eventID)
    assert.equal(entry?.outcome, 'failure')
    // Put right, a second run moves what is left.
    assert.deepEqual(words(await all(run({ items: [rows.get('row-004') ?? assert.fail()] }))), ['moved'])
  })

  test('moves to another key; those that are there already are current', async () => {
    const made = await table(5)
    const { run, rows, kms } = made
    await kms.createKey({ slug: 'archive', keyType: 'aes256-gcm96' })
    const move = { destinationKey: 'archive' }
    const [first] = [...rows.values()]
    assert.deepEqual(words(await all(run({ ...move, items: [first ?? assert.fail()] }))), ['moved'])
    const verdicts = await all(run(move))
    assert.deepEqual(words(verdicts), ['current', 'moved', 'moved', 'moved', 'moved'])
    await assertOpen(made, rows, 'archive')
    rows.set('row-002', { id: 'row-002', ciphertext: counted(90) })
    const last = await all(run(move))
    assert.deepEqual(words(last), ['current', 'current', 'failed', 'current', 'current'])
    // Whether it is there could not be asked.
    made.provider.tell('reEncrypt', 'real', { throws: new KmsError('ACCESS_DENIED', 'not there') })
    const [one] = await all(run({ ...move, items: [rows.get('row-001') ?? assert.fail()] }))
    assert.ok(one?.verdict === 'failed' && one.error.code === 'ACCESS_DENIED')
  })

  test('tells whoever stores which ciphertext it takes the place of, so that what was written meanwhile can stay', async () => {
    const { run, rows } = await table(3)
    const meanwhile = counted(7)
    const store: ReEncryptOptions['store'] = (moved, item) => {
      const row = rows.get(moved.id) ?? assert.fail(moved.id)
      if (moved.id === 'row-001') rows.set(moved.id, { ...row, ciphertext: meanwhile })
      if (rows.get(item.id)?.ciphertext !== item.ciphertext) throw new Error('it has changed')
      rows.set(item.id, { ...row, ciphertext: moved.ciphertext })
    }
    assert.deepEqual(words(await all(run({ store }))), ['moved', 'failed', 'moved'])
    assert.equal(rows.get('row-001')?.ciphertext, meanwhile)
  })
})

test('an item that cannot be read is a failed one, and nothing rejects behind the caller’s back', async () => {
  const { run, rows } = await table(2)
  const broken = {
    get id(): string {
      throw new Error('secret of the database')
    },
    ciphertext: counted(90),
  }
  const items = [...rows.values(), broken, null as unknown as SealedItem]
  const rejected: unknown[] = []
  const hear = (reason: unknown) => void rejected.push(reason)
  process.on('unhandledRejection', hear)
  try {
    const verdicts: ReEncryptVerdict[] = []
    for await (const verdict of run({ items })) {
      verdicts.push(verdict)
      for (let turns = 0; turns < 5; turns++) await turn()
    }
    assert.deepEqual(words(verdicts), ['moved', 'moved', 'failed', 'failed'])
    const codes = verdicts.map((one) => (one.verdict === 'failed' ? one.error.code : undefined))
    assert.deepEqual(codes.slice(2), ['INVALID_INPUT', 'INVALID_INPUT'])
    assert.deepEqual(rejected, [])
  } finally {
    process.off('unhandledRejection', hear)
  }
})

describe('where it stopped', () => {
  test('a checkpoint names the last item whose verdict was taken, and a later run goes on behind it', async () => {
    const made = await table(30)
    const { run, rows } = made
    const checkpoints: string[] = []
    const checkpoint = (id: string) => void checkpoints.push(id)
    let taken = 0
    for await (const _ of run({ checkpoint, checkpointEvery: 4 })) if (++taken === 11) break
    // The eleventh was handed out, but nobody has said to be done with it.
    assert.deepEqual(checkpoints, ['row-003', 'row-007', 'row-009'])
    const rest = await all(run({ after: checkpoints.at(-1) ?? '', checkpoint }))
    assert.equal(rest[0]?.id, 'row-010')
    assert.equal(rest.length, 20)
    // Some were begun before the break.
    assert.ok(rest.some(({ verdict }) => verdict === 'current'))
    assert.equal(checkpoints.at(-1), 'row-029')
    await assertOpen(made, rows)
  })

  test('an id that is not among the items is said to be none', async () => {
    const { run } = await table(2)
    await assert.rejects(all(run({ after: 'row-9' })), { code: 'INVALID_INPUT' })
  })

  test('an aborted run begins no further item, gives the verdicts of those begun, and ends with ABORTED', async () => {
    const { run } = await table(30)
    const stop = new AbortController()
    const checkpoints: string[] = []
    const verdicts: ReEncryptVerdict[] = []
    const iterated = (async () => {
      for await (const verdict of run({
        signal: stop.signal,
        concurrency: 3,
        checkpoint: (id) => void checkpoints.push(id),
      })) {
        verdicts.push(verdict)
        if (verdicts.length === 5) stop.abort()
      }
    })()
    await assert.rejects(iterated, { code: 'ABORTED' })
    assert.equal(verdicts.length, 7)
    assert.deepEqual(checkpoints, ['row-006'])
  })

  test('an item that comes after the run was aborted is not begun', async () => {
    const { run, rows, asked } = await table(3)
    const stop = new AbortController()
    function* items() {
      const [first, second] = rows.values()
      yield first ?? assert.fail()
      stop.abort()
      yield second ?? assert.fail()
    }
    const verdicts: ReEncryptVerdict[] = []
    const iterated = (async () => {
      for await (const verdict of run({ items: items(), signal: stop.signal })) verdicts.push(verdict)
    })()
    await assert.rejects(iterated, { code: 'ABORTED' })
    assert.deepEqual([words(verdicts), asked('reEncrypt')], [['moved'], 1])
  })

  test('a client that is closed meanwhile ends the run with CLOSED; no checkpoint passes what was not tried', async () => {
    const { run, kms } = await table(30)
    const checkpoints: string[] = []
    const verdicts: ReEncryptVerdict[] = []
    const iterated = (async () => {
      const options = { concurrency: 2, checkpointEvery: 4, checkpoint: (id: string) => void checkpoints.push(id) }
      for await (const verdict of run(options)) {
        verdicts.push(verdict)
        if (verdicts.length === 10) void kms.close()
      }
    })()
    await assert.rejects(iterated, { code: 'CLOSED' })
    assert.deepEqual(new Set(words(verdicts)), new Set(['moved']))
    assert.ok(verdicts.length < 13)
    assert.equal(checkpoints.at(-1), verdicts.at(-1)?.id)
  })

  test('items that cannot be closed: their error, and the last checkpoint all the same', async () => {
    const { run, rows } = await table(9)
    const lost = new Error('the cursor was lost')
    function* items() {
      try {
        yield* rows.values()
      } finally {
        // biome-ignore lint/correctness/noUnsafeFinally: a cursor whose close fails.
        throw lost
      }
    }
    const checkpoints: string[] = []
    const iterated = (async () => {
      let taken = 0
      const options = { items: items(), concurrency: 2, checkpoint: (id: string) => void checkpoints.push(id) }
      for await (const _ of run(options)) if (++taken === 3) break
    })()
    await assert.rejects(iterated, lost)
    assert.deepEqual(checkpoints, ['row-001'])
  })

  test('items that break off: the verdicts before come first, then their error', async () => {
    const { run, rows } = await table(3)
    const broken = new Error('the cursor was lost')
    async function* items() {
      yield* rows.values()
      throw broken
    }
    const verdicts: ReEncryptVerdict[] = []
    const iterated = (async () => {
      for await (const verdict of run({ items: items() })) verdicts.push(verdict)
    })()
    await assert.rejects(iterated, broken)
    assert.equal(verdicts.length, 3)
  })

  test('items are closed when the caller stops, and are read no further than is worked on', async () => {
    const { run, rows } = await table(30)
    let [read, closed] = [0, false]
    async function* items() {
      try {
        for (const row of rows.values()) {
          read += 1
          yield row
        }
      } finally {
        closed = true
      }
    }
    for await (const _ of run({ items: items(), concurrency: 4 })) break
    assert.deepEqual([read, closed], [4, true])
  })
})

describe('what may pass', () => {
  test('is tried again, after a while by the clock; other errors are not', async () => {
    const { run, provider, clock, asked } = await table(2)
    const throttled = new KmsError('THROTTLED', 'slow down')
    provider.tell('reEncrypt', { throws: throttled }, { throws: throttled }, { throws: throttled })
    const running = all(run({ concurrency: 1 }))
    for (let step = 0; step < 20; step++) {
      for (let turns = 0; turns < 3; turns++) await turn()
      clock.advance(2000)
    }
    assert.deepEqual(words(await running), ['moved', 'moved'])
    assert.equal(asked('reEncrypt'), 5)
  })

  test('is given up after so many tries', async () => {
    const { run, provider, clock } = await table(1)
    provider.tell('reEncrypt', ...Array(3).fill({ throws: new KmsError('THROTTLED', 'slow down') }))
    const running = all(run({ attempts: 3 }))
    for (let step = 0; step < 10; step++) {
      for (let turns = 0; turns < 3; turns++) await turn()
      clock.advance(2000)
    }
    const [only] = await running
    assert.ok(only?.verdict === 'failed' && only.error.code === 'THROTTLED')
  })

  test('an audit that is down holds the run up, and it goes on', async () => {
    const { run, sink, clock, rows, kms } = await table(3)
    const iterator = run({ concurrency: 1, attempts: 50 })
    assert.equal((await iterator.next()).value?.verdict, 'moved')
    sink.mode = 'reject'
    const next = iterator.next()
    for (let step = 0; step < 3; step++) {
      for (let turns = 0; turns < 5; turns++) await turn()
      clock.advance(500)
    }
    sink.mode = 'sync'
    for (let step = 0; step < 40; step++) {
      for (let turns = 0; turns < 3; turns++) await turn()
      clock.advance(1000)
    }
    assert.equal((await next).value?.verdict, 'moved')
    assert.deepEqual(words(await all(iterator)), ['moved'])
    assert.equal(rows.size, 3)
    assert.equal(kms.health().state, 'ok')
  })
})

test('progress counts and tells how fast', async () => {
  const { run, clock } = await table(4)
  const told: ReEncryptProgress[] = []
  for await (const _ of run({ onProgress: (progress) => told.push(progress) })) clock.advance(500)
  assert.deepEqual(
    told.map(({ moved }) => moved),
    [1, 2, 3, 4],
  )
  assert.deepEqual(told.at(-1), { moved: 4, current: 0, failed: 0, perSecond: 4 / 1.5 })
})

test('no more than so many at once', async () => {
  const { run, provider } = await table(20)
  let [now, most] = [0, 0]
  const store = async () => {
    now += 1
    most = Math.max(most, now)
    await turn()
    now -= 1
  }
  await all(run({ concurrency: 5, store }))
  assert.ok(most > 1 && most <= 5, `${most}`)
  assert.ok(provider.calls.length > 20)
})

test('wrong options are INVALID_INPUT', async () => {
  const { kms } = await rig()
  const start = reEncryptAll as (options: unknown) => AsyncGenerator
  const fine = { kms, key: 'orders', items: [] }
  for (const options of [
    undefined,
    { ...fine, kms: {} },
    { ...fine, items: 7 },
    { ...fine, items: 'rows' },
    { ...fine, store: 1 },
    { ...fine, after: 1 },
    { ...fine, concurrency: 0 },
    { ...fine, concurrency: Number.POSITIVE_INFINITY },
    { ...fine, attempts: 1.5 },
    { ...fine, checkpointEvery: -1 },
  ])
    await assert.rejects(start(options).next(), { code: 'INVALID_INPUT' })
  await assert.rejects(start({ ...fine, key: 'nobody' }).next(), { code: 'KEY_NOT_FOUND' })
})
