/** Rotations that do not come, do not succeed, or come when nobody wants them. */
import { type Attack, administrator, insider, moments } from '../attack.ts'
import { atLocal, hour, minute } from '../life/calendar.ts'
import { rotate, updateRotation } from '../life/lifecycle.ts'

/** The scheduler passes one key over; in the loud variant somebody has switched its rotation off. */
const stops: Attack = {
  kind: 'rotation-stops',
  isAbsence: true,
  begins: [4, 12],
  plan(stage) {
    const { world, mark, from, variant } = stage
    const key = stage.prey(({ period, exportAllowed }) => period === 7 && exportAllowed === undefined)
    mark.key = key
    world.agenda.at(from, (now) => {
      key.trouble = { how: 'forgotten', mark }
      // When it falls due next; from then on it is missing.
      mark.from = key.nextRotationAt ?? now
      if (variant === 'loud') updateRotation(world, { at: now, by: insider(stage), key, period: undefined, mark })
      mark.to = world.ends
    })
  },
}

/** It is tried, hour after hour, and fails. */
const fails: Attack = {
  kind: 'scheduled-rotation-fails',
  begins: [4, 20],
  plan(stage) {
    const { world, odds, mark, from, either } = stage
    const key = stage.prey(({ period, exportAllowed }) => period === 7 && exportAllowed === undefined)
    mark.key = key
    world.agenda.at(from, () => {
      key.trouble = { how: 'failing', mark }
    })
    // Repaired some hours after the first failure, or never.
    const repairsAfter = either(odds.between(3, 10) * hour, 90 * 24 * hour)
    world.agenda.at(from, function look(now) {
      if (mark.from !== undefined && now - mark.from > repairsAfter) delete key.trouble
      else world.agenda.at(now + 30 * minute, look)
    })
  },
}

/** By hand, by somebody who may not; or by somebody who may, without a word, in the night. */
const byHand: Attack = {
  kind: 'manual-rotation-out-of-policy',
  begins: [2, 29],
  plan(stage) {
    const { world, odds, mark, from, either } = stage
    const key = stage.prey(
      ({ period, isDormant, exportAllowed }) => period !== undefined && period > 7 && !isDormant && !exportAllowed,
    )
    const by = either(administrator(stage), insider(stage))
    const dayNumber = Math.floor((from - world.begins) / (24 * hour))
    mark.key = key
    mark.actor = by.id
    world.agenda.at(atLocal('Europe/Amsterdam', dayNumber, odds.between(1, 4)), (at) =>
      rotate(world, { at, by, key, mark }),
    )
  },
}

/** Again and again the same key; or many keys, one after the other. Each with a reason that sounds well. */
const storm: Attack = {
  kind: 'rotation-storm',
  begins: [2, 29],
  plan(stage) {
    const { world, odds, mark, from, either } = stage
    const by = administrator(stage)
    mark.actor = by.id
    const reason = { code: 'change', ticket: 'CHG-640' }
    const one = stage.prey(({ slug }) => slug.startsWith('secrets-'))
    const several = [...world.keys.values()].filter(({ period }) => period !== undefined && period >= 30)
    const keys = either(odds.some(several, 8), [one])
    if (keys.length === 1) mark.key = one
    moments(odds, { from, lasts: 40 * minute, count: either(keys.length, odds.whole(10, 25)) }).forEach((time, nth) => {
      const key = keys[nth % keys.length] ?? one
      world.agenda.at(time, (at) => rotate(world, { at, by, key, mark, reason }))
    })
  },
}

export const rotations: readonly Attack[] = [stops, fails, byHand, storm]
