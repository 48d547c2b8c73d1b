/** Cases for what every call does, whatever the key: entries, refusals, lifecycle, deadlines. */
import { KmsClient } from 'keytrail'
import { memoryKms } from 'keytrail/providers/memory'
import { anyOf } from 'keytrail/sinks/combine'
import { memorySink } from 'keytrail/sinks/memory'
import { fakeProvider, summary } from 'keytrail/testing'
import { type PortableCase, scene } from './case.ts'
import { demand, demandBytes, demandEqual, refused, utf8 } from './check.ts'

const plaintext = utf8('attack at dawn')

export const callCases: readonly PortableCase[] = [
  {
    name: 'the package picks the engine of the runtime, and says so in health() and in audit.opened',
    async run({ engine }) {
      const { kms, entries } = scene()
      await kms.createKey({ slug: 'orders' })
      demandEqual(kms.health().engine, engine, 'the engine')
      const [opened] = entries()
      demandEqual([opened?.action, opened?.details?.engine], ['audit.opened', engine], 'the first entry')
    },
  },
  {
    name: 'an entry tells who, what, where and which key, and no two have the same id or salt',
    async run() {
      const { kms, entries, last } = scene({ region: 'nl-01', project: 'billing' })
      await kms.createKey({ slug: 'orders' })
      const alice = kms.with({
        actor: { type: 'user', id: 'alice' },
        clientIp: '2001:DB8::1',
        userAgent: 'curl/8',
        requestId: 'r-1',
      })
      const { eventID } = await alice.encrypt({ key: 'orders', plaintext })
      const entry = last()
      demandEqual(
        [entry.eventID, entry.action, entry.region, entry.project, entry.keySlug, entry.keyVersion, entry.outcome],
        [eventID, 'kms.encrypt', 'nl-01', 'billing', 'orders', 1, 'success'],
        'the entry',
      )
      demandEqual(entry.actor, { type: 'user', id: 'alice', source: 'context' }, 'the actor')
      demandEqual(entry.context, { clientIp: '2001:db8::1', userAgent: 'curl/8', requestId: 'r-1' }, 'the context')
      const all = entries()
      demand(new Set(all.map((one) => one.eventID)).size === all.length, 'eventIDs must differ')
      demand(new Set(all.map((one) => one.salt)).size === all.length, 'salts must differ')
      demand(
        all.every((one, at) => at === 0 || (all[at - 1]?.eventID ?? '') < one.eventID),
        'eventIDs must rise',
      )
    },
  },
  {
    name: 'each refusal has its code, and exactly one entry',
    async run() {
      const { kms, lines } = scene()
      await kms.createKey({ slug: 'orders' })
      await kms.createKey({ slug: 'signing', keyType: 'ed25519' })
      const before = lines().length
      await refused(kms.encrypt({ key: 'nobody', plaintext }), 'KEY_NOT_FOUND')
      await refused(kms.encrypt({ key: 'signing', plaintext }), 'UNSUPPORTED_OPERATION')
      await refused(kms.encrypt({ key: 'orders', plaintext: new Uint8Array(0) }), 'INVALID_INPUT')
      await refused(kms.encrypt({ key: 'orders', plaintext: new Uint8Array(65_536) }), 'INVALID_INPUT')
      await refused(kms.createKey({ slug: 'orders' }), 'KEY_EXISTS')
      demandEqual(
        lines().slice(before),
        [
          'kms.encrypt failure nobody KEY_NOT_FOUND',
          'kms.encrypt failure signing UNSUPPORTED_OPERATION',
          'kms.encrypt failure orders INVALID_INPUT',
          'kms.encrypt failure orders INVALID_INPUT',
          'kms_key.create pending orders',
          'kms_key.create failure orders KEY_EXISTS',
        ],
        'entries',
      )
    },
  },
  {
    name: 'a key is disabled, enabled, scheduled for deletion, kept, and rotated when that is due',
    async run() {
      const { kms, lines } = scene()
      const key = 'orders'
      await kms.createKey({ slug: key, keyRotationEnabled: false })
      const { ciphertext } = await kms.encrypt({ key, plaintext })
      await kms.disableKey({ key })
      await refused(kms.decrypt({ key, ciphertext }), 'KEY_NOT_ACTIVE')
      await kms.enableKey({ key })
      demandBytes((await kms.decrypt({ key, ciphertext })).plaintext, plaintext, 'the plaintext')
      await kms.scheduleKeyDeletion({ key })
      await refused(kms.encrypt({ key, plaintext }), 'KEY_NOT_ACTIVE')
      await kms.cancelKeyDeletion({ key })
      await kms.enableKey({ key })
      await kms.updateRotation({ key, keyRotationEnabled: true, rotationPeriodInDays: 30 })
      demandEqual(await kms.rotateDueKeys(), [], 'keys that are due')
      const { keys } = await kms.listKeys()
      demandEqual(
        keys.map(({ slug, status, keyRotationEnabled }) => [slug, status, keyRotationEnabled]),
        [[key, 'active', true]],
        'the keys',
      )
      const done = lines().filter((line) => line.startsWith('kms_key.') && line.includes(' success '))
      demand(done.length >= 7, `each change must have its entry, and there are ${done.join(', ')}`)
    },
  },
  {
    name: 'a call that is aborted or late settles at once, and has its entry',
    async run() {
      const sink = memorySink()
      const provider = fakeProvider()
      const kms = new KmsClient({ provider, audit: { required: [sink] } })
      await kms.createKey({ slug: 'orders' })
      provider.tell('encrypt', 'never', 'never')
      await refused(kms.encrypt({ key: 'orders', plaintext }, { deadlineMs: 30 }), 'DEADLINE_EXCEEDED')
      const controller = new AbortController()
      const aborted = refused(kms.encrypt({ key: 'orders', plaintext }, { signal: controller.signal }), 'ABORTED')
      controller.abort()
      await aborted
      demandEqual(
        summary(sink.entries).slice(-2),
        ['kms.encrypt failure orders DEADLINE_EXCEEDED', 'kms.encrypt failure orders ABORTED'],
        'entries',
      )
      demand((await kms.encrypt({ key: 'orders', plaintext })).keyVersion === 1, 'the next call must work')
    },
  },
  {
    name: 'no entry, no result: a sink that refuses, or one that never answers, lets nothing out',
    async run() {
      const full = memorySink({ maxEntries: 3 })
      const kms = new KmsClient({ provider: memoryKms(), audit: { required: [full] } })
      await kms.createKey({ slug: 'orders' })
      await refused(kms.encrypt({ key: 'orders', plaintext }), 'AUDIT_REFUSED')

      let silent = false
      const never = { ...memorySink(), write: () => (silent ? new Promise<void>(() => undefined) : undefined) }
      const waiting = new KmsClient({ provider: memoryKms(), audit: { required: [never], sinkDeadlineMs: 30 } })
      await waiting.createKey({ slug: 'orders' })
      silent = true
      await refused(waiting.encrypt({ key: 'orders', plaintext }), 'AUDIT_REFUSED')
    },
  },
  {
    name: 'anyOf accepts with one of two sinks, and the other gets the entries too',
    async run() {
      const [first, second] = [memorySink({ name: 'first' }), memorySink({ name: 'second' })]
      const kms = new KmsClient({ provider: memoryKms(), audit: { required: [anyOf(first, second)] } })
      await kms.createKey({ slug: 'orders' })
      await kms.encrypt({ key: 'orders', plaintext })
      demandEqual(second.entries, first.entries, 'what the second sink holds')
      demand(summary(first.entries).includes('kms.encrypt success orders v1'), 'the first must hold the entry')
    },
  },
  {
    name: 'a hundred calls at once all have their entry, and close lets those in flight settle',
    async run() {
      const { kms, lines } = scene()
      await kms.createKey({ slug: 'orders' })
      const calls = Array.from({ length: 100 }, () => kms.encrypt({ key: 'orders', plaintext }))
      const closed = kms.close()
      demand((await Promise.all(calls)).length === 100, 'every call must settle')
      await closed
      demand(lines().filter((line) => line === 'kms.encrypt success orders v1').length === 100, 'a hundred entries')
      await refused(kms.encrypt({ key: 'orders', plaintext }), 'CLOSED')
    },
  },
]
