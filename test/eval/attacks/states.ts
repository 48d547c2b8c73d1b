/** Attacks on keys as such: those out of use, those put out of use, those brought in, and one that is used up. */
import { type Attack, administrator, insider, moments, type Stage } from '../attack.ts'
import { hour, minute } from '../life/calendar.ts'
import { record, warnAt } from '../life/calls.ts'
import { type KeyState, newKey } from '../life/keys.ts'
import { cancelDeletion, disable, enable, importKey, rotateScheduled, scheduleDeletion } from '../life/lifecycle.ts'
import { updatePolicy } from '../life/secrets.ts'
import { keytrail } from '../life/upkeep.ts'
import type { Persona } from '../life/world.ts'

/** Somebody tries a key that is out of use. */
function useInactive(stage: Stage, status: KeyState['status']): void {
  const { world, services, odds, mark, from, either } = stage
  const key = stage.prey((one) => one.status === status && one.isCanary === undefined)
  const by = either<Persona>(odds.pick(services), insider(stage))
  mark.key = key
  mark.actor = by.actor.id
  for (const at of moments(odds, { from, lasts: 20 * minute, count: either(odds.whole(1, 3), odds.whole(20, 60)) }))
    world.agenda.at(at, (now) => record(world, { at: now, by, action: 'kms.decrypt', key, bytes: 400, mark }))
}

const disabledKey: Attack = {
  kind: 'use-of-disabled-key',
  begins: [1, 29],
  plan: (stage) => useInactive(stage, 'disabled'),
}

const pendingKey: Attack = {
  kind: 'use-of-key-pending-deletion',
  begins: [1, 29],
  plan: (stage) => useInactive(stage, 'pending_deletion'),
}

/** One key is switched off, without a word; hours later somebody notices why a service fails. */
const quietDisable: Attack = {
  kind: 'quiet-disable',
  begins: [1, 28.5],
  plan(stage) {
    const { world, odds, mark, from, either } = stage
    const { key } = stage.victim(({ perHour, mix }) => perHour <= 30 && mix['kms.decrypt'] !== undefined)
    const by = either(administrator(stage), insider(stage))
    mark.key = key
    mark.actor = by.id
    world.agenda.at(from, (at) => disable(world, { at, by, key, mark }))
    const reason = { code: 'incident', ticket: `INC-${odds.whole(2000, 9000)}` }
    const repairer = administrator(stage)
    world.agenda.at(from + odds.between(1, 6) * hour, (at) =>
      enable(world, { at, by: repairer, key, reason, because: mark }),
    )
  },
}

/** Keys are put on the way to their end, one after the other. */
const massDeletion: Attack = {
  kind: 'mass-deletion',
  begins: [1, 28],
  plan(stage) {
    const { world, odds, mark, from, either } = stage
    const by = either(administrator(stage), insider(stage))
    mark.actor = by.id
    const fits = ({ project, isDormant, isCanary, status }: KeyState) =>
      (project === 'dev' || isDormant === true) && isCanary === undefined && status === 'active'
    const count = either(6, 8)
    const keys = Array.from({ length: count }, () => stage.prey(fits))
    const repairer = administrator(stage)
    const reason = { code: 'incident', ticket: `INC-${odds.whole(2000, 9000)}` }
    const times = moments(odds, { from, lasts: either(45, 5) * minute, count })
    keys.forEach((key, nth) => {
      world.agenda.at(times[nth] ?? from, (at) => scheduleDeletion(world, { at, by, key, days: 7, mark }))
      world.agenda.at(from + 4 * hour + nth * minute, (at) =>
        cancelDeletion(world, { at, by: repairer, key, reason, because: mark }),
      )
    })
  },
}

/** A key whose material somebody else knows is brought in, under a name that does not catch the eye. */
const foreignImport: Attack = {
  kind: 'import-of-a-foreign-key',
  begins: [1, 29],
  plan(stage) {
    const { world, odds, mark, from, either } = stage
    const by = either<Persona>(administrator(stage), insider(stage))
    const slug = odds.pick(['orders-v2', 'documents-next', 'identity-pii-2'])
    const key = newKey({ slug, project: 'platform', keyType: 'aes256-gcm96' }, { odds, at: from })
    mark.key = key
    mark.actor = by.actor.id
    world.agenda.at(from, (at) => importKey(world, { at, by, key, form: 'raw', mark }))
  },
}

/** Who may read a secret is decided by somebody who has no say in it, or without a reason. */
const accessChange: Attack = {
  kind: 'access-rule-change',
  begins: [1, 29],
  plan(stage) {
    const { world, services, odds, mark, from, either } = stage
    const by = either(administrator(stage), insider(stage))
    const secret = odds.pick(odds.pick(services).secrets)
    mark.actor = by.id
    world.agenda.at(from, (at) => updatePolicy(world, { at, by, secret, mark }))
  },
}

/** A version seals until it hardly may any more; the client then rotates the key by itself, sooner or later. */
const usageLimit: Attack = {
  kind: 'message-limit-near',
  begins: [1, 28],
  plan(stage) {
    const { world, odds, mark, from, either } = stage
    const { key, service: by } = stage.victim(
      ({ mix, key: slug, perHour }) =>
        mix['kms.encrypt'] !== undefined && perHour >= 18 && world.key(slug).keyType === 'aes256-gcm96',
    )
    mark.key = key
    world.agenda.at(from, (begun) => {
      key.nearLimit = { mark, messages: warnAt + odds.below(90_000), left: either(2, odds.whole(20, 60)) }
      for (const at of [begun + minute, begun + 3 * minute])
        world.agenda.at(at, (now) => record(world, { at: now, by, action: 'kms.encrypt', key, bytes: 300 }))
      world.agenda.at(begun + 10 * minute, function look(at) {
        if (key.nearLimit === undefined) return
        if (key.nearLimit.left > 0) world.agenda.at(at + 10 * minute, look)
        else rotateScheduled(world, { at, by: keytrail, key, dueAt: at, cause: 'usage', reason: usageWarning, mark })
      })
    })
  },
}

const usageWarning = Object.freeze({ code: 'usage-warning' })

export const changing: readonly Attack[] = [
  disabledKey,
  pendingKey,
  massDeletion,
  quietDisable,
  foreignImport,
  accessChange,
  usageLimit,
]
