/** Attacks that take key material out. */
import { type Attack, administrator, insider, type Stage } from '../attack.ts'
import { hour, minute } from '../life/calendar.ts'
import { type KeyState, newKey } from '../life/keys.ts'
import { createKey, exportKey, rotate } from '../life/lifecycle.ts'

function take({ mark }: Stage, key: KeyState, by: { readonly id: string }): void {
  mark.key = key
  mark.actor = by.id
}

const fingerprint = (stage: Stage) => `sha256:${stage.odds.text(64, '0123456789abcdef')}`

/** In the clear; the subtle one gives a reason that sounds well. */
const raw: Attack = {
  kind: 'export-raw',
  begins: [1, 29],
  plan(stage) {
    const { world, mark, from, either } = stage
    const key = world.key('escrow')
    const by = either(administrator(stage), insider(stage))
    take(stage, key, by)
    const reason = either({ reason: { code: 'migration', ticket: 'CHG-401' } }, {})
    world.agenda.at(from, (at) => exportKey(world, { at, by, key, mark, ...reason }))
  },
}

/** Wrapped for somebody unknown, and nobody says why. */
const withoutReason: Attack = {
  kind: 'export-without-reason',
  begins: [1, 29],
  plan(stage) {
    const { world, mark, from, either } = stage
    const key = world.key('dr-master')
    const by = either(administrator(stage), insider(stage))
    take(stage, key, by)
    world.agenda.at(from, (at) => exportKey(world, { at, by, key, mark, recipient: fingerprint(stage) }))
  },
}

/** A key is made that may leave, and leaves at once. */
const afterCreation: Attack = {
  kind: 'export-after-creation',
  begins: [1, 28.5],
  plan(stage) {
    const { world, odds, mark, from, either } = stage
    const by = administrator(stage)
    const slug = odds.pick(['customer-sync', 'orders-mirror', 'billing-copy'])
    const key = newKey({ slug, project: 'shop', keyType: 'aes256-gcm96', exportAllowed: true }, { odds, at: from })
    take(stage, key, by)
    const reason = { code: 'change', ticket: 'CHG-777' }
    world.agenda.at(from, (at) => createKey(world, { at, by, key, mark, reason }))
    world.agenda.at(from + either(odds.between(20, 50), odds.between(1, 5)) * minute, (at) =>
      exportKey(world, { at, by, key, mark, reason, recipient: fingerprint(stage) }),
    )
  },
}

/** Once the new version is there it leaves: rotated by the attacker, or awaited. */
const afterRotation: Attack = {
  kind: 'export-after-rotation',
  begins: [8, 20],
  plan(stage) {
    const { world, odds, mark, from, variant } = stage
    const key = stage.prey(({ slug }) => slug === 'tenant-transfer')
    const by = administrator(stage)
    take(stage, key, by)
    const reason = { code: 'change', ticket: 'CHG-512' }
    const leave = (at: number) => exportKey(world, { at, by, key, mark, reason, recipient: fingerprint(stage) })
    if (variant === 'loud') {
      world.agenda.at(from, (at) => rotate(world, { at, by, key, mark, reason }))
      world.agenda.at(from + odds.between(2, 15) * minute, leave)
      return
    }
    world.agenda.at(from, function wait(now) {
      if (now - key.rotatedAt < hour) leave(now)
      else world.agenda.at(now + 20 * minute, wait)
    })
  },
}

export const exporting: readonly Attack[] = [raw, withoutReason, afterCreation, afterRotation]
