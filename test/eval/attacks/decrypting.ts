/** Attacks that read: by a stolen credential, from where nobody should, too much, too large, too many keys. */
import {
  type Attack,
  foreignAgents,
  impostor,
  insider,
  moments,
  outsideAddress,
  type Stage,
  type Victim,
} from '../attack.ts'
import { day, hour, minute } from '../life/calendar.ts'
import { record } from '../life/calls.ts'
import { isSealing } from '../life/keys.ts'
import { bytesOf, type KeyUse, meanRate } from '../life/services.ts'
import type { Persona } from '../life/world.ts'

const decrypts = ({ mix }: KeyUse) => mix['kms.decrypt'] !== undefined

interface Reading {
  readonly by: Persona
  readonly victim: Victim
  readonly at: readonly number[]
}

/** Decrypts that succeed, of rows of the size that is usual. */
function read({ world, mark, odds }: Stage, { by, victim, at }: Reading): void {
  const { key, use } = victim
  mark.key = key
  mark.actor = by.actor.id
  for (const time of at)
    world.agenda.at(time, (now) =>
      record(world, { at: now, by, action: 'kms.decrypt', key, bytes: bytesOf(odds, use), mark }),
    )
}

function decryptsAnHour({ use, service }: Victim, scale: number): number {
  return meanRate(service, use.key, scale) * (use.mix['kms.decrypt'] ?? 0)
}

/** The credential of a service is used from its own pods, at full speed. */
const massDecryption: Attack = {
  kind: 'mass-decryption',
  begins: [15, 29.5],
  plan(stage) {
    const { world, company, odds, from, either } = stage
    const victim = stage.victim((use) => decrypts(use) && use.perHour >= 20)
    const usual = decryptsAnHour(victim, world.scale)
    const count = either(Math.max(300, 15 * usual), Math.max(company.decryptCapPerHour * 1.3, 30 * usual))
    const at = moments(odds, { from, lasts: 45 * minute, count: Math.round(count) })
    read(stage, { by: victim.service, victim, at })
  },
}

/** The same with patience: some times what is usual, for days. */
const slowDecryption: Attack = {
  kind: 'slow-mass-decryption',
  begins: [16, 25],
  plan(stage) {
    const { world, odds, from, either } = stage
    const victim = stage.victim((use) => decrypts(use) && use.perHour >= 14 && use.perHour <= 100)
    const days = odds.between(2, 4)
    const anHour = Math.max(either(25, 60), decryptsAnHour(victim, world.scale) * either(4, 7))
    const at = moments(odds, { from, lasts: days * day, count: Math.round(anHour * 24 * days) })
    read(stage, { by: victim.service, victim, at })
  },
}

/** Who decrypts has nothing to do with this key: another service, or somebody from development. */
const outsideActor: Attack = {
  kind: 'decrypt-by-outside-actor',
  begins: [3, 29],
  plan(stage) {
    const { services, company, odds, from, either } = stage
    const victim = stage.victim(decrypts)
    const expected = company.expectedDecryptors[victim.key.slug] ?? []
    const others = services.filter(({ actor }) => !expected.includes(actor.id))
    const by = either<Persona>(odds.pick(others), insider(stage))
    const count = either(odds.whole(1, 4), odds.whole(30, 90))
    read(stage, { by, victim, at: moments(odds, { from, lasts: either(hour, 20 * minute), count }) })
  },
}

/** The right credential, from an address that is nobody's of the company. */
const outsideNetwork: Attack = {
  kind: 'decrypt-from-outside-network',
  begins: [3, 29],
  plan(stage) {
    const { world, odds, from, either } = stage
    const victim = stage.victim(decrypts)
    const { userAgent } = victim.service.context(world.odds) ?? {}
    const by = impostor(victim.service, {
      clientIp: outsideAddress(odds),
      ...(userAgent !== undefined && { userAgent }),
    })
    const count = either(odds.whole(2, 6), odds.whole(50, 120))
    read(stage, { by, victim, at: moments(odds, { from, lasts: 2 * hour, count }) })
  },
}

/** The right credential, from a network of the company's where this actor never was. */
const otherNetwork: Attack = {
  kind: 'stolen-credential-new-network',
  begins: [15, 29],
  plan(stage) {
    const { world, odds, from, either } = stage
    const victim = stage.victim(decrypts)
    const { userAgent } = victim.service.context(world.odds) ?? {}
    const clientIp = `${odds.pick(['10.200.1', '10.40.9', '10.210.7'])}.${odds.whole(10, 240)}`
    const by = impostor(victim.service, { clientIp, ...(userAgent !== undefined && { userAgent }) })
    const count = either(odds.whole(2, 8), odds.whole(40, 100))
    read(stage, { by, victim, at: moments(odds, { from, lasts: hour, count }) })
  },
}

/** The right credential, from the right place, with a tool that the service is not made of. */
const otherAgent: Attack = {
  kind: 'stolen-credential-new-agent',
  begins: [15, 29],
  plan(stage) {
    const { world, odds, from, either } = stage
    const victim = stage.victim(decrypts)
    const { clientIp } = victim.service.context(world.odds) ?? {}
    const userAgent = odds.pick(foreignAgents)
    const by = impostor(victim.service, { ...(clientIp !== undefined && { clientIp }), userAgent })
    const count = either(odds.whole(2, 8), odds.whole(40, 100))
    read(stage, { by, victim, at: moments(odds, { from, lasts: hour, count }) })
  },
}

/** A key that nobody has touched for months is opened by somebody who never has. */
const dormantKey: Attack = {
  kind: 'dormant-key-first-use',
  begins: [15, 29],
  plan(stage) {
    const { world, services, odds, mark, from, either } = stage
    const key = stage.prey(({ isDormant, isCanary, status }) => isDormant === true && !isCanary && status === 'active')
    const by = either<Persona>(odds.pick(services), insider(stage))
    mark.key = key
    mark.actor = by.actor.id
    for (const at of moments(odds, { from, lasts: 30 * minute, count: either(odds.whole(1, 3), odds.whole(20, 60)) }))
      world.agenda.at(at, (now) => record(world, { at: now, by, action: 'kms.decrypt', key, bytes: 900, mark }))
  },
}

/** Rows are read that nobody writes: more decrypts than usual for hours, and no more encrypts. */
const readOnly: Attack = {
  kind: 'read-only-exfiltration',
  begins: [15, 28.5],
  plan(stage) {
    const { world, odds, from, either } = stage
    const isBoth = ({ mix }: KeyUse) => mix['kms.encrypt'] !== undefined && mix['kms.decrypt'] !== undefined
    const victim = stage.victim((use) => isBoth(use) && use.perHour >= 14 && (use.mix['kms.decrypt'] ?? 1) <= 0.75)
    const hours = odds.between(8, 16)
    const anHour = Math.max(either(30, 60), decryptsAnHour(victim, world.scale) * either(4, 8))
    const at = moments(odds, { from, lasts: hours * hour, count: Math.round(anHour * hours) })
    read(stage, { by: victim.service, victim, at })
  },
}

/** Few calls, but each carries as much as a call can. */
const largePayloads: Attack = {
  kind: 'bulk-exfiltration-in-large-payloads',
  begins: [15, 29],
  plan(stage) {
    const { world, odds, mark, from, either } = stage
    const victim = stage.victim((use) => decrypts(use) && use.bytes >= 100 && use.bytes < 2000)
    const { service: by, key } = victim
    mark.key = key
    mark.actor = by.actor.id
    for (const at of moments(odds, { from, lasts: 40 * minute, count: either(odds.whole(6, 10), odds.whole(30, 60)) }))
      world.agenda.at(at, (now) =>
        record(world, { at: now, by, action: 'kms.decrypt', key, bytes: odds.whole(48_000, 65_000), mark }),
      )
  },
}

/** One actor tries every key there is, within a minute. */
const keySpraying: Attack = {
  kind: 'key-spraying',
  begins: [3, 29],
  plan(stage) {
    const { world, services, odds, mark, from, either } = stage
    const by = odds.pick(services)
    mark.actor = by.actor.id
    const seals = [...world.keys.values()].filter(
      (key) => key.isCanary === undefined && key.status === 'active' && isSealing(key),
    )
    const keys = odds.some(seals, either(odds.whole(14, 18), seals.length))
    keys.forEach((key, nth) => {
      world.agenda.at(from + (nth * either(50_000, 20_000)) / keys.length, (now) => {
        const refused = odds.happens(0.4) ? ({ error: 'ACCESS_DENIED' } as const) : {}
        record(world, { at: now, by, action: 'kms.decrypt', key, bytes: 300, mark, ...refused })
      })
    })
  },
}

/** A key that exists only to be touched by somebody who looks around. */
const canary: Attack = {
  kind: 'canary-key-touched',
  begins: [1, 29],
  plan(stage) {
    const { world, services, odds, mark, from, either } = stage
    const key = stage.prey(({ isCanary }) => isCanary === true)
    const by = either<Persona>(odds.pick(services), insider(stage))
    mark.key = key
    mark.actor = by.actor.id
    const error = 'INVALID_CIPHERTEXT'
    for (const at of moments(odds, { from, lasts: 10 * minute, count: either(1, odds.whole(4, 12)) }))
      world.agenda.at(at, (now) =>
        record(world, { at: now, by, action: 'kms.decrypt', key, bytes: 64, error, decryptFailure: 'malformed', mark }),
      )
  },
}

export const decrypting: readonly Attack[] = [
  massDecryption,
  slowDecryption,
  outsideActor,
  outsideNetwork,
  otherNetwork,
  otherAgent,
  dormantKey,
  readOnly,
  largePayloads,
  keySpraying,
  canary,
]
