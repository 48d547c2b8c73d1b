/** What runs by itself at its hour: nightly jobs, the month's end, backups, continuous integration. */
import type { EntryContext } from '../../../src/model/entry.ts'
import { atLocal, day, hour, isWorkday, lifeBegins, localTime, minute, monthEndDay } from './calendar.ts'
import { type CryptoAction, record } from './calls.ts'
import { newKey, type Project } from './keys.ts'
import { createKey, importKey } from './lifecycle.ts'
import type { Odds } from './odds.ts'
import { newSecret, putSecret, readSecret, type Secret } from './secrets.ts'
import type { Persona, World } from './world.ts'

export interface Job extends Persona {
  readonly id: string
}

interface JobPlan {
  readonly name: string
  readonly project: Project
  /** Whether it runs on that day of the month that is lived, and at which local hour. */
  readonly runs: (dayNumber: number, weekday: number) => number | undefined
  readonly does: readonly {
    readonly key: string
    readonly action: CryptoAction
    readonly count: number
    readonly bytes: number
  }[]
  /** Minutes. */
  readonly lasts: number
}

const nightly = (at: number) => () => at
const weekly = (on: number, at: number) => (_: number, weekday: number) => (weekday === on ? at : undefined)

const jobPlans: readonly JobPlan[] = [
  {
    name: 'nightly-backup',
    project: 'platform',
    runs: nightly(1.5),
    does: [{ key: 'backup-master', action: 'kms.generate_data_key', count: 160, bytes: 32 }],
    lasts: 35,
  },
  {
    name: 'backup-verifier',
    project: 'platform',
    runs: weekly(0, 3),
    does: [{ key: 'backup-master', action: 'kms.decrypt', count: 1900, bytes: 32 }],
    lasts: 50,
  },
  {
    name: 'warehouse-load',
    project: 'platform',
    runs: nightly(2),
    does: [
      { key: 'warehouse', action: 'kms.decrypt', count: 420, bytes: 900 },
      { key: 'warehouse', action: 'kms.encrypt', count: 300, bytes: 900 },
    ],
    lasts: 40,
  },
  {
    name: 'invoice-run',
    project: 'finance',
    runs: (dayNumber) => (dayNumber === monthEndDay || dayNumber === monthEndDay + 1 ? 3 : undefined),
    does: [
      { key: 'invoices', action: 'kms.encrypt', count: 2600, bytes: 1600 },
      { key: 'payout-signing', action: 'kms.sign', count: 500, bytes: 310 },
    ],
    lasts: 90,
  },
  {
    name: 'payroll-run',
    project: 'people',
    runs: (dayNumber) => (dayNumber === 14 ? 6 : undefined),
    does: [
      { key: 'payroll', action: 'kms.decrypt', count: 420, bytes: 800 },
      { key: 'payroll', action: 'kms.encrypt', count: 420, bytes: 800 },
    ],
    lasts: 45,
  },
  {
    name: 'dunning',
    project: 'finance',
    runs: weekly(1, 5),
    does: [{ key: 'statements', action: 'kms.decrypt', count: 160, bytes: 2400 }],
    lasts: 20,
  },
  {
    name: 'gdpr-eraser',
    project: 'identity',
    runs: weekly(3, 4),
    does: [{ key: 'identity-pii', action: 'kms.decrypt', count: 90, bytes: 510 }],
    lasts: 25,
  },
  {
    name: 'report-builder',
    project: 'platform',
    runs: (_, weekday) => (weekday > 0 && weekday < 6 ? 5 : undefined),
    does: [{ key: 'analytics', action: 'kms.decrypt', count: 110, bytes: 700 }],
    lasts: 15,
  },
  {
    name: 'partner-sync',
    project: 'platform',
    runs: nightly(4.5),
    does: [
      { key: 'partner-acme', action: 'kms.decrypt', count: 60, bytes: 900 },
      { key: 'partner-globex', action: 'kms.encrypt', count: 60, bytes: 900 },
    ],
    lasts: 12,
  },
]

export interface Jobs {
  readonly batch: readonly Job[]
  /** Builds, releases, deploys, and makes infrastructure. */
  readonly build: Job
  readonly release: Job
  readonly infrastructure: Job
  /** Changes database passwords every week. */
  readonly secretRotation: Job
  readonly reEncryption: Job
}

/** Makes them, without anything that they do. */
export function jobsOf(world: World): Jobs {
  const odds = world.fork('jobs')
  const batch = jobPlans.map(({ name, project }) =>
    jobOf(name, { project, type: 'serviceAccount', net: '10.30.1', odds }),
  )
  const of = (name: string, type: 'client' | 'serviceAccount', net: string) =>
    jobOf(name, { project: 'platform', type, net, odds })
  return {
    batch,
    build: of('ci-build', 'client', '10.40.1'),
    release: of('ci-release', 'client', '10.40.2'),
    infrastructure: of('terraform', 'client', '10.40.3'),
    secretRotation: of('secret-rotation', 'serviceAccount', '10.30.2'),
    reEncryption: of('re-encryption', 'serviceAccount', '10.30.2'),
  }
}

interface JobFacts {
  readonly project: Project
  readonly type: 'client' | 'serviceAccount'
  readonly net: string
  readonly odds: Odds
}

function jobOf(id: string, { project, type, net, odds }: JobFacts): Job {
  const hosts = Array.from(
    { length: type === 'client' ? 12 : 2 },
    (): EntryContext =>
      Object.freeze({ clientIp: `${net}.${odds.whole(10, 250)}`, userAgent: `${id}/1.${odds.below(2)}.0` }),
  )
  return {
    id,
    project,
    actor: Object.freeze({ type, id, source: 'context' }),
    route: type === 'client' ? ['kms-a', 'kms-b'] : ['batch'],
    context: (luck) => luck.pick(hosts),
  }
}

export function startJobs(world: World, jobs: Jobs): void {
  const days = Math.ceil((world.ends - world.begins) / day)
  jobPlans.forEach((plan, index) => {
    const by = jobs.batch[index]
    if (by === undefined) return
    const odds = world.fork(`runs of ${plan.name}`)
    for (let dayNumber = 0; dayNumber < days; dayNumber++) {
      const noon = atLocal('Europe/Amsterdam', dayNumber, 12)
      const at = plan.runs(dayNumber, localTime('Europe/Amsterdam', noon).weekday)
      if (at !== undefined) run(world, { plan, by, odds, at: atLocal('Europe/Amsterdam', dayNumber, at) })
    }
  })
  buildAndRelease(world, jobs)
  makeProjects(world, jobs)
  changeSecrets(world, jobs)
  reEncrypt(world, jobs)
}

interface Run {
  readonly plan: JobPlan
  readonly by: Job
  readonly odds: Odds
  readonly at: number
}

function run(world: World, { plan, by, odds, at }: Run): void {
  const begins = at + odds.between(0, 4) * minute
  for (const { key, action, count, bytes } of plan.does) {
    const size = 1 + (0.15 * (at - lifeBegins)) / (30 * day)
    const calls = Math.max(12, Math.round(odds.skewed(count * world.scale * size, 0.08)))
    for (let nth = 0; nth < calls; nth++)
      world.agenda.at(begins + (nth / calls) * plan.lasts * minute + odds.below(900), (now) =>
        record(world, { at: now, by, action, key: world.key(key), bytes: Math.round(odds.skewed(bytes, 0.3)) }),
      )
  }
}

/** Builds all day; releases are signed in the hours for signing. */
function buildAndRelease(world: World, { build, release }: Jobs): void {
  const odds = world.fork('continuous integration')
  const secret = newSecret('/platform/ci/registry-token', { key: world.key('secrets-platform'), odds })
  for (let dayNumber = 0; dayNumber * day < world.ends - world.begins; dayNumber++) {
    const morning = atLocal('Europe/Amsterdam', dayNumber, 8.5)
    const isBusy = isWorkday('Europe/Amsterdam', morning)
    for (let nth = 0; nth < (isBusy ? odds.whole(8, 20) : odds.whole(0, 2)); nth++)
      world.agenda.at(morning + odds.between(0, 9.5) * hour, (now) => readSecret(world, { at: now, by: build, secret }))
    for (let nth = 0; nth < (isBusy ? odds.whole(2, 6) : 0); nth++)
      world.agenda.at(morning + odds.between(0.6, 8.8) * hour, (now) => {
        record(world, { at: now, by: release, action: 'kms.sign', key: world.key('code-signing'), bytes: 32 })
        const manifest = world.key('release-manifest')
        world.agenda.at(now + 2500, (later) =>
          record(world, { at: later, by: release, action: 'kms.sign', key: manifest, bytes: 4100 }),
        )
        world.agenda.at(now + 60_000, (later) =>
          record(world, { at: later, by: build, action: 'kms.verify', key: manifest, bytes: 4100 }),
        )
      })
  }
}

/** Keys for new projects, one of which a service is launched with, and an import that was planned. */
function makeProjects(world: World, { infrastructure: by }: Jobs): void {
  const odds = world.fork('new projects')
  const make = (slug: string, dayNumber: number) =>
    world.agenda.at(atLocal('Europe/Amsterdam', dayNumber, 10.5), (at) => {
      const key = newKey({ slug, project: 'platform', keyType: 'xaes256-gcm', period: 30 }, { odds, at })
      createKey(world, { at, by, key, reason: { code: 'new-project', ticket: `PRJ-${odds.whole(10, 99)}` } })
    })
  make('experiments', 12)
  make('warehouse-eu', 6)
  make('chat-beta', 20)
  world.agenda.at(atLocal('Europe/Amsterdam', 9, 10.2), (at) => {
    const key = newKey({ slug: 'partner-hooli', project: 'platform', keyType: 'aes256-gcm96' }, { odds, at })
    importKey(world, { at, by, key, form: 'wrapped', reason: { code: 'partner-onboarding', ticket: 'PRJ-31' } })
  })
}

/** Passwords that are changed every week, early on a Tuesday, and read at once by who needs them. */
function changeSecrets(world: World, { secretRotation: by }: Jobs): void {
  const odds = world.fork('secret rotation')
  const secrets: readonly Secret[] = ['shop', 'identity', 'finance', 'platform', 'people'].flatMap((project) =>
    ['primary-db', 'replica-db'].map((leaf) =>
      newSecret(`/${project}/shared/${leaf}`, { key: world.key(`secrets-${project}`), odds }),
    ),
  )
  for (let dayNumber = 6; dayNumber * day < world.ends - world.begins; dayNumber += 7)
    secrets.forEach((secret, nth) => {
      world.agenda.at(atLocal('Europe/Amsterdam', dayNumber, 4.2) + nth * 3000, (now) => {
        putSecret(world, { at: now, by, secret })
        world.agenda.at(now + 1200, (later) => readSecret(world, { at: later, by, secret }))
      })
    })
}

/** In the night after a key of customers' was rotated a share of its rows is sealed anew. */
function reEncrypt(world: World, { reEncryption: by }: Jobs): void {
  const odds = world.fork('re-encryption')
  for (let dayNumber = 0; dayNumber * day < world.ends - world.begins; dayNumber++)
    world.agenda.at(atLocal('Europe/Amsterdam', dayNumber, 2.6), (night) => {
      for (const key of world.keys.values()) {
        if (!['orders', 'payments', 'invoices', 'payouts'].includes(key.slug)) continue
        if (night - key.rotatedAt > day || key.latest < 2) continue
        const { identity, slug, keyType } = key
        const details = { destinationKey: { identity, slug, keyType, keyVersion: key.latest } }
        const count = Math.max(15, Math.round(260 * world.scale))
        for (let nth = 0; nth < count; nth++)
          world.agenda.at(night + nth * 4000 + odds.below(3000), (now) =>
            record(world, {
              at: now,
              by,
              action: 'kms.re_encrypt',
              key,
              version: key.latest - 1,
              bytes: Math.round(odds.skewed(300, 0.3)),
              details,
            }),
          )
      }
    })
}
