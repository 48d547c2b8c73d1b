/** Access policies in force: they gate values, and nothing else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rig, told } from './rig.ts'

const path = '/billing/database'
const policy = { conditions: [{ type: 'ip', effect: 'deny', cidrs: ['198.51.100.0/24'] }] } as const
const there = { context: { clientIp: '198.51.100.9' } }

test('reading and writing values is 403 with the rule, before the KMS is asked; all else goes on', async () => {
  const { secrets, entries } = await rig()
  await secrets.create({ path, key: 'orders', secretString: 'x', policy })
  entries()
  await assert.rejects(secrets.get({ path }, there), { code: 'ACCESS_DENIED', statusCode: 403 })
  await assert.rejects(secrets.put({ path, secretString: 'y' }, there), { code: 'ACCESS_DENIED' })
  await secrets.describe({ path }, there)
  await secrets.list({}, there)
  await secrets.updatePolicy({ path, policy: null }, there)
  assert.equal((await secrets.get({ path }, there)).secretString, 'x')
  await secrets.updatePolicy({ path, policy }, there)
  await secrets.destroyVersion({ path, version: 1 }, there)
  await secrets.delete({ path }, there)
  assert.deepEqual(told(entries()).slice(0, 3), [
    `secret.get_value failure ACCESS_DENIED ${path} conditions.0`,
    `secret.put_value failure ACCESS_DENIED ${path} conditions.0`,
    `secret.describe success ${path}`,
  ])
})

test('a policy goes with the address that was said, whatever the field policy keeps of it', async () => {
  const { secrets } = await rig()
  const allow = { conditions: [{ type: 'ip', effect: 'allow', cidrs: ['192.0.2.7'] }] } as const
  await secrets.create({ path, key: 'orders', secretString: 'x', policy: allow })
  assert.equal((await secrets.get({ path })).secretString, 'x')
  await assert.rejects(secrets.get({ path }, { context: { clientIp: '192.0.2.8' } }), { code: 'ACCESS_DENIED' })
  await assert.rejects(secrets.get({ path }, { context: { clientIp: 'somewhere' } }), { code: 'ACCESS_DENIED' })
})

test('hours go by the clock of the audit', async () => {
  const { secrets, clock } = await rig()
  const nights = { conditions: [{ type: 'time', effect: 'deny', startHour: 22, endHour: 6, timezone: 'UTC' }] } as const
  await secrets.create({ path, key: 'orders', secretString: 'x', policy: nights })
  await assert.rejects(secrets.get({ path }), { code: 'ACCESS_DENIED' })
  clock.advance(3 * 3_600_000)
  assert.equal((await secrets.get({ path })).secretString, 'x')
})
