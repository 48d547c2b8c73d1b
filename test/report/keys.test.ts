import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectKeys } from '../../src/report/keys.ts'
import type { ReviewedKey } from '../../src/report/review.ts'
import { roomFor } from '../../src/report/rows.ts'
import { day, entryOf, type Fields, factOf, hostile, hour, monday } from './facts.ts'

const to = 100 * day

interface Told {
  readonly keys: readonly ReviewedKey[]
  readonly overdue: readonly string[]
  readonly failedToRotate: readonly string[]
}

function told(entries: readonly Fields[], when: { readonly to?: number; readonly begins?: number } = {}): Told {
  const keys = collectKeys(roomFor(1000))
  for (const fields of entries) keys.take(factOf(fields))
  const found = keys.told({ to: monday + (when.to ?? to), begins: monday + (when.begins ?? 0) })
  return { keys: found.rows, ...found }
}

function only(entries: readonly Fields[], when?: { readonly to?: number; readonly begins?: number }): ReviewedKey {
  const { keys } = told(entries, when)
  assert.equal(keys.length, 1)
  return keys[0] ?? assert.fail('no key')
}

const created = (details: Fields['details'] = {}, after = 0): Fields => ({ action: 'kms_key.create', details, after })
const monthly = created({ keyRotationEnabled: true, rotationPeriodInDays: 30 })

test('status follows the entries; what cannot be told is not', () => {
  const statusAfter = (...actions: readonly (string | Fields)[]) =>
    only(actions.map((one) => (typeof one === 'string' ? { action: one } : one))).status
  assert.equal(statusAfter('kms_key.create'), 'active')
  assert.equal(statusAfter('kms_key.create', 'kms_key.disable'), 'disabled')
  assert.equal(statusAfter('kms_key.disable', 'kms_key.enable'), 'active')
  assert.equal(statusAfter('kms_key.disable', 'kms_key.delete'), 'pending_deletion')
  assert.equal(statusAfter('kms_key.disable', 'kms_key.delete', 'kms_key.cancel_deletion'), 'disabled')
  assert.equal(statusAfter('kms_key.create', 'kms_key.delete', 'kms_key.cancel_deletion'), 'active')
  assert.equal(statusAfter('kms_key.create', 'kms_key.delete', 'kms_key.destroy'), 'destroyed')
  assert.equal(statusAfter('kms.encrypt'), 'active')
  assert.equal(statusAfter('kms_key.disable', 'kms.encrypt'), 'disabled')
  assert.equal(statusAfter('kms_key.describe'), undefined)
  assert.equal(statusAfter('kms_key.create', { action: 'kms_key.disable', outcome: 'unknown' }), undefined)
  assert.equal(statusAfter('kms_key.create', { action: 'kms_key.disable', outcome: 'failure' }), 'active')
})

test('uses and failures of the time reviewed; versions and the last use of all time', () => {
  const key = only([
    { ...created(), within: false, keyVersion: 1 },
    { within: false, after: hour },
    { action: 'kms.rotate', keyVersion: 4, after: 2 * hour },
    { action: 'kms.decrypt', keyVersion: 3, latestVersion: false, after: 3 * hour },
    { action: 'kms.decrypt', outcome: 'failure', details: { joined: 30 }, after: 4 * hour },
  ])
  assert.deepEqual(key.uses, { 'kms.rotate': 1, 'kms.decrypt': 1 })
  assert.deepEqual([key.failures, key.latestVersion], [30, 4])
  assert.equal(key.createdAt, new Date(monday).toISOString())
  assert.equal(key.lastUsedAt, new Date(monday + 3 * hour).toISOString())
})

test('a refused call makes no key; of one that is known it counts, by whatever name', () => {
  const sweep = { outcome: 'failure', statusCode: 404, error: 'KEY_NOT_FOUND' } as const
  const unresolved = (resourceIdentity: string): Fields => {
    const { keySlug: _slug, ...entry } = factOf({}).entry
    return { ...entry, ...sweep, resourceIdentity, action: 'kms.decrypt' }
  }
  const collected = collectKeys(roomFor(10))
  const take = (fields: Fields) => {
    const fact = factOf(fields)
    // Absent, not undefined: as in an entry.
    const { keySlug, ...entry } = fact.entry
    collected.take(
      fields.statusCode === 404
        ? { ...fact, entry, key: undefined }
        : { ...fact, entry: { ...entry, ...(keySlug && { keySlug }) } },
    )
  }
  take({})
  for (const name of ['nothing', 'orders', 'kms-7f3k2m9q4w8x1z5c']) take(unresolved(name))
  const { rows } = collected.told({ to: monday + to, begins: monday })
  assert.deepEqual(
    rows.map(({ slug, failures }) => [slug, failures]),
    [['orders', 2]],
  )
})

test('one slug in two projects is two keys: a refused call is that of its own, and each has its identity beside', () => {
  const of = (project: string, fields: Fields = {}): Fields => ({
    resourceIdentity: `kms-${project}`,
    project,
    ...fields,
  })
  const collected = collectKeys(roomFor(10))
  for (const fields of [of('a', monthly), of('b', monthly)]) collected.take(factOf(fields))
  const refused = factOf(of('a', { resourceIdentity: 'orders', outcome: 'failure', statusCode: 400 }))
  collected.take({ ...refused, key: undefined })
  const { rows, overdue } = collected.told({ to: monday + to, begins: monday })
  assert.deepEqual(
    rows.map(({ identity, failures }) => [identity, failures]),
    [
      ['kms-a', 1],
      ['kms-b', 0],
    ],
  )
  assert.deepEqual(overdue, ['orders/kms-a', 'orders/kms-b'])
})

test('a key that is made begins with version 1, which its entry does not say', () => {
  const { keyVersion: _version, ...made } = entryOf({ action: 'kms_key.create' })
  const collected = collectKeys(roomFor(10))
  collected.take({ ...factOf({ action: 'kms_key.create' }), entry: made })
  assert.equal(collected.told({ to: monday, begins: monday }).rows[0]?.latestVersion, 1)
})

test('who decrypted: most first, ten of them, and how many there were', () => {
  const by = (id: string, times: number) =>
    Array.from({ length: times }, (): Fields => ({ action: 'kms.decrypt', actor: { type: 'user', id } }))
  const many = Array.from({ length: 12 }, (_, at) => by(`u${at}`, 1)).flat()
  const key = only([...many, ...by('u7', 3), { action: 'kms.encrypt' }, { action: 'kms.decrypt', outcome: 'failure' }])
  assert.deepEqual(key.decryptedBy[0], { actor: 'user:u7', count: 4 })
  assert.deepEqual([key.decryptedBy.length, key.decryptors], [10, 12])
})

test('re-encryption uses the second key too', () => {
  const destinationKey = { identity: 'kms-second', slug: 'second', keyType: 'aes256-gcm96', keyVersion: 7 }
  const { keys } = told([{ action: 'kms.re_encrypt', details: { destinationKey }, after: hour }])
  const second = keys.find(({ slug }) => slug === 'second')
  assert.deepEqual([second?.latestVersion, second?.status, second?.lastUsedAt?.slice(11, 13)], [7, 'active', '01'])
})

test('unused: for 90 days since its last use or its creation, and not told of what the trail cannot know', () => {
  const use = (after: number): Fields => ({ after })
  assert.equal(only([use(10 * day)]).unused, true)
  assert.equal(only([use(10 * day + 1)]).unused, false)
  assert.equal(only([created({}, 10 * day)]).unused, true)
  assert.equal(only([created({}, 11 * day)]).unused, false)
  assert.equal(only([{ action: 'kms_key.describe' }]).unused, true)
  assert.equal(only([{ action: 'kms_key.describe', after: 50 * day }], { begins: 50 * day }).unused, undefined)
  assert.equal(only([created(), { action: 'kms_key.destroy' }]).unused, false)
})

test('rotation: on time, late for a day, then overdue', () => {
  const at = (when: number) => only([monthly], { to: when }).rotation
  assert.equal(at(29 * day).state, 'on time')
  assert.equal(at(30 * day).state, 'late')
  assert.equal(at(31 * day - 1).state, 'late')
  const { state, dueAt, enabled, periodInDays, lastRotatedAt } = at(31 * day)
  const due = new Date(monday + 30 * day).toISOString()
  assert.deepEqual([state, dueAt, enabled, periodInDays, lastRotatedAt], ['overdue', due, true, 30, undefined])
  assert.deepEqual(told([monthly], { to: 31 * day }).overdue, ['orders'])
  assert.deepEqual(told([monthly], { to: 29 * day }).overdue, [])
})

test('rotation: each version begins the period anew, made by hand, on schedule or brought along', () => {
  for (const action of ['kms.rotate', 'kms.rotate.scheduled', 'kms_key.import_version']) {
    const key = only([monthly, { action, after: 28 * day }], { to: 50 * day })
    assert.equal(key.rotation.state, 'on time', action)
  }
  const refused = { action: 'kms.rotate', outcome: 'failure', error: 'ACCESS_DENIED', after: 28 * day } as const
  const { rotation } = only([monthly, refused], { to: 50 * day })
  assert.equal(rotation.state, 'overdue')
})

test('rotation: a schedule that came more than a day late in the time reviewed is late', () => {
  const rotated = (latenessMs: number, within = true): Fields => {
    return { action: 'kms.rotate.scheduled', details: { latenessMs }, after: 35 * day, within }
  }
  const state = (fields: Fields) => only([monthly, fields], { to: 40 * day }).rotation.state
  assert.deepEqual(
    [state(rotated(2 * day)), state(rotated(day)), state(rotated(2 * day, false))],
    ['late', 'on time', 'on time'],
  )
})

test('rotation: off by hand, by import, and while the key is not active; due anew only once it is', () => {
  const state = (...entries: readonly Fields[]) => only(entries).rotation.state
  const changed = (keyRotationEnabled: boolean, rotationPeriodInDays: number, after = 0): Fields => {
    return { action: 'kms_key.update', details: { keyRotationEnabled, rotationPeriodInDays }, after }
  }
  assert.equal(state(created()), 'off')
  assert.equal(state({ action: 'kms_key.import' }), 'off')
  assert.equal(state(monthly, { action: 'kms_key.disable' }), 'off')
  assert.equal(state(monthly, { action: 'kms_key.disable' }, { action: 'kms_key.enable', after: to - hour }), 'late')
  assert.equal(state(monthly, { action: 'kms_key.disable' }, { action: 'kms_key.enable', after: to - day }), 'overdue')
  assert.equal(state(monthly, changed(false, 30)), 'off')
  assert.equal(state(created(), changed(true, 365)), 'on time')
  assert.equal(state(created(), changed(true, 30, to - hour)), 'late')
  const otherSetting: Fields = { action: 'kms_key.update', details: { minDecryptionVersion: 2 } }
  assert.equal(state(monthly, otherSetting), 'overdue')
})

test('rotation: what is not told is unknown, and learnt from a schedule that was kept', () => {
  assert.equal(only([{}]).rotation.state, 'unknown')
  const enabled = created({ keyRotationEnabled: true })
  assert.equal(only([enabled]).rotation.state, 'unknown')
  const kept: Fields = {
    action: 'kms.rotate.scheduled',
    details: { dueAt: new Date(monday + 20 * day).toISOString() },
    after: 20 * day + hour,
  }
  const { rotation } = only([enabled, kept])
  assert.deepEqual([rotation.periodInDays, rotation.state], [20, 'overdue'])
  const elsewhere = { provider: { name: 'aws-kms' } }
  assert.equal(only([{ ...monthly, ...elsewhere }]).rotation.state, 'unknown')
})

test('rotation: one that failed and was not made good, unless somebody else was faster', () => {
  const failed = (error: 'PROVIDER_UNAVAILABLE' | 'VERSION_CONFLICT', within = true): Fields => {
    return { action: 'kms.rotate.scheduled', outcome: 'failure', error, after: day, within }
  }
  const faulty = (...entries: readonly Fields[]) => told([monthly, ...entries], { to: 2 * day }).failedToRotate
  assert.deepEqual(faulty(failed('PROVIDER_UNAVAILABLE')), ['orders'])
  assert.deepEqual(faulty(failed('PROVIDER_UNAVAILABLE'), { action: 'kms.rotate', after: day }), [])
  assert.deepEqual(faulty(failed('VERSION_CONFLICT')), [])
  assert.deepEqual(faulty(failed('PROVIDER_UNAVAILABLE', false)), [])
})

test('rotations in the time reviewed: the newest hundred', () => {
  const many = Array.from({ length: 130 }, (_, at): Fields => ({ action: 'kms.rotate', after: at }))
  const { rotations } = only([{ action: 'kms.rotate', within: false }, ...many]).rotation
  assert.equal(rotations.length, 100)
  assert.equal(rotations.at(-1)?.at, new Date(monday + 129).toISOString())
})

test('of a change that recovery closed, the intent tells what was asked for', () => {
  const keys = collectKeys(roomFor(10))
  const details = { keyRotationEnabled: true, rotationPeriodInDays: 30 }
  keys.take(factOf(created()))
  const intent = factOf({ action: 'kms_key.update', phase: 'intent', outcome: 'pending', details })
  const result = factOf({ action: 'kms_key.update', details: { recovered: true } })
  keys.take({ ...result, intent: intent.entry })
  const [key] = keys.told({ to: monday + to, begins: monday }).rows
  assert.deepEqual([key?.rotation.periodInDays, key?.rotation.state], [30, 'overdue'])
})

test('a period that no date can reach is no due date', () => {
  const { rotation } = only([created({ keyRotationEnabled: true, rotationPeriodInDays: 9e15 })])
  assert.deepEqual([rotation.state, rotation.dueAt], ['unknown', undefined])
  const odd = only([{ ...created(), ...hostile({ details: { keyRotationEnabled: 'yes', rotationPeriodInDays: [] } }) }])
  assert.deepEqual([odd.rotation.enabled, odd.rotation.state], [false, 'off'])
})
