/**
 * @node What the platform's page on audit logging (PLATFORM.md §1) tells its readers to watch, one test each: from real calls of
 * a real client, over a trail on disk, to the finding.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import { createDetector } from '../../src/detect/detector.ts'
import type { Finding } from '../../src/detect/finding.ts'
import { type RuleSettings, shippedRules } from '../../src/detect/shipped.ts'
import { secretsManager } from '../../src/integrations/secrets-manager/index.ts'
import { memorySecretStore } from '../../src/integrations/secrets-manager/memory-store.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { type FakeClock, fakeClock } from '../../src/testing/clock.ts'
import { openTrail, readTrail } from '../../src/trail/index.ts'
import { closedAfterEach } from '../closed-after-each.ts'
import { signerOf } from '../trail/entries.ts'

const hour = 3_600_000
const day = 24 * hour
const api = { actor: { type: 'serviceAccount', id: 'api' }, clientIp: '10.0.1.7', userAgent: 'api/1.0' } as const
const text = new TextEncoder().encode('attack at dawn')

interface World {
  readonly clock: FakeClock
  /** As the service `api`, from its usual address. */
  readonly kms: KmsClient
  /** An encryption of the 14 bytes under the key `orders`. */
  readonly ciphertext: Uint8Array
  /** What the shipped rules find in the whole trail. */
  findings(settings?: RuleSettings): Promise<readonly Finding[]>
  close(): Promise<void>
}

async function makeWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-watched-'))
  const path = join(folder, 'audit')
  // A Monday.
  const clock = fakeClock(Date.UTC(2026, 0, 5))
  const trail = await openTrail({ path, signer: signerOf(7), allowFilesystem: ['tmpfs'] })
  const provider = memoryKms({ clock })
  const client = new KmsClient({ provider, audit: { required: [trail], clock, heartbeatMs: 0 } })
  const kms = client.with(api)
  await kms.createKey({ slug: 'orders', rotationPeriodInDays: 90, exportAllowed: true })
  const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: text })
  return {
    clock,
    kms,
    ciphertext,
    async findings(settings) {
      await client.close()
      const detector = createDetector(shippedRules(settings))
      const found: Finding[] = []
      for await (const { entry } of readTrail(path)) found.push(...detector.take(entry))
      found.push(...detector.advance(clock.now()))
      assert.deepEqual(detector.health().failed, {})
      return found
    },
    async close() {
      await client.close()
      rmSync(folder, { recursive: true })
    },
  }
}

/** The only finding of `rule`. */
function only(findings: readonly Finding[], rule: string): Finding {
  const [found, ...more] = findings.filter((finding) => finding.rule === rule)
  assert.ok(found !== undefined, `nothing of ${rule} among ${findings.map((each) => each.rule).join(', ')}`)
  assert.deepEqual(more, [])
  return found
}

describe('what the platform tells its readers to watch', () => {
  const world = closedAfterEach(makeWorld)

  async function decrypts(kms: KmsClient, ciphertext: Uint8Array, count: number): Promise<void> {
    const answers = await kms.decryptMany(Array.from({ length: count }, () => ({ key: 'orders', ciphertext })))
    assert.ok(answers.every(({ ok }) => ok))
  }

  test('kms.decrypt in unusual volume: by what the key and its caller usually do at that hour', async () => {
    const { clock, kms, ciphertext, findings } = await world()
    for (let hours = 0; hours < 15 * 24; hours++) {
      await decrypts(kms, ciphertext, 6)
      clock.advance(hour)
    }
    for (let calls = 0; calls < 20; calls++) await decrypts(kms, ciphertext, 100)
    const found = (await findings()).filter(({ rule }) => rule === 'decrypt-volume')
    assert.ok(found.length > 0)
    for (const { subject } of found) assert.ok(subject.actor === 'serviceAccount:api' || subject.key === 'orders')
    assert.ok(found.every(({ evidence, count }) => evidence.length > 0 && count >= 50))
  })

  test('kms.decrypt beyond a number that is always too many', async () => {
    const { kms, ciphertext, findings } = await world()
    for (let calls = 0; calls < 12; calls++) await decrypts(kms, ciphertext, 100)
    const found = (await findings({ 'decrypt-cap': { perActor: 1000, perKey: 100_000 } })).filter(
      ({ rule }) => rule === 'decrypt-cap',
    )
    assert.deepEqual(
      found.map(({ subject }) => subject),
      [{ actor: 'serviceAccount:api' }],
    )
  })

  test('kms.decrypt from a source outside the expected service accounts', async () => {
    const { kms, ciphertext, findings } = await world()
    await decrypts(kms, ciphertext, 3)
    const stranger = await kms
      .with({ actor: { type: 'user', id: 'mallory' } })
      .call('decrypt', { key: 'orders', ciphertext })
    const found = await findings({ 'unexpected-decrypt': { actors: { orders: ['serviceAccount:api'] } } })
    const { subject, evidence, level } = only(found, 'unexpected-decrypt')
    assert.deepEqual([subject.actor, subject.key], ['user:mallory', 'orders'])
    assert.deepEqual(evidence, [stranger.eventID])
    assert.ok(['medium', 'high', 'critical'].includes(level))
  })

  test('kms.export: each one, raw and without a reason the loudest', async () => {
    const { kms, findings } = await world()
    const quiet = await kms.with({ reason: { code: 'escrow', ticket: 'T-1' } }).call('export', { key: 'orders' })
    const loud = await kms.call('export', { key: 'orders' })
    const found = (await findings()).filter(({ rule }) => rule === 'export')
    assert.deepEqual(
      found.map(({ level, evidence }) => [level, evidence]),
      [
        ['high', [quiet.eventID]],
        ['critical', [loud.eventID]],
      ],
    )
  })

  test('kms.rotate: by hand and outside the policy', async () => {
    const { clock, kms, findings } = await world()
    clock.advance(day)
    const { eventID } = await kms.with({ actor: { type: 'user', id: 'mallory' } }).call('rotate', { key: 'orders' })
    const found = await findings({ 'manual-rotation': { actors: ['user:alice'] } })
    const { evidence, subject } = only(found, 'manual-rotation')
    assert.deepEqual([evidence.at(-1), subject.key], [eventID, 'orders'])
  })

  test('kms.rotate.scheduled: on its day it is no finding, and one that does not come is', async () => {
    const { clock, kms, findings } = await world()
    clock.advance(90 * day + hour)
    assert.equal((await kms.rotateDueKeys()).length, 1)
    clock.advance(95 * day)
    await kms.describeKey({ key: 'orders' })
    const { subject, evidence } = only(await findings(), 'rotation-overdue')
    assert.equal(subject.key, 'orders')
    assert.ok(evidence.length > 0)
  })

  test('repeated 400s: ten within a quarter of an hour', async () => {
    const { clock, kms, ciphertext, findings } = await world()
    for (let calls = 0; calls < 11; calls++) {
      await assert.rejects(kms.sign({ key: 'orders', input: text }), { code: 'UNSUPPORTED_OPERATION' })
      await assert.rejects(kms.decrypt({ key: 'orders', ciphertext: ciphertext.subarray(1) }), {
        code: 'INVALID_CIPHERTEXT',
      })
      clock.advance(30_000)
    }
    const { subject, count } = only(await findings(), 'repeated-400')
    assert.deepEqual([subject.actor, count], ['serviceAccount:api', 10])
  })

  test('repeated 400s of one kind tell more: ciphertexts that were changed, under the right key', async () => {
    const { kms, ciphertext, findings } = await world()
    const changed = ciphertext.slice()
    changed[ciphertext.length - 1] = (changed.at(-1) ?? 0) ^ 1
    for (let calls = 0; calls < 10; calls++)
      await assert.rejects(kms.decrypt({ key: 'orders', ciphertext: changed }), { code: 'INVALID_CIPHERTEXT' })
    const found = (await findings()).filter(({ rule }) => rule === 'ciphertext-swapping')
    assert.ok(found.some(({ level }) => level === 'high'))
  })

  test('kms.decrypt in the name of a secret that nobody read, beside reads that did', async () => {
    const { clock, kms, ciphertext, findings } = await world()
    const secrets = secretsManager({ kms, store: memorySecretStore() })
    await secrets.create({ path: '/billing/database', key: 'orders', secretString: 'hunter2' })
    await secrets.get({ path: '/billing/database' })
    const origin = {
      service: 'secrets-manager',
      eventID: '0199c9d0-1b00-7000-8000-000000000000',
      resource: '/billing/database',
    }
    const { eventID } = await kms.with({ origin }).call('decrypt', { key: 'orders', ciphertext })
    clock.advance(hour)
    await kms.describeKey({ key: 'orders' })
    assert.deepEqual(only(await findings(), 'decrypt-without-secret').evidence, [eventID])
  })

  test('an ordinary day is silent: nothing at or above medium', async () => {
    const { clock, kms, ciphertext, findings } = await world()
    for (let hours = 0; hours < 24; hours++) {
      await decrypts(kms, ciphertext, 5)
      clock.advance(hour)
    }
    const loud = (await findings()).filter(({ level }) => ['medium', 'high', 'critical'].includes(level))
    assert.deepEqual(
      loud.map(({ says }) => says),
      [],
    )
  })
})
