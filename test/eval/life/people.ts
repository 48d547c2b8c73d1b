/** The company's people: office hours in three zones, nights on call, typing errors, joiners and leavers. */
import type { EntryContext, EntryReason } from '../../../src/model/entry.ts'
import { atLocal, hour, isWorkday, minute, type Zone } from './calendar.ts'
import { record } from './calls.ts'
import { isSealing, type Project } from './keys.ts'
import { disable, enable, rotate } from './lifecycle.ts'
import type { Odds } from './odds.ts'
import { refusedRead } from './secrets.ts'
import type { Persona, World } from './world.ts'

export type Role = 'developer' | 'support' | 'finance' | 'keyAdministrator' | 'security' | 'people'

export interface Person extends Persona {
  readonly id: string
  readonly role: Role
  readonly zone: Zone
  /** First and last day at work, of those who join or leave. */
  readonly from: number
  readonly until: number
  readonly isOnCall: boolean
  /** Keys that this person's work needs. */
  readonly keys: readonly string[]
}

const names =
  'anna bram carla daan elif femke gijs hanna iris joost karim lotte maria niels olga pieter quinn ruben sanne thijs ' +
  'ursula vera wouter xander yara zoe amir bente cas dina emma finn grace hugo ilse jonas kim luca mila noah oscar priya ' +
  'rosa sven tess umar vince willa'

interface Staff {
  readonly role: Role
  readonly count: number
  readonly project: Project
  readonly keys: readonly string[]
  readonly zones?: readonly Zone[]
}

const staff: readonly Staff[] = [
  {
    role: 'developer',
    count: 22,
    project: 'dev',
    keys: ['dev-sandbox', 'staging-orders', 'staging-documents', 'staging-hooks', 'dev-signing'],
    zones: ['Europe/Amsterdam', 'Europe/Amsterdam', 'Europe/Amsterdam', 'America/New_York', 'Asia/Singapore'],
  },
  { role: 'support', count: 10, project: 'shop', keys: ['customer-notes'] },
  { role: 'finance', count: 5, project: 'finance', keys: ['payroll', 'tax'] },
  { role: 'people', count: 3, project: 'people', keys: ['hr-records', 'cv-store'] },
  { role: 'keyAdministrator', count: 4, project: 'platform', keys: [] },
  { role: 'security', count: 2, project: 'platform', keys: [] },
]

/** Makes everybody, without anything that they do. */
export function peopleOf(world: World): readonly Person[] {
  const odds = world.fork('people')
  const left = names.split(' ')
  const people: Person[] = []
  for (const group of staff)
    for (let nth = 0; nth < group.count; nth++) {
      const id = left.shift()
      if (id === undefined) throw new Error('more people than names')
      people.push(personOf(world, { id, group, nth, odds }))
    }
  return people
}

interface Joining {
  readonly id: string
  readonly group: Staff
  readonly nth: number
  readonly odds: Odds
}

const places = new WeakMap<Person, { turn(at: number): void }>()

function personOf(world: World, { id, group, nth, odds }: Joining): Person {
  const { role, project } = group
  const zone = odds.pick(group.zones ?? (['Europe/Amsterdam'] as const))
  // Those who join: the last of the developers and of support. Who leaves: the first but one.
  const joins = (role === 'developer' && nth >= group.count - 2) || (role === 'support' && nth === group.count - 1)
  const leaves = (role === 'developer' || role === 'support') && nth === 1
  const desk = `10.210.${odds.whole(1, 6)}.${odds.whole(10, 240)}`
  const tunnel = `10.200.${odds.whole(0, 3)}`
  // The tunnel gets a second end in the midst of the month.
  const secondTunnel = odds.happens(0.06) ? `10.202.0` : tunnel
  const usesCommandLine = role === 'developer' || role === 'keyAdministrator'
  let chrome = 145
  let where: EntryContext = seat('desk', world.begins)
  const person: Person = {
    id,
    role,
    zone,
    project,
    from: joins ? 5 + 6 * (nth % 3) : 0,
    until: leaves ? 12 + odds.below(8) : Number.POSITIVE_INFINITY,
    isOnCall: role === 'developer' && nth < 7 && nth !== 1,
    keys: role === 'developer' ? odds.some(group.keys, 2) : group.keys,
    actor: Object.freeze({ type: 'user', id, source: 'call' }),
    route: ['kms-a', 'kms-b'],
    context: () => where,
  }
  places.set(person, {
    turn(at) {
      if (at > world.begins + 11 * 24 * hour) chrome = 146
      where = seat(odds.happens(0.65) ? 'desk' : 'tunnel', at)
    },
  })
  return person

  function seat(place: 'desk' | 'tunnel', at: number): EntryContext {
    const far = at > world.begins + 17 * 24 * hour ? secondTunnel : tunnel
    const clientIp = place === 'desk' && zone === 'Europe/Amsterdam' ? desk : `${far}.${odds.whole(10, 240)}`
    const browser = `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${chrome}.0.0.0 Safari/537.36`
    return Object.freeze({ clientIp, userAgent: usesCommandLine ? 'keytrail-cli/0.1.0 node/22.14.0' : browser })
  }
}

/** Has everybody come to work. */
export function startPeople(world: World, people: readonly Person[]): void {
  const days = Math.ceil((world.ends - world.begins) / (24 * hour))
  for (const person of people) {
    const odds = world.fork(`days of ${person.id}`)
    for (let dayNumber = 0; dayNumber < days; dayNumber++) {
      if (dayNumber < person.from || dayNumber > person.until) continue
      const morning = atLocal(person.zone, dayNumber, 9)
      const worksWeekends = person.role === 'support' && odds.happens(0.25)
      if (!isWorkday(person.zone, morning) && !worksWeekends) continue
      // Ill, or on leave.
      if (odds.happens(0.07)) continue
      world.agenda.at(morning - 30 * minute, (now) => places.get(person)?.turn(now))
      workday(world, { person, odds, morning })
    }
  }
  const onCall = people.filter(({ isOnCall }) => isOnCall)
  for (let night = 0; night < days; night++) callOut(world, { onCall, night })
}

interface Workday {
  readonly person: Person
  readonly odds: Odds
  readonly morning: number
}

function workday(world: World, { person, odds, morning }: Workday): void {
  const acts = { developer: 5, support: 24, finance: 7, keyAdministrator: 5, security: 3, people: 6 }[person.role]
  const count = Math.round(odds.skewed(acts * world.pace, 0.35))
  for (let nth = 0; nth < count; nth++) {
    const at = morning + odds.between(-0.4, 8.2) * hour
    world.agenda.at(at, (now) => act(world, { person, odds, now }))
  }
}

interface Doing {
  readonly person: Person
  readonly odds: Odds
  readonly now: number
}

function act(world: World, { person, odds, now }: Doing): void {
  const { role, keys } = person
  const by = person
  if (keys.length === 0 || odds.happens(role === 'developer' ? 0.35 : 0.04)) {
    look(world, { person, odds, now })
    return
  }
  const key = world.key(odds.pick(keys))
  const luck = odds.next()
  const bytes = Math.round(odds.skewed(300, 0.6))
  if (role === 'developer' && luck < 0.03) {
    // Mistyped.
    const wrong = key.slug.replace(/-/, odds.pick(['_', '', '--'])).slice(0, -odds.below(2) || undefined)
    const name = wrong === key.slug ? `${wrong}x` : wrong
    record(world, { at: now, by, action: 'kms.encrypt', key: name, bytes, error: 'KEY_NOT_FOUND' })
    world.agenda.at(now + odds.between(20, 90) * 1000, (later) => use(world, { person, odds, now: later }, key.slug))
  } else if (role === 'developer' && luck < 0.06) {
    // Tried out what it cannot do.
    for (let nth = 0; nth < odds.whole(1, 3); nth++) {
      const error = odds.pick(['INVALID_INPUT', 'UNSUPPORTED_OPERATION'] as const)
      const at = now + nth * 25_000
      world.agenda.at(at, (later) => record(world, { at: later, by, action: 'kms.encrypt', key, bytes: 0, error }))
    }
  } else if (role === 'developer' && luck < 0.068) {
    const other = world.key(odds.pick(['orders', 'documents', 'messages', 'media']))
    record(world, { at: now, by, action: 'kms.decrypt', key: other, bytes, error: 'ACCESS_DENIED' })
  } else if (role === 'developer' && luck < 0.074 && isSealing(key)) {
    // A ciphertext of another environment.
    const cause = 'commitment_mismatch'
    record(world, {
      at: now,
      by,
      action: 'kms.decrypt',
      key,
      bytes,
      error: 'INVALID_CIPHERTEXT',
      decryptFailure: cause,
    })
  } else if (role === 'developer' && luck < 0.078)
    refusedRead(world, { at: now, by, path: '/dev/sandbox/old-token', error: 'SECRET_NOT_FOUND' })
  else use(world, { person, odds, now }, key.slug)
}

function use(world: World, { person: by, odds, now }: Doing, slug: string): void {
  const key = world.key(slug)
  const seals = by.role === 'developer' ? 0.5 : 0.3
  const [make, take] = key.keyType.startsWith('hmac')
    ? (['kms.hmac', 'kms.verify_hmac'] as const)
    : key.keyType === 'ed25519'
      ? (['kms.sign', 'kms.verify'] as const)
      : (['kms.encrypt', 'kms.decrypt'] as const)
  const action = odds.happens(seals) ? make : take
  record(world, { at: now, by, action, key, bytes: Math.round(odds.skewed(300, 0.6)) })
}

/** Looks at a key or at all of them, which uses none. */
function look(world: World, { person: by, odds, now }: Doing): void {
  if (odds.happens(0.4)) {
    record(world, { at: now, by, action: 'kms_key.list' })
    return
  }
  const seen = [...world.keys.values()].filter(({ isCanary, isDormant }) => !isCanary && !isDormant)
  const own = by.role === 'developer' ? seen.filter(({ project }) => project === 'dev') : seen
  const key = odds.pick(own)
  const hasPublicKey = key.keyType === 'ed25519' || key.keyType.startsWith('rsa') || key.keyType.startsWith('ecdsa')
  const action = hasPublicKey && odds.happens(0.4) ? 'kms_key.get_public_key' : 'kms_key.describe'
  record(world, { at: now, by, action, key })
}

/** About every third night something breaks, and somebody looks at the configuration. */
function callOut(
  world: World,
  { onCall, night }: { readonly onCall: readonly Person[]; readonly night: number },
): void {
  const odds = world.fork(`night ${night}`)
  if (!odds.happens(0.35)) return
  // A week each.
  const person = onCall[Math.floor(night / 7) % onCall.length]
  if (person === undefined) return
  const reason: EntryReason = { code: 'incident', ticket: `INC-${odds.whole(2000, 9000)}` }
  const begun = atLocal('Europe/Amsterdam', night, 22 + odds.between(0, 7))
  world.agenda.at(begun, (now) => places.get(person)?.turn(now))
  for (let nth = 0; nth < odds.whole(3, 12); nth++)
    world.agenda.at(begun + nth * odds.between(1, 5) * minute, (now) => {
      const key = world.key('config')
      if (odds.happens(0.5)) record(world, { at: now, by: person, action: 'kms_key.describe', key, reason })
      else record(world, { at: now, by: person, action: 'kms.decrypt', key, bytes: 350, reason })
    })
}

/** The few changes that administrators make by hand, each with its reason. */
export function startAdministration(world: World, people: readonly Person[]): void {
  const odds = world.fork('administration')
  const administrators = people.filter(({ role }) => role === 'keyAdministrator')
  const ticket = () => ({ code: 'change', ticket: `CHG-${odds.whole(100, 999)}` })
  const workdays = [2, 5, 8, 13, 15, 20, 22, 27].map((dayNumber) => atLocal('Europe/Amsterdam', dayNumber, 11))
  for (const at of odds.some(workdays, 3)) {
    const slug = odds.pick(['webhooks', 'payout-signing', 'devices', 'payment-tokens'])
    world.agenda.at(at + odds.between(0, 3) * hour, (now) =>
      rotate(world, { at: now, by: odds.pick(administrators), key: world.key(slug), reason: ticket() }),
    )
  }
  // Maintenance, early on a Sunday.
  const maintenance = atLocal('Europe/Amsterdam', odds.pick([4, 11, 18]), 5)
  const by = odds.pick(administrators)
  const reason = { code: 'maintenance', ticket: `CHG-${odds.whole(100, 999)}` }
  const key = world.key('returns')
  world.agenda.at(maintenance, (now) => disable(world, { at: now, by, key, reason }))
  world.agenda.at(maintenance + 20 * minute, (now) => enable(world, { at: now, by, key, reason }))
}
