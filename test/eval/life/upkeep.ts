/** What keeps the KMS and its log going: scheduled rotation, restarts, retention, a sink elsewhere that fails, an exercise. */

import { atLocal, day, hour, minute } from './calendar.ts'
import { record } from './calls.ts'
import { projects } from './keys.ts'
import { exportKey, rotateScheduled, updateMinDecryptionVersion } from './lifecycle.ts'
import type { Person } from './people.ts'
import { newSecret, updatePolicy } from './secrets.ts'
import { type Persona, retentionDays, type World, type WriterName, writerNames } from './world.ts'

/** Who rotates by the clock; as `src/integrations/rotation` says it. */
export const scheduler: Persona = {
  project: 'platform',
  route: ['kms-a', 'kms-b'],
  actor: Object.freeze({ type: 'system', id: 'keytrail-rotation', source: 'context' }),
  context: () => undefined,
}

/** Who rotates a key that nears its limit: the client itself. */
export const keytrail: Persona = {
  ...scheduler,
  actor: Object.freeze({ type: 'system', id: 'keytrail', source: 'context' }),
}
const byTheClock = Object.freeze({ code: 'schedule' })

/** Once an hour and project it looks at the keys, and rotates what is due. */
export function startRotation(world: World): void {
  const odds = world.fork('rotation')
  for (const project of projects) {
    const by = { ...scheduler, project }
    world.agenda.at(world.begins + odds.between(0, 50) * minute, function look(now) {
      world.agenda.at(now + hour, look)
      const own = [...world.keys.values()].filter((key) => key.project === project)
      const seen = record(world, {
        at: now,
        by,
        action: 'kms_key.list',
        reason: byTheClock,
        details: { count: own.length },
      })
      if (seen === undefined) return
      for (const key of own) {
        const { nextRotationAt: dueAt, trouble } = key
        if (key.status !== 'active' || dueAt === undefined || dueAt > now || trouble?.how === 'forgotten') continue
        const failed = trouble === undefined ? {} : ({ error: 'INTERNAL', mark: trouble.mark } as const)
        rotateScheduled(world, { at: now, by, key, dueAt, reason: byTheClock, ...failed })
      }
    })
  }
}

/** Opens every writer, and restarts each when there is a new version: one after the other, so that calls go on. */
export function startWriters(world: World): void {
  const odds = world.fork('restarts')
  for (const name of writerNames) world.writer(name).open({ at: world.begins })
  for (let dayNumber = 6; dayNumber * day < world.ends - world.begins; dayNumber += 7)
    writerNames.forEach((name, nth) => {
      restart(world, { name, at: atLocal('Europe/Amsterdam', dayNumber, 10.5) + nth * 3 * minute + odds.below(9000) })
    })
  // Out of memory: nobody closed it, and it is back in no time.
  world.agenda.at(world.begins + odds.between(7, 9) * day, (now) => {
    const writer = world.writer('kms-b')
    // Somebody else may have ended it already.
    if (!writer.isOpen) return
    writer.die()
    world.agenda.at(now + odds.between(8, 15) * 1000, (later) => writer.open({ at: later }))
  })
}

function restart(world: World, { name, at }: { readonly name: WriterName; readonly at: number }): void {
  world.agenda.at(at, (now) => {
    const writer = world.writer(name)
    if (!writer.isOpen) return
    writer.close({ at: now })
    world.agenda.at(now + 9000, (later) => writer.open({ at: later }))
  })
}

/** What the log says of itself in the course of a month. */
export function startLogkeeping(world: World): void {
  const odds = world.fork('logkeeping')
  // The copy elsewhere is best effort: nobody waits for it.
  for (const dayNumber of [odds.whole(3, 9), odds.whole(17, 24)])
    world.agenda.at(world.begins + (dayNumber + odds.next()) * day, (now) => {
      for (const name of writerNames) if (world.writer(name).isOpen) outage(world, { name, now, lasts: 8 * minute })
    })
  world.agenda.at(atLocal('Europe/Amsterdam', 19, 3.5), (now) => {
    writerNames.forEach((name, nth) => {
      const below = odds.whole(200_000, 900_000)
      const newestAt = new Date(now - (retentionDays + 35) * day - odds.below(day)).toISOString()
      const details = {
        sink: 'trail',
        prunedFrom: '0',
        prunedBelow: String(below),
        newestAt,
        olderThanDays: retentionDays + 35,
        minRetentionDays: retentionDays,
      }
      world.agenda.at(now + nth * 20_000, (at) => {
        if (world.writer(name).isOpen) world.writer(name).note('audit.pruned', details, { at }, { code: 'retention' })
      })
    })
  })
}

interface Outage {
  readonly name: WriterName
  readonly now: number
  readonly lasts: number
}

function outage(world: World, { name, now, lasts }: Outage): void {
  const writer = world.writer(name)
  const { instance } = writer
  writer.note('audit.sink_down', { sink: 'siem' }, { at: now })
  world.agenda.at(now + lasts, (at) => {
    if (writer.isOpen && writer.instance === instance) writer.note('audit.sink_up', { sink: 'siem' }, { at })
  })
}

/** Saturday's exercise of a disaster: a key leaves, wrapped, with its ticket, and another site works with it. */
export function startExercise(
  world: World,
  { people, runner }: { readonly people: readonly Person[]; readonly runner: Persona },
): void {
  const odds = world.fork('exercise')
  const by = people.find(({ role }) => role === 'security')
  if (by === undefined) throw new Error('nobody is there to do the exercise')
  const reason = { code: 'disaster-recovery-exercise', ticket: `DR-${odds.whole(10, 99)}` }
  const recipient = `sha256:${odds.text(64, '0123456789abcdef')}`
  const key = world.key('dr-master')
  const at = atLocal('Europe/Amsterdam', 17, 10)
  const writer = world.writer('dr')
  world.agenda.at(at, (now) => exportKey(world, { at: now, by, key, reason, recipient, writer }))
  for (let nth = 0; nth < 30; nth++)
    world.agenda.at(at + 10 * minute + nth * odds.between(10, 40) * 1000, (now) =>
      record(world, { at: now, by: runner, action: 'kms.decrypt', key, bytes: 32, reason, writer }),
    )
}

/** Who may read what is changed twice in the month, and the oldest version still in use once. */
export function startPolicies(world: World, people: readonly Person[]): void {
  const odds = world.fork('policies')
  const administrators = people.filter(({ role }) => role === 'keyAdministrator')
  const secret = newSecret('/platform/shared/observability-token', { key: world.key('secrets-platform'), odds })
  for (const dayNumber of [7, 21])
    world.agenda.at(atLocal('Europe/Amsterdam', dayNumber, 14.3), (now) => {
      const reason = { code: 'change', ticket: `CHG-${odds.whole(100, 999)}` }
      updatePolicy(world, { at: now, by: odds.pick(administrators), secret, reason })
    })
  world.agenda.at(atLocal('Europe/Amsterdam', 15, 15.1), (now) => {
    const key = world.key('payments')
    const reason = { code: 'change', ticket: `CHG-${odds.whole(100, 999)}` }
    const by = odds.pick(administrators)
    const minDecryptionVersion = Math.max(1, key.latest - 4)
    updateMinDecryptionVersion(world, { at: now, by, key, reason, minDecryptionVersion })
  })
}
