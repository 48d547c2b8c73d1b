/** Attacks around the Secrets Manager: of its two entries only one is there. */
import { type Attack, moments, type Stage } from '../attack.ts'
import { minute } from '../life/calendar.ts'
import { readSecret } from '../life/secrets.ts'

function readHalf(stage: Stage, only: 'kms' | 'secret' | 'secret-naming-none'): void {
  const { world, services, odds, mark, from, either } = stage
  const by = odds.pick(services)
  const secret = odds.pick(by.secrets)
  mark.key = secret.key
  mark.actor = by.actor.id
  for (const at of moments(odds, { from, lasts: 20 * minute, count: either(odds.whole(1, 2), odds.whole(15, 40)) }))
    world.agenda.at(at, (now) => readSecret(world, { at: now, by, secret, only, mark }))
}

/** A value was given out, and no key was used for it: it came from somewhere else. */
const withoutDecrypt: Attack = {
  kind: 'secret-read-without-decrypt',
  begins: [1, 29],
  plan: (stage) => readHalf(stage, stage.either('secret-naming-none', 'secret')),
}

/** A key was used in a secret's name, and the Secrets Manager knows nothing of it. */
const withoutSecret: Attack = {
  kind: 'decrypt-in-a-secrets-name',
  begins: [1, 29],
  plan: (stage) => readHalf(stage, 'kms'),
}

export const aroundSecrets: readonly Attack[] = [withoutDecrypt, withoutSecret]
