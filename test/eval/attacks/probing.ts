/** Attacks that feel their way: wrong parameters, names that may exist, actions that may be allowed. */
import { type Attack, impostor, insider, moments, outsideAddress, type Stage } from '../attack.ts'
import { hour, minute } from '../life/calendar.ts'
import { type CryptoAction, record, recordChange, recordFlood } from '../life/calls.ts'
import { isSealing, type KeyState } from '../life/keys.ts'
import type { Persona } from '../life/world.ts'

const wrong = [
  { error: 'INVALID_INPUT' },
  { error: 'INVALID_INPUT' },
  { error: 'UNSUPPORTED_OPERATION' },
  { error: 'INVALID_CIPHERTEXT', decryptFailure: 'malformed' },
] as const

interface Wrong {
  readonly at: number
  readonly by: Persona
  readonly key: KeyState
}

function askWrongly({ world, odds, mark }: Stage, { at, by, key }: Wrong): void {
  const says = isSealing(key) ? odds.pick(wrong) : ({ error: 'UNSUPPORTED_OPERATION' } as const)
  const action: CryptoAction =
    says.error === 'INVALID_CIPHERTEXT' ? 'kms.decrypt' : odds.pick(['kms.decrypt', 'kms.encrypt'])
  world.agenda.at(at, (now) => record(world, { at: now, by, action, key, bytes: odds.below(4000), mark, ...says }))
}

const isInUse = ({ status, isCanary, isDormant }: KeyState) => status === 'active' && !isCanary && !isDormant

/** One actor, one key, parameters that make no sense; the loud one as fast as it goes, so that refusals are joined. */
const fuzzing: Attack = {
  kind: 'parameter-fuzzing',
  begins: [1, 29],
  plan(stage) {
    const { world, services, odds, mark, from, variant } = stage
    const by = odds.pick(services)
    const key = world.key(odds.pick(['orders', 'documents', 'messages', 'identity-pii']))
    mark.key = key
    mark.actor = by.actor.id
    if (variant === 'loud') {
      const call = { at: from, by, action: 'kms.decrypt', key, bytes: 33, error: 'INVALID_INPUT', mark } as const
      recordFlood(world, call, { count: odds.whole(1500, 4000), overMs: 60_000 })
      return
    }
    for (const at of moments(odds, { from, lasts: 12 * minute, count: odds.whole(13, 18) }))
      askWrongly(stage, { at, by, key })
  },
}

/** The same against one key in the name of many actors, none of whom asks often. */
const spreadFuzzing: Attack = {
  kind: 'parameter-fuzzing-by-many-actors',
  begins: [1, 29],
  plan(stage) {
    const { world, services, odds, mark, from, either } = stage
    const key = world.key(odds.pick(['payments', 'orders', 'carts', 'media']))
    mark.key = key
    const many = odds.some(services, either(7, 14))
    moments(odds, { from, lasts: 12 * minute, count: either(odds.whole(16, 24), 90) }).forEach((at, nth) => {
      const by = many[nth % many.length]
      if (by !== undefined) askWrongly(stage, { at, by, key })
    })
  },
}

/** One actor, and one key after another. */
const probing: Attack = {
  kind: 'parameter-fuzzing-over-many-keys',
  begins: [1, 29],
  plan(stage) {
    const { world, odds, mark, from, either } = stage
    const by = insider(stage)
    mark.actor = by.actor.id
    const keys = odds.some([...world.keys.values()].filter(isInUse), either(4, 16))
    moments(odds, { from, lasts: 12 * minute, count: either(odds.whole(12, 16), 90) }).forEach((at, nth) => {
      const key = keys[nth % keys.length]
      if (key !== undefined) askWrongly(stage, { at, by, key })
    })
  },
}

const prefixes = [
  'prod',
  'backup',
  'master',
  'root',
  'customer',
  'payment',
  'admin',
  'db',
  'vault',
  'app',
  'token',
  'ssl',
]
const suffixes = ['key', 'keys', 'master', 'prod', '1', '2', 'old', 'new', 'v2', 'aes', 'data', 'secret', 'main', 'dev']

/** Names that might be those of keys. */
const sweep: Attack = {
  kind: 'slug-sweep',
  begins: [1, 29],
  plan(stage) {
    const { world, services, odds, mark, from, either } = stage
    const by = either<Persona>(
      odds.pick(services),
      impostor(insider(stage), { clientIp: outsideAddress(odds), userAgent: 'kmsbrute/0.3' }),
    )
    mark.actor = by.actor.id
    const guesses = prefixes.flatMap((prefix) => suffixes.map((suffix) => `${prefix}-${suffix}`))
    const names = odds.some(guesses, either(odds.whole(26, 40), guesses.length))
    const lasts = either(25 * minute, 4 * minute)
    names.forEach((key, nth) => {
      world.agenda.at(from + (nth / names.length) * lasts, (at) =>
        record(world, { at, by, action: 'kms_key.describe', key, error: 'KEY_NOT_FOUND', mark }),
      )
    })
  },
}

const asked = [
  'kms.encrypt',
  'kms.decrypt',
  'kms.sign',
  'kms.hmac',
  'kms.generate_data_key',
  'kms_key.describe',
  'kms_key.get_public_key',
] as const
const changes = ['kms.rotate', 'kms.export', 'kms_key.disable', 'kms_key.delete', 'kms_key.update', 'kms_key.enable']

/** What may this credential do? Each answer is no. */
const permissions: Attack = {
  kind: 'permission-probing',
  begins: [1, 28],
  plan(stage) {
    const { world, services, odds, mark, from, either } = stage
    const by = either<Persona>(insider(stage), odds.pick(services))
    mark.actor = by.actor.id
    const keys = odds.some([...world.keys.values()].filter(isInUse), either(1, 4))
    const tried = keys.flatMap((key) => [...asked, ...changes].map((action) => ({ key, action })))
    const at = moments(odds, { from, lasts: either(9 * hour, 10 * minute), count: tried.length })
    tried.forEach(({ key, action }, nth) => {
      world.agenda.at(at[nth] ?? from, (now) => {
        const call = { at: now, by, key, error: 'ACCESS_DENIED', mark } as const
        const single = asked.find((one) => one === action)
        if (single === undefined) recordChange(world, { ...call, action })
        else record(world, { ...call, action: single, bytes: 32 })
      })
    })
  },
}

export const feeling: readonly Attack[] = [fuzzing, spreadFuzzing, probing, sweep, permissions]
