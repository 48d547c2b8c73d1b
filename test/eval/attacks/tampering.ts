/** Attacks on what the keys protect: ciphertexts and contexts exchanged, forgeries, old material, signatures at night. */
import { type Attack, moments, type Stage } from '../attack.ts'
import { atLocal, day, hour, minute } from '../life/calendar.ts'
import { record } from '../life/calls.ts'
import { bytesOf, type KeyUse, type Service } from '../life/services.ts'

const isBound = ({ mix }: KeyUse) => mix['kms.decrypt'] !== undefined && mix['kms.encrypt'] !== undefined

interface Swap {
  readonly count: number
  readonly lasts: number
  /** Of each attempt. */
  readonly tenant: () => string
}

/** The service opens what is put before it, and it does not open. */
function swap(stage: Stage, { count, lasts, tenant }: Swap): void {
  const { world, odds, mark, from } = stage
  const { service: by, key, use } = stage.victim(isBound)
  mark.key = key
  mark.actor = by.actor.id
  for (const at of moments(odds, { from, lasts, count }))
    world.agenda.at(at, (now) =>
      record(world, {
        at: now,
        by,
        action: 'kms.decrypt',
        key,
        bytes: bytesOf(odds, use),
        encryptionContext: { tenant: tenant() },
        error: 'INVALID_CIPHERTEXT',
        decryptFailure: 'authentication_failed',
        mark,
      }),
    )
}

/** Rows of others are copied over one's own. */
const ciphertextSwapping: Attack = {
  kind: 'ciphertext-swapping',
  begins: [1, 29],
  plan(stage) {
    const { odds, either } = stage
    const own = `t-${odds.whole(100, 999)}`
    swap(stage, {
      count: either(odds.whole(6, 10), odds.whole(40, 80)),
      lasts: either(40, 8) * minute,
      tenant: () => own,
    })
  },
}

/** One ciphertext, and all the contexts that it might have been sealed with. */
const contextSwapping: Attack = {
  kind: 'context-swapping',
  begins: [1, 29],
  plan(stage) {
    const { odds, either } = stage
    const tenant = () => `t-${odds.whole(100, 999)}`
    swap(stage, { count: either(odds.whole(6, 10), odds.whole(60, 95)), lasts: either(30, 5) * minute, tenant })
  },
}

interface Forgery {
  readonly service: string
  readonly slug: string
  readonly action: 'kms.verify' | 'kms.verify_hmac'
}

/** A service is shown what nobody signed. */
function forge(stage: Stage, { service, slug, action }: Forgery): void {
  const { world, odds, mark, from, either } = stage
  const by = stage.services.find(({ plan }) => plan.name === service)
  if (by === undefined) throw new Error(`there is no ${service}`)
  const key = world.key(slug)
  mark.key = key
  mark.actor = by.actor.id
  const count = either(odds.whole(18, 30), odds.whole(200, 500))
  for (const at of moments(odds, { from, lasts: either(9, 5) * minute, count }))
    world.agenda.at(at, (now) => record(world, { at: now, by, action, key, bytes: 300, valid: false, mark }))
}

const forgedSignatures: Attack = {
  kind: 'forged-signatures',
  begins: [1, 29],
  plan(stage) {
    const places = [
      ['device-gateway', 'devices'],
      ['session-service', 'session-signing'],
      ['oauth-issuer', 'oauth-signing'],
    ] as const
    const [service, slug] = stage.odds.pick(places)
    forge(stage, { service, slug, action: 'kms.verify' })
  },
}

const forgedMacs: Attack = {
  kind: 'forged-macs',
  begins: [1, 29],
  plan(stage) {
    const places = [
      ['webhooks', 'webhooks'],
      ['payments-api', 'payment-tokens'],
      ['session-service', 'session-tokens'],
    ] as const
    const [service, slug] = stage.odds.pick(places)
    forge(stage, { service, slug, action: 'kms.verify_hmac' })
  },
}

/** A release is signed when nobody releases. */
const nightSigning: Attack = {
  kind: 'signing-at-night',
  begins: [2, 29],
  plan({ world, jobs, odds, mark, from, either }) {
    const key = world.key('code-signing')
    const by = jobs.release
    mark.key = key
    mark.actor = by.id
    const night = atLocal('Europe/Amsterdam', Math.floor((from - world.begins) / day), odds.between(0.5, 5))
    for (const at of moments(odds, { from: night, lasts: hour, count: either(1, odds.whole(4, 9)) }))
      world.agenda.at(at, (now) => record(world, { at: now, by, action: 'kms.sign', key, bytes: 32, mark }))
  },
}

/** A copy of the database from weeks ago is opened: its ciphertexts are of a version that nothing needs any more. */
const oldVersion: Attack = {
  kind: 'old-version-decrypt',
  begins: [24, 29],
  plan(stage) {
    const { world, odds, mark, from, either } = stage
    const hasOne = (use: KeyUse, _: Service) => isBound(use) && world.key(use.key).period === 7
    const { service: by, key, use } = stage.victim(hasOne)
    mark.key = key
    mark.actor = by.actor.id
    for (const at of moments(odds, { from, lasts: hour, count: either(odds.whole(2, 5), odds.whole(40, 90)) }))
      world.agenda.at(at, (now) => {
        // The one before the one before was superseded two weeks ago at least.
        const version = Math.max(1, key.latest - 3)
        record(world, { at: now, by, action: 'kms.decrypt', key, version, bytes: bytesOf(odds, use), mark })
      })
  },
}

export const tampering: readonly Attack[] = [
  oldVersion,
  ciphertextSwapping,
  contextSwapping,
  forgedSignatures,
  forgedMacs,
  nightSigning,
]
