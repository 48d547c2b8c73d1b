/** A provider that answers out of shape: what would go into the entry as it is must be what it says, or the call is INTERNAL. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KmsClient } from '../../src/client.ts'
import { KmsError } from '../../src/model/errors.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { fakeProvider } from '../../src/testing/provider.ts'
import { validEntries } from '../validate.ts'

const key = { identity: 'kms-a', slug: 'k', keyType: 'xaes256-gcm' }
const good = { key, keyVersion: 1, ciphertext: new Uint8Array(9) }
const wrong: readonly object[] = [
  { ...good, key: null },
  { ...good, flags: 5 },
  { ...good, flags: ['x'.repeat(65)] },
  { ...good, flags: ['two words'] },
  { ...good, flags: Array(9).fill('x') },
  { ...good, usage: 5 },
  { ...good, usage: { messages: '1', limit: 2 } },
  { ...good, usage: { messages: -1, limit: 2 } },
  { ...good, provider: null },
  { ...good, provider: { name: 'two words' } },
  { ...good, provider: { requestId: 5 } },
  { ...good, provider: { attempts: '2' } },
  { ...good, provider: { durationMs: Number.NaN } },
  { ...good, fingerprint: 5 },
  { ...good, fingerprint: `sha256:${'0'.repeat(63)}` },
  { ...good, wrappingKey: 'x'.repeat(20_000) },
]

for (const answer of wrong)
  test(`encrypt answered ${JSON.stringify(answer).slice(70, 130)}`, async () => {
    const provider = fakeProvider()
    const sink = memorySink()
    const kms = new KmsClient({ provider, audit: { required: [sink] } })
    await kms.createKey({ slug: 'k' })
    const before = sink.entries.length
    provider.tell('encrypt', { answers: answer })
    await assert.rejects(kms.encrypt({ key: 'k', plaintext: new Uint8Array(1) }), {
      name: 'KmsError',
      code: 'INTERNAL',
    })
    const entries = validEntries(sink.entries).slice(before)
    assert.deepEqual(
      entries.map(({ outcome, error }) => [outcome, error]),
      [['failure', 'INTERNAL']],
    )
  })

test('evidence of a wrong type is left out of the entry, and harms nothing', async () => {
  const provider = fakeProvider()
  const sink = memorySink()
  const kms = new KmsClient({ provider, audit: { required: [sink] } })
  await kms.createKey({ slug: 'k' })
  // As a provider in JavaScript may throw it.
  const evidence = { requestId: 5, attempts: 'two', durationMs: null, provider: 7, keyVersion: 'x' } as never
  provider.tell('encrypt', { throws: new KmsError('THROTTLED', 'later', { evidence }) })
  await assert.rejects(kms.encrypt({ key: 'k', plaintext: new Uint8Array(1) }), { code: 'THROTTLED' })
  const entry = validEntries(sink.entries).at(-1)
  assert.deepEqual([entry?.provider, entry?.keyVersion], [{ name: 'memory' }, undefined])
})

test('flags and usage that are such go into the entry', async () => {
  const provider = fakeProvider()
  const sink = memorySink()
  const kms = new KmsClient({ provider, audit: { required: [sink] } })
  await kms.createKey({ slug: 'k' })
  provider.tell('encrypt', { answers: { ...good, flags: ['a_mark'], usage: { messages: 7, limit: 8 } } })
  await kms.encrypt({ key: 'k', plaintext: new Uint8Array(1) })
  const details = validEntries(sink.entries).at(-1)?.details
  assert.deepEqual(details, { messages: 7, messageLimit: 8, flags: ['usage_limit_near', 'a_mark'] })
})
