import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { engine } from '../../../src/crypto/node.ts'
import { evidenceOf, KmsError } from '../../../src/model/errors.ts'
import type { KeyType } from '../../../src/model/key.ts'
import { type Keystore, newKeystore, type StoredKey, type UsageCount } from '../../../src/providers/local/keystore.ts'
import { type Meter, openUsage, type Usage, type UsageLimits, usageLimits } from '../../../src/providers/local/usage.ts'

const limits: UsageLimits = { warnAt: 80, limit: 90, block: 16 }

function keyOf(identity: string, versions = 1, keyType: KeyType = 'aes256-gcm96'): StoredKey {
  return {
    identity,
    slug: identity,
    name: identity,
    keyType,
    status: 'active',
    exportAllowed: false,
    keyRotationEnabled: false,
    createdAt: 0,
    updatedAt: 0,
    objectVersion: 1,
    versions: Array.from({ length: versions }, (_, at) => ({
      version: at + 1,
      createdAt: 0,
      material: new Uint8Array(32),
    })),
  }
}

function keystoreOf(keys: readonly StoredKey[], usage: readonly UsageCount[] = []): Keystore {
  return { ...newKeystore(engine), keys, usage }
}

const a = keyOf('a')
const count = (messages: number, identity = 'a', version = 1): UsageCount => ({ identity, version, messages })

/** A disk of which the test decides when a writing is done, and how. */
function slowDisk() {
  const waiting: { readonly counts: readonly UsageCount[]; settle(error?: KmsError): Promise<void> }[] = []
  return {
    waiting,
    store: (counts: readonly UsageCount[]) =>
      new Promise<void>((resolve, reject) => {
        waiting.push({
          counts,
          async settle(error) {
            if (error === undefined) resolve()
            else reject(error)
            await turns()
          },
        })
      }),
  }
}

/** Lets everything run that waits for nothing but its turn. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

function meterOf(usage: Usage, key = a, version = 1): Meter {
  return usage.meter(key, version) ?? assert.fail('it is counted')
}

function refusal(meter: Meter): KmsError {
  try {
    meter.count(1)
  } catch (error) {
    if (error instanceof KmsError) return error
    throw error
  }
  throw new Error('expected a refusal')
}

const full = new KmsError('PROVIDER_UNAVAILABLE', 'ENOSPC')

test('the limits are 0.8 and 0.9 of 2^32', () => {
  assert.deepEqual([usageLimits.warnAt, usageLimits.limit], [3_435_973_836, 3_865_470_566])
  assert.ok(usageLimits.block <= 2 ** 20)
})

test('with the real limits it warns from the first message at the warning on, and seals none beyond the limit', () => {
  const nearly = openUsage({ keystore: keystoreOf([a], [count(3_435_973_834)]) })
  const meter = meterOf(nearly)
  assert.equal(meter.count(1), undefined)
  assert.equal(nearly.isNear(a), false)
  assert.deepEqual(meter.count(1), { messages: 3_435_973_836, limit: 3_865_470_566 })
  assert.equal(nearly.isNear(a), true)
  const last = meterOf(openUsage({ keystore: keystoreOf([a], [count(3_865_470_565)]) }))
  assert.deepEqual(last.count(7), { messages: 3_865_470_566, limit: 3_865_470_566 })
  for (let again = 0; again < 3; again++) {
    const error = refusal(last)
    assert.equal(error.code, 'USAGE_LIMIT')
    assert.match(error.message, /version 1 has sealed 3865470566 messages.*rotate the key/)
    assert.deepEqual(evidenceOf(error), { keyVersion: 1 })
  }
  assert.equal(last.messages, 3_865_470_566)
})

test('without a disk, whatever was sealed before: exactly the limit is sealed, and warned of from the warning on', () => {
  fc.assert(
    fc.property(fc.nat({ max: 90 }), (before) => {
      const meter = meterOf(openUsage({ keystore: keystoreOf([a], [count(before)]), limits }))
      let warned = 0
      for (let sealed = before; sealed < 90; sealed++) if (meter.count(1) !== undefined) warned++
      assert.equal(warned, Math.min(11, 90 - before))
      assert.equal(refusal(meter).code, 'USAGE_LIMIT')
    }),
  )
})

test('types whose nonces are long, or that have none, are not counted', () => {
  const usage = openUsage({ keystore: keystoreOf([keyOf('x', 1, 'xaes256-gcm'), keyOf('m', 1, 'hmac')]) })
  assert.equal(usage.meter(keyOf('x', 1, 'xaes256-gcm'), 1), undefined)
  assert.equal(usage.meter(keyOf('m', 1, 'hmac'), 1), undefined)
})

test('each version counts for itself', () => {
  const key = keyOf('a', 3)
  const usage = openUsage({ keystore: keystoreOf([key, keyOf('b')]), limits })
  meterOf(usage, key, 2).count(2)
  meterOf(usage, key, 2).count(2)
  assert.equal(meterOf(usage, key, 2), meterOf(usage, key, 2))
  assert.deepEqual(
    [1, 2, 3].map((version) => meterOf(usage, key, version).messages),
    [0, 2, 0],
  )
  assert.deepEqual(usage.counts(keystoreOf([key, keyOf('b')])), [count(2, 'a', 2)])
})

test('nothing is sealed that no count on the disk covers', async () => {
  const disk = slowDisk()
  const usage = openUsage({ keystore: keystoreOf([a]), store: disk.store, limits })
  const reserved = usage.start()
  await turns()
  assert.deepEqual(disk.waiting[0]?.counts, [count(16)])
  assert.equal(refusal(meterOf(usage)).code, 'PROVIDER_UNAVAILABLE')
  await disk.waiting[0]?.settle()
  await reserved
  for (let sealed = 0; sealed < 8; sealed++) assert.equal(meterOf(usage).count(1), undefined)
  await turns()
  assert.equal(disk.waiting.length, 1, 'half of a block is left')
  meterOf(usage).count(1)
  await turns()
  assert.deepEqual(disk.waiting[1]?.counts, [count(25)])
  for (let sealed = 9; sealed < 16; sealed++) meterOf(usage).count(1)
  assert.equal(disk.waiting.length, 2, 'one writing at a time')
  assert.equal(refusal(meterOf(usage)).code, 'PROVIDER_UNAVAILABLE')
  await disk.waiting[1]?.settle()
  for (let sealed = 16; sealed < 25; sealed++) meterOf(usage).count(1)
  assert.equal(meterOf(usage).messages, 25)
})

test('a disk that fails is asked again, later at first and at each call once nothing is left, and then all goes on', async () => {
  const disk = slowDisk()
  const usage = openUsage({ keystore: keystoreOf([a]), store: disk.store, limits })
  const opening = usage.start()
  await turns()
  await disk.waiting[0]?.settle(full)
  await assert.rejects(opening, { code: 'PROVIDER_UNAVAILABLE' })
  assert.equal(refusal(meterOf(usage)).code, 'PROVIDER_UNAVAILABLE')
  await turns()
  await disk.waiting[1]?.settle()
  for (let sealed = 0; sealed < 9; sealed++) meterOf(usage).count(1)
  await turns()
  await disk.waiting[2]?.settle(full)
  meterOf(usage).count(1)
  await turns()
  assert.equal(disk.waiting.length, 3)
  // One sixteenth of a block later.
  meterOf(usage).count(1)
  await turns()
  await disk.waiting[3]?.settle(full)
  assert.equal(disk.waiting.length, 4)
  for (let sealed = 11; sealed < 16; sealed++) {
    meterOf(usage).count(1)
    await turns()
    await disk.waiting.at(-1)?.settle(full)
  }
  for (let round = 0; round < 3; round++) {
    const writings: number = disk.waiting.length
    const error = refusal(meterOf(usage))
    assert.equal(error.code, 'PROVIDER_UNAVAILABLE')
    assert.equal(error.cause, full)
    await turns()
    assert.equal(disk.waiting.length, writings + 1)
    await disk.waiting.at(-1)?.settle(round < 2 ? full : undefined)
  }
  meterOf(usage).count(1)
  assert.equal(meterOf(usage).messages, 17)
})

test('at any moment the disk holds at least what was sealed, whatever it does, and never more than a block beyond', async () => {
  const steps = fc.array(fc.constantFrom('seal', 'seal', 'seal', 'seal', 'done', 'fail', 'rotate', 'destroy'), {
    minLength: 50,
    maxLength: 200,
  })
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const disk = slowDisk()
      let versions = 1
      let keystore = keystoreOf([a, keyOf('b')])
      const usage = openUsage({ keystore, store: disk.store, limits: { warnAt: 800, limit: 900, block: 16 } })
      usage.start().catch(() => undefined)
      let kept: readonly UsageCount[] = []
      let settled = 0
      const sealed = new Map<number, number>()
      for (const step of all) {
        await turns()
        const writing = disk.waiting[settled]
        if (step === 'seal') {
          try {
            const key = keystore.keys.find(({ identity }) => identity === 'a') ?? a
            meterOf(usage, key, versions).count(versions)
            sealed.set(versions, (sealed.get(versions) ?? 0) + 1)
          } catch (error) {
            assert.ok(error instanceof KmsError && error.code === 'PROVIDER_UNAVAILABLE')
          }
        }
        if (step === 'done' && writing !== undefined) {
          kept = writing.counts
          settled++
          await writing.settle()
        }
        if (step === 'fail' && writing !== undefined) {
          settled++
          await writing.settle(full)
        }
        if (step === 'rotate' && settled === disk.waiting.length) {
          const next = { ...keystore, keys: [keyOf('a', versions + 1), ...keystore.keys.slice(1)] }
          const made = usage.reserve(next)
          await turns()
          kept = disk.waiting[settled]?.counts ?? kept
          await disk.waiting[settled]?.settle()
          settled = disk.waiting.length
          await made
          usage.replace(next)
          keystore = next
          versions++
        }
        if (step === 'destroy') {
          keystore = { ...keystore, keys: keystore.keys.slice(0, 1) }
          usage.replace(keystore)
        }
        for (const [version, messages] of sealed) {
          const onDisk = kept.find((one) => one.identity === 'a' && one.version === version)?.messages ?? 0
          assert.ok(onDisk >= messages, `${onDisk} on the disk, ${messages} sealed`)
          assert.ok(onDisk <= messages + 16)
        }
      }
    }),
    { numRuns: 200 },
  )
})

test('a version that could not be made for want of room gets its room when it is made after all', async () => {
  const disk = slowDisk()
  const usage = openUsage({ keystore: keystoreOf([a]), store: disk.store, limits })
  const next = keystoreOf([keyOf('a', 2)])
  const failed = usage.reserve(next)
  await turns()
  await disk.waiting[0]?.settle(full)
  await assert.rejects(failed, { code: 'PROVIDER_UNAVAILABLE' })
  const made = usage.reserve(next)
  await turns()
  assert.deepEqual(disk.waiting[1]?.counts, [count(16), count(16, 'a', 2)])
  await disk.waiting[1]?.settle()
  await made
  await usage.reserve(next)
  usage.replace(next)
  assert.equal(disk.waiting.length, 2)
  assert.equal(meterOf(usage, keyOf('a', 2), 2).count(2), undefined)
})

test('a change that brings no version waits for no counts, whatever the disk does', async () => {
  const disk = slowDisk()
  const usage = openUsage({ keystore: keystoreOf([a]), store: disk.store, limits })
  const starting = usage.start()
  await turns()
  await disk.waiting[0]?.settle(full)
  await assert.rejects(starting, { code: 'PROVIDER_UNAVAILABLE' })
  await usage.reserve(keystoreOf([{ ...a, status: 'disabled' }]))
  assert.equal(disk.waiting.length, 1)
})

test('closing writes what was really counted, after what is under way, and nothing afterwards', async () => {
  const disk = slowDisk()
  const usage = openUsage({ keystore: keystoreOf([a, keyOf('b')]), store: disk.store, limits })
  const reserved = usage.start()
  await turns()
  await disk.waiting[0]?.settle()
  await reserved
  for (let sealed = 0; sealed < 9; sealed++) meterOf(usage).count(1)
  await turns()
  const closing = usage.close()
  meterOf(usage).count(1)
  await disk.waiting[1]?.settle()
  assert.deepEqual(disk.waiting[2]?.counts, [count(10), count(0, 'b')])
  await disk.waiting[2]?.settle(full)
  await closing
  for (let sealed = 10; sealed < 16; sealed++) meterOf(usage).count(1)
  await turns()
  assert.equal(disk.waiting.length, 3)
})

test('of what was kept and what the keystore remembers, the larger holds', () => {
  for (const [kept, remembered, holds] of [
    [5, 3, 5],
    [3, 5, 5],
    [undefined, 5, 5],
    [5, undefined, 5],
  ] as const) {
    const keystore = keystoreOf([a], remembered === undefined ? [] : [count(remembered)])
    const usage = openUsage({ keystore, ...(kept !== undefined && { kept: [count(kept), count(9, 'gone')] }), limits })
    assert.equal(meterOf(usage).messages, holds)
  }
})

test('another process’s counts are caught up with, never gone back to, and keys that are gone are forgotten', () => {
  const usage = openUsage({ keystore: keystoreOf([a, keyOf('b')]), limits })
  meterOf(usage).count(1)
  usage.replace(keystoreOf([a], [count(40)]))
  assert.equal(meterOf(usage).messages, 40)
  meterOf(usage).count(1)
  usage.replace(keystoreOf([a, keyOf('c')], [count(40)]))
  assert.equal(meterOf(usage).messages, 41)
  assert.equal(usage.meter(keyOf('b'), 1), undefined)
  assert.equal(meterOf(usage, keyOf('c')).count(1), undefined)
})
