/** What the company would tell whoever watches its keys: who is expected to do what, from where, when, and how often. */
import { holidays, type Zone } from './calendar.ts'
import type { Jobs } from './jobs.ts'
import { keyPlans } from './keys.ts'
import type { Person } from './people.ts'
import { keptForYears, type Service } from './services.ts'
import { retentionDays, type World, writerNames } from './world.ts'
import { heartbeatMs, ordinaryFields } from './writer.ts'

export interface SigningHours {
  readonly zone: Zone
  /** 0 is Sunday. */
  readonly weekdays: readonly number[]
  /** Local; signing begins not before `fromHour` and ends before `toHour`. */
  readonly fromHour: number
  readonly toHour: number
}

export interface Company {
  readonly timeZone: Zone
  /** Local dates. */
  readonly holidays: readonly string[]
  /** Where calls come from, CIDR. */
  readonly networks: readonly string[]
  /** By slug: ids of the actors that are expected to decrypt. Of a key that is not here, nobody. */
  readonly expectedDecryptors: Readonly<Record<string, readonly string[]>>
  /** Slugs of keys that nobody has any business with. */
  readonly canaryKeys: readonly string[]
  /** By slug. A key that is not here signs at any hour. */
  readonly signingHours: Readonly<Record<string, SigningHours>>
  readonly rotationPolicy: {
    /** By slug: days from one rotation to the next, by the clock. */
    readonly periodDays: Readonly<Record<string, number>>
    /** A rotation that is later than this is overdue. */
    readonly graceHours: number
    /** Ids of those who may rotate by hand, and only with a reason. */
    readonly manualBy: readonly string[]
  }
  /**
   * By slug: after a rotation nothing needs the version before it for longer, days. What a key that is not here has sealed is
   * kept for years, and opened as it is.
   */
  readonly oldVersionDeadlineDays: Readonly<Record<string, number>>
  /** Ids of those who create, import, enable, disable and delete keys. */
  readonly keyAdministrators: readonly string[]
  /** Ids of those who change who may do what. */
  readonly accessAdministrators: readonly string[]
  /** No actor decrypts more in an hour. */
  readonly decryptCapPerHour: number
  /** The log: names of its writers, without the id of a start. */
  readonly writers: readonly string[]
  readonly heartbeatMs: number
  readonly requiredSinks: readonly string[]
  /** Field policy, as `audit.opened` tells it. */
  readonly fieldPolicy: string
  /** Nothing younger is pruned. */
  readonly retentionDays: number
}

export interface Everybody {
  readonly services: readonly Service[]
  readonly people: readonly Person[]
  readonly jobs: Jobs
  /** Works with `dr-master` in exercises. */
  readonly runner: { readonly actor: { readonly id: string } }
}

export function companyOf(world: World, { services, people, jobs, runner }: Everybody): Company {
  const administrators = people.filter(({ role }) => role === 'keyAdministrator').map(({ id }) => id)
  return {
    timeZone: 'Europe/Amsterdam',
    holidays,
    networks: ['10.20.0.0/16', '10.30.0.0/16', '10.40.0.0/16', '10.50.0.0/16', '10.200.0.0/14', '10.210.0.0/16'],
    expectedDecryptors: decryptorsOf({ services, people, jobs, runner }),
    canaryKeys: keyPlans.filter(({ isCanary }) => isCanary).map(({ slug }) => slug),
    signingHours: {
      'code-signing': { zone: 'Europe/Amsterdam', weekdays: [1, 2, 3, 4, 5], fromHour: 8, toHour: 19 },
      'release-manifest': { zone: 'Europe/Amsterdam', weekdays: [1, 2, 3, 4, 5], fromHour: 8, toHour: 19 },
    },
    rotationPolicy: {
      periodDays: Object.fromEntries(
        keyPlans.flatMap(({ slug, period }) => (period === undefined ? [] : [[slug, period] as const])),
      ),
      graceHours: 24,
      manualBy: administrators,
    },
    oldVersionDeadlineDays: Object.fromEntries(
      keyPlans.filter(({ slug }) => hasDeadline(slug)).map(({ slug }) => [slug, oldVersionDeadlineDays]),
    ),
    keyAdministrators: [...administrators, jobs.infrastructure.id],
    accessAdministrators: administrators,
    decryptCapPerHour: decryptCap(world.scale),
    writers: writerNames,
    heartbeatMs,
    requiredSinks: ['trail'],
    fieldPolicy: ordinaryFields,
    retentionDays,
  }
}

const oldVersionDeadlineDays = 10

function hasDeadline(slug: string): boolean {
  return !keptForYears.includes(slug) && !slug.startsWith('secrets-') && slug !== 'backup-master'
}

/** Above all that ordinary life has, backups included. */
export function decryptCap(scale: number): number {
  return Math.max(400, Math.round(5000 * scale))
}

/** From what everybody's work is. */
function decryptorsOf({ services, people, jobs, runner }: Everybody): Record<string, string[]> {
  const expected: Record<string, string[]> = {}
  const add = (slug: string, id: string) => {
    const known = expected[slug] ?? []
    if (!known.includes(id)) expected[slug] = [...known, id]
  }
  for (const { plan, actor } of services) {
    for (const { key, mix } of plan.uses) if (mix['kms.decrypt'] !== undefined) add(key, actor.id)
    add(`secrets-${plan.project}`, actor.id)
  }
  for (const { id, keys, isOnCall } of people) {
    for (const key of keys) add(key, id)
    if (isOnCall) add('config', id)
  }
  const batch: Readonly<Record<string, readonly string[]>> = {
    'backup-verifier': ['backup-master'],
    'warehouse-load': ['warehouse'],
    'payroll-run': ['payroll'],
    dunning: ['statements'],
    'gdpr-eraser': ['identity-pii'],
    'report-builder': ['analytics'],
    'partner-sync': ['partner-acme'],
  }
  for (const [id, slugs] of Object.entries(batch)) for (const slug of slugs) add(slug, id)
  add('secrets-platform', jobs.build.id)
  for (const project of ['shop', 'identity', 'finance', 'platform', 'people'])
    add(`secrets-${project}`, jobs.secretRotation.id)
  add('dr-master', runner.actor.id)
  // Brings what an old version has sealed to the new one.
  for (const { slug } of keyPlans) if (hasDeadline(slug)) add(slug, jobs.reEncryption.id)
  return expected
}
