import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { backup, restore } from '../../src/backup/index.ts'
import { readTrail, verifyTrail } from '../../src/trail/index.ts'
import { copyFolder } from '../copy-folder.ts'
import { failureOf } from '../providers/calls.ts'
import { type House, house, plaintext } from './house.ts'

const reason = { code: 'accepted', ticket: 'OPS-17' }

async function actionsOf({ audit }: House): Promise<string[]> {
  const actions = []
  for await (const { entry } of readTrail(audit)) actions.push(entry.action)
  return actions
}

/** A house in which `old` holds keystore and trail from before the last rotation; closed. */
async function grown(home: House): Promise<string> {
  const old = join(home.folder, 'old')
  const first = await home.open()
  await first.kms.createKey({ slug: 'k' })
  await first.kms.rotate({ key: 'k' })
  await first.kms.close()
  copyFolder(join(home.keys, '..'), old)
  const second = await home.open()
  await second.kms.rotate({ key: 'k' })
  await second.kms.encrypt({ key: 'k', plaintext })
  await second.kms.close()
  return old
}

function takeBack(from: string, to: string): void {
  rmSync(to, { recursive: true })
  copyFolder(from, to)
}

test('an older keystore beside the trail is refused at each call, until somebody accepts it, and that is an entry', async (t) => {
  const home = house(t)
  const old = await grown(home)
  takeBack(join(old, 'keys'), home.keys)
  const { kms } = await home.open()
  for (let call = 0; call < 2; call++) {
    const error = await failureOf(kms.encrypt({ key: 'k', plaintext }))
    assert.equal(error.code, 'ROLLED_BACK')
    assert.match(error.message, /the keystore was taken back: it is at generation 3, and the trail tells of 4/)
  }
  await assert.rejects(kms.ready(), { code: 'ROLLED_BACK' })
  await kms.close()
  assert.ok(!(await actionsOf(home)).includes('audit.restored'))

  const accepted = await home.open({ rebind: reason })
  await accepted.kms.rotate({ key: 'k' })
  await accepted.kms.close()
  assert.equal((await actionsOf(home)).filter((action) => action === 'audit.restored').length, 1)
  const after = await home.open()
  await after.kms.encrypt({ key: 'k', plaintext })
  await after.kms.close()
})

test('an older trail beside the keystore is refused when it is opened, or at each call, until somebody accepts it', async (t) => {
  const home = house(t)
  const old = await grown(home)
  takeBack(join(old, 'audit'), home.audit)
  const { kms, local } = await home.open()
  const error = await failureOf(kms.encrypt({ key: 'k', plaintext }))
  assert.equal(error.code, 'ROLLED_BACK')
  assert.match(error.message, /the trail (was taken back|is another one)/)
  const anchor = local.binding()?.anchor
  await kms.close()
  // The refused call left entries: the trail is taken back once more, to look at its opening.
  takeBack(join(old, 'audit'), home.audit)
  assert.ok(anchor !== undefined)
  const opening = await home.open({ trail: { anchor } }).catch((failed) => failed)
  assert.equal(opening.code, 'ROLLED_BACK')

  const accepted = await home.open({ rebind: reason })
  await accepted.kms.encrypt({ key: 'k', plaintext })
  await accepted.kms.close()
  const again = await home.open({ trail: { anchor } })
  await again.kms.encrypt({ key: 'k', plaintext })
  await again.kms.close()
})

test('a pin from after the backup says of the restored trail that it was rolled back, and later that it is another one', async (t) => {
  const home = house(t)
  const { kms, trail } = await home.open({ trail: { pin: { file: join(home.folder, 'pin') } } })
  await kms.createKey({ slug: 'k' })
  await backup({ keys: home.keys, audit: home.audit, out: home.out() })
  for (let at = 0; at < 20; at++) await kms.encrypt({ key: 'k', plaintext })
  const { vkey } = trail
  await kms.close()
  const pin = join(home.folder, 'pin')
  assert.equal((await verifyTrail(home.audit, { vkey, pin })).verdict, 'valid')
  for (const folder of [home.keys, home.audit]) rmSync(folder, { recursive: true })
  await restore({ from: home.out(), keys: home.keys, audit: home.audit, rootKey: home.rootKey, reason })
  assert.equal((await verifyTrail(home.audit, { vkey })).verdict, 'valid')
  assert.equal((await verifyTrail(home.audit, { vkey, pin })).verdict, 'rolled-back')
  const again = await home.open()
  for (let at = 0; at < 40; at++) await again.kms.encrypt({ key: 'k', plaintext })
  await again.kms.close()
  assert.equal((await verifyTrail(home.audit, { vkey, pin })).verdict, 'forked')
})

test('a pair that is taken back whole fits, which is why a restore says so itself: only an anchor elsewhere tells it', async (t) => {
  const home = house(t)
  const old = await grown(home)
  for (const name of ['keys', 'audit'] as const) takeBack(join(old, name), home[name])
  const { kms } = await home.open()
  await kms.encrypt({ key: 'k', plaintext })
  await kms.close()
  assert.ok(!(await actionsOf(home)).includes('audit.restored'))
})

test('the signer is rotated, twice while no trail is open, and the trail is handed over when it is', async (t) => {
  const home = house(t)
  const first = await home.open()
  const { vkey } = first.trail
  await first.kms.rotateAuditSigner()
  await first.kms.rotateAuditSigner()
  await first.kms.createKey({ slug: 'k' })
  assert.equal(first.trail.vkey, vkey)
  await first.kms.close()
  await backup({ keys: home.keys, audit: home.audit, out: home.out() })
  const second = await home.open()
  await second.kms.encrypt({ key: 'k', plaintext })
  await second.kms.close()
  assert.equal((await actionsOf(home)).filter((action) => action === 'audit.key_rotated').length, 1)
  const { verdict, vkey: now } = await verifyTrail(home.audit, { vkey })
  assert.equal(verdict, 'valid')
  assert.notEqual(now, vkey)

  for (const folder of [home.keys, home.audit]) rmSync(folder, { recursive: true })
  await restore({ from: home.out(), keys: home.keys, audit: home.audit, rootKey: home.rootKey, reason, vkey })
  assert.equal((await verifyTrail(home.audit, { vkey })).verdict, 'valid')
})
