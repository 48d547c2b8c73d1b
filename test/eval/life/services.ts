/** The company's services: what they do with keys all day, their pods, deployments, and what goes wrong now and then. */
import type { EntryContext } from '../../../src/model/entry.ts'
import { atLocal, day, hour, isWorkday, lifeBegins, localTime, minute, monthEndDay } from './calendar.ts'
import { type CryptoAction, record } from './calls.ts'
import type { KeyState, Project } from './keys.ts'
import type { Odds } from './odds.ts'
import { newSecret, readSecret, type Secret } from './secrets.ts'
import type { Persona, World } from './world.ts'

/** When people want something of a service: in the evening, in business hours, or always. */
export type Shape = 'web' | 'business' | 'flat'

export interface ServicePlan {
  readonly name: string
  readonly project: Project
  readonly shape: Shape
  readonly uses: readonly KeyUse[]
  /** Day on which it is begun with. */
  readonly from?: number
}

export interface KeyUse {
  readonly key: string
  /** Calls an hour on average at scale 1. */
  readonly perHour: number
  readonly mix: Partial<Record<CryptoAction, number>>
  /** Bytes, mostly. */
  readonly bytes: number
}

export interface Service extends Persona {
  readonly plan: ServicePlan
  readonly secrets: readonly Secret[]
}

const seals = (key: string, perHour: number, decrypts: number, bytes: number): KeyUse => ({
  key,
  perHour,
  bytes,
  mix: { 'kms.encrypt': 1 - decrypts, 'kms.decrypt': decrypts },
})
const wraps = (key: string, perHour: number, decrypts: number): KeyUse => ({
  key,
  perHour,
  bytes: 32,
  mix: { 'kms.generate_data_key': 1 - decrypts, 'kms.decrypt': decrypts },
})
const signs = (key: string, perHour: number, verifies: number, bytes: number): KeyUse => ({
  key,
  perHour,
  bytes,
  mix: { 'kms.sign': 1 - verifies, 'kms.verify': verifies },
})
const macs = (key: string, perHour: number, verifies: number, bytes: number): KeyUse => ({
  key,
  perHour,
  bytes,
  mix: { 'kms.hmac': 1 - verifies, 'kms.verify_hmac': verifies },
})

const plan = (name: string, project: Project, shape: Shape, ...uses: readonly KeyUse[]): ServicePlan => ({
  name,
  project,
  shape,
  uses,
})

export const servicePlans: readonly ServicePlan[] = [
  plan('orders-api', 'shop', 'web', seals('orders', 170, 0.62, 420)),
  plan('orders-worker', 'shop', 'web', seals('orders', 60, 0.7, 420)),
  plan('cart-api', 'shop', 'web', seals('carts', 80, 0.55, 900)),
  plan('payments-api', 'shop', 'web', seals('payments', 110, 0.5, 260), macs('payment-tokens', 40, 0.4, 64)),
  plan('webhooks', 'shop', 'flat', macs('webhooks', 70, 0.7, 1400)),
  plan('shipping-api', 'shop', 'business', seals('shipping', 50, 0.6, 340)),
  plan('returns-api', 'shop', 'web', seals('returns', 14, 0.5, 300)),
  plan('loyalty-api', 'shop', 'web', seals('loyalty', 25, 0.75, 180)),
  plan('media-api', 'shop', 'web', wraps('media', 45, 0.7)),
  plan('notes-api', 'shop', 'business', seals('customer-notes', 20, 0.6, 700)),
  plan('identity-api', 'identity', 'web', seals('identity-pii', 90, 0.7, 510)),
  plan(
    'session-service',
    'identity',
    'web',
    macs('session-tokens', 60, 0.6, 90),
    signs('session-signing', 90, 0.6, 300),
  ),
  plan('oauth-issuer', 'identity', 'web', signs('oauth-signing', 70, 0.4, 480)),
  plan('mfa-service', 'identity', 'web', seals('mfa-seeds', 22, 0.9, 40)),
  plan('consent-api', 'identity', 'web', seals('consents', 15, 0.4, 220)),
  plan('invoicing', 'finance', 'business', seals('invoices', 60, 0.55, 1600)),
  plan('ledger', 'finance', 'flat', macs('ledger-seal', 35, 0.4, 512)),
  plan('payout-service', 'finance', 'business', seals('payouts', 20, 0.6, 310), signs('payout-signing', 9, 0.5, 310)),
  plan('statement-api', 'finance', 'business', seals('statements', 18, 0.8, 2400)),
  plan('tax-api', 'finance', 'business', seals('tax', 4, 0.6, 2600)),
  plan('payroll-api', 'people', 'business', seals('payroll', 6, 0.65, 800)),
  plan('hr-api', 'people', 'business', seals('hr-records', 7, 0.7, 1100)),
  plan('recruiting', 'people', 'business', seals('cv-store', 4, 0.6, 4000)),
  plan('documents-api', 'platform', 'business', wraps('documents', 75, 0.65)),
  plan('messaging', 'platform', 'web', seals('messages', 95, 0.6, 240)),
  plan('notifications', 'platform', 'web', seals('push-tokens', 40, 0.8, 160)),
  plan('search-indexer', 'platform', 'flat', seals('search-index', 35, 0.9, 1500)),
  plan('analytics', 'platform', 'flat', seals('analytics', 22, 0.8, 700)),
  plan('config-service', 'platform', 'flat', seals('config', 14, 0.85, 350)),
  plan('log-archiver', 'platform', 'flat', wraps('archives', 6, 0.03)),
  plan('device-gateway', 'platform', 'flat', signs('devices', 55, 0.9, 200)),
  plan(
    'partner-gateway',
    'platform',
    'business',
    seals('partner-acme', 12, 0.6, 900),
    seals('partner-globex', 9, 0.6, 900),
    seals('partner-initech', 8, 0.6, 900),
  ),
  { ...plan('experiments-api', 'platform', 'web', seals('experiments', 16, 0.6, 300)), from: 12 },
]

/** Pods have addresses of their service's network; a service of the platform needs many. */
export function subnetOf(index: number): string {
  return `10.20.${index}`
}

const shapes: Readonly<Record<Shape, (hourOfDay: number, weekday: number) => number>> = {
  web: (at, weekday) => (weekday === 0 || weekday === 6 ? 1.15 : 1) * (evening[at] ?? 0),
  business: (at, weekday) => (weekday === 0 || weekday === 6 ? 0.12 : 1.32) * (officeHours[at] ?? 0),
  flat: () => 1,
}
// Each 1 on average.
const evening = levelled([3, 2, 1.5, 1, 1, 1.5, 3, 5, 7, 8, 9, 9.5, 10, 9.5, 9, 9, 9.5, 10, 11, 12.5, 13, 12, 9, 6])
const officeHours = levelled([1, 1, 1, 1, 1, 1.5, 3, 7, 13, 17, 18, 17, 13, 16, 18, 17, 14, 8, 4, 3, 2, 2, 1.5, 1])

function levelled(hours: readonly number[]): readonly number[] {
  const mean = hours.reduce((sum, part) => sum + part, 0) / hours.length
  return hours.map((part) => part / mean)
}

/** Calls an hour of `use` at `at`, without chance: the curve of day and week, slow growth, holidays, a busy evening. */
export function rateOf(
  { shape }: ServicePlan,
  use: KeyUse,
  { at, scale }: { readonly at: number; readonly scale: number },
) {
  const { hour: hourOfDay, weekday, isHoliday } = localTime('Europe/Amsterdam', at)
  const level = shapes[shape](hourOfDay, isHoliday ? 0 : weekday)
  const growth = 1 + (0.004 * (at - lifeBegins)) / day
  const days = Math.floor((at - lifeBegins) / day)
  const campaign = shape === 'web' && days === campaignDay && hourOfDay >= 17 && hourOfDay < 22 ? 1.7 : 1
  const closing = use.key === 'invoices' && days >= monthEndDay && days < monthEndDay + 2 ? 1.6 : 1
  return use.perHour * level * growth * campaign * closing * scale
}

const campaignDay = 16
/** Some minutes of a Thursday afternoon in which much fails, and most of it succeeds a moment later. */
const troubleBegins = lifeBegins + 8 * day + 13 * hour

/** Makes the services of the company: who they are, without anything that they do. */
export function servicesOf(world: World): readonly Service[] {
  return servicePlans.map((of, index) => serviceOf(world, of, index))
}

const starts = new WeakMap<Service, (at: number) => void>()

function serviceOf(world: World, of: ServicePlan, index: number): Service {
  const odds = world.fork(`service ${of.name}`)
  const secretKey = world.key(`secrets-${of.project}`)
  const secrets = ['db-password', 'api-token', 'signing-pepper']
    .slice(0, odds.whole(1, 3))
    .map((leaf) => newSecret(`/${of.project}/${of.name}/${leaf}`, { key: secretKey, odds }))
  const perHour = of.uses.reduce((sum, use) => sum + use.perHour, 0)
  const usualPods = 2 + Math.floor(perHour / 40)
  const version = [odds.whole(1, 8), odds.whole(0, 40), odds.whole(0, 9)] as [number, number, number]
  let pods: EntryContext[] = []
  const service: Service = {
    plan: of,
    project: of.project,
    secrets,
    actor: Object.freeze({ type: 'serviceAccount', id: of.name, source: 'context' }),
    route: ['kms-a', 'kms-b'],
    context: (luck) => luck.pick(pods),
  }
  for (let nth = 0; nth < usualPods; nth++) pods.push(newPod())
  starts.set(service, begin)
  return service

  function newPod(): EntryContext {
    return Object.freeze({
      clientIp: `${subnetOf(index)}.${odds.whole(2, 251)}`,
      userAgent: `${of.name}/${version.join('.')}`,
    })
  }

  /** A pod reads its secrets when it starts. */
  function start(at: number): void {
    const pod = newPod()
    pods.push(pod)
    secrets.forEach((secret, nth) => {
      world.agenda.at(at + 800 + nth * 90, (now) => readSecret(world, { at: now, by: service, secret, context: pod }))
    })
  }

  function begin(at: number): void {
    for (let nth = 0; nth < odds.whole(2, 4); nth++) planDeployment()
    world.agenda.at(at + odds.between(0, hour), scaleOut)
    const everyMs = (4 * hour) / world.pace ** 2
    world.agenda.at(at + odds.between(0, everyMs), (now) => refresh(now, everyMs))
    for (const use of of.uses) live(world, service, use)
  }

  /** In office hours of a workday, one pod after the other. */
  function planDeployment(): void {
    const dayNumber = odds.below(30)
    const at = atLocal('Europe/Amsterdam', dayNumber, odds.between(9.5, 16.5))
    if (!isWorkday('Europe/Amsterdam', at) || dayNumber <= (of.from ?? -1)) return
    world.agenda.at(at, (now) => {
      if (odds.happens(0.3)) {
        version[1] += 1
        version[2] = 0
      } else version[2] += 1
      const old = pods.length
      for (let nth = 0; nth < old; nth++)
        world.agenda.at(now + nth * odds.between(15_000, 40_000), (later) => {
          start(later)
          pods = pods.slice(1)
        })
      if (odds.happens(0.12)) buggy(now + 2 * minute)
    })
  }

  /** A version that asks for nonsense, a few times, until it is taken back. */
  function buggy(at: number): void {
    const use = odds.pick(of.uses)
    for (let nth = 0; nth < odds.whole(2, 6); nth++)
      world.agenda.at(at + odds.between(0, 12 * minute), (now) => {
        const action = actionOf(odds, use)
        record(world, { at: now, by: service, action, key: world.key(use.key), bytes: 0, error: 'INVALID_INPUT' })
      })
  }

  function scaleOut(now: number): void {
    const level = Math.max(...of.uses.map((use) => rateOf(of, use, { at: now, scale: 1 }) / use.perHour))
    const wanted = Math.max(2, Math.round(usualPods * (0.7 + 0.35 * level)))
    if (wanted > pods.length) start(now)
    else if (wanted < pods.length - 1) pods = pods.slice(1)
    world.agenda.at(now + (odds.between(20, 40) * minute) / world.pace ** 2, scaleOut)
  }

  function refresh(now: number, everyMs: number): void {
    for (const secret of secrets) readSecret(world, { at: now, by: service, secret })
    world.agenda.at(now + everyMs + odds.between(0, 5 * minute), (later) => refresh(later, everyMs))
  }
}

/** Has each of `services` begin, now or on the day on which it is launched. */
export function startServices(world: World, services: readonly Service[]): void {
  for (const service of services) {
    const { from } = service.plan
    const at = from === undefined ? world.begins : atLocal('Europe/Amsterdam', from, 14)
    world.agenda.at(at, (now) => starts.get(service)?.(now))
  }
}

/** How calls of one use come: at random, as often as the hour wants. */
function live(world: World, service: Service, use: KeyUse): void {
  const { agenda, scale } = world
  const odds = world.fork(`calls of ${service.plan.name} ${use.key}`)
  const contexts = Array.from({ length: 24 }, () => Object.freeze({ tenant: `t-${odds.whole(100, 999)}` }))
  let level = odds.skewed(1, 0.08)
  agenda.at(world.begins + day, function nextDay(now) {
    level = odds.skewed(1, 0.08)
    agenda.at(now + day, nextDay)
  })
  const first = service.plan.from === undefined ? world.begins : atLocal('Europe/Amsterdam', service.plan.from, 14)
  agenda.at(first, comeNext)

  /** Within an hour the rate stays; at its end the waiting begins anew, which changes nothing. */
  function comeNext(now: number): void {
    const perHour = rateOf(service.plan, use, { at: now, scale }) * level
    const next = now + odds.wait(hour / Math.max(perHour, 1e-6))
    const hourEnds = now - (now % hour) + hour
    if (next >= hourEnds) agenda.at(hourEnds, comeNext)
    else agenda.at(next, come)
  }

  function come(now: number): void {
    callOnce(now)
    comeNext(now)
  }

  function callOnce(now: number): void {
    const action = actionOf(odds, use)
    const key = world.key(use.key)
    const bytes = bytesOf(odds, use)
    const version = agedVersion(odds, key, { action, at: now })
    const isSealed = action === 'kms.encrypt' || action === 'kms.decrypt' || action === 'kms.generate_data_key'
    const call = {
      by: service,
      action,
      key,
      bytes,
      ...(version !== undefined && { version }),
      ...(isSealed && { encryptionContext: odds.pick(contexts) }),
    } as const
    const luck = odds.next()
    const isTroubled = now >= troubleBegins && now < troubleBegins + 4 * minute
    if (luck < (isTroubled ? 0.4 : 0.0006)) {
      const error = luck < 0.0003 ? 'THROTTLED' : luck < 0.0004 ? 'DEADLINE_EXCEEDED' : 'PROVIDER_UNAVAILABLE'
      record(world, { ...call, at: now, error })
      agenda.at(now + odds.between(150, 900), (later) => record(world, { ...call, at: later }))
      return
    }
    // Once in a while a customer sends an old signature, or a row in a table is damaged.
    if (luck > 0.9996 && (action === 'kms.verify' || action === 'kms.verify_hmac'))
      record(world, { ...call, at: now, valid: false })
    else if (luck > 0.99998 && action === 'kms.decrypt')
      record(world, { ...call, at: now, error: 'INVALID_CIPHERTEXT', decryptFailure: 'malformed' })
    else record(world, { ...call, at: now })
  }
}

export function bytesOf(odds: Odds, { bytes, mix }: KeyUse): number {
  if (mix['kms.generate_data_key'] !== undefined) return 32
  return Math.min(16_000, Math.max(8, Math.round(odds.skewed(bytes, 0.45))))
}

function actionOf(odds: Odds, { mix }: KeyUse): CryptoAction {
  let left = odds.next()
  let last: CryptoAction = 'kms.encrypt'
  // Keys of `mix` are of its type.
  for (const [action, share] of Object.entries(mix) as [CryptoAction, number][]) {
    last = action
    left -= share
    if (left < 0) return action
  }
  return last
}

/** For some days after a rotation what was sealed before is still opened, less and less. */
const oldVersionTailDays = 6

/** What these sealed is kept for years, and opened as it is. */
export const keptForYears: readonly string[] = [
  'documents',
  'archives',
  'media',
  'messages',
  'hr-records',
  'statements',
]

function agedVersion(odds: Odds, key: KeyState, { action, at }: { readonly action: string; readonly at: number }) {
  if (action !== 'kms.decrypt' && action !== 'kms.verify') return undefined
  const age = (at - key.rotatedAt) / day
  if (key.latest < 2) return undefined
  if (keptForYears.includes(key.slug)) return odds.happens(0.2) ? Math.max(1, key.latest - odds.whole(1, 4)) : undefined
  if (age >= oldVersionTailDays) return undefined
  return odds.happens(Math.exp(-age / 1.3)) ? key.latest - 1 : undefined
}

/** All of `service`'s calls of its use of `key`, an hour on average. */
export function meanRate(service: Service, key: string, scale: number): number {
  const use = service.plan.uses.find((one) => one.key === key)
  return (use?.perHour ?? 0) * scale
}
