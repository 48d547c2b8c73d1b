/** Attacks on the log itself, and mishaps that look like them. */
import type { FieldPolicy } from '../../../src/audit/fields.ts'
import type { Attack, Stage } from '../attack.ts'
import { day, hour, minute } from '../life/calendar.ts'
import { markOwn } from '../life/mark.ts'
import type { WriterName } from '../life/world.ts'
import type { Writer } from '../life/writer.ts'

/** One of the writers, by name; the attack is about its log. */
function writerOf({ world, odds, mark }: Stage, names: readonly WriterName[]): Writer {
  const name = odds.pick(names)
  mark.writer = name
  return world.writer(name)
}

/** Runs `act` at `from`, or as soon after it as the writer is open. */
function whenOpen({ world, from }: Stage, writer: Writer, act: (now: number) => void): void {
  world.agenda.at(from, function tryAt(now) {
    if (writer.isOpen) act(now)
    else world.agenda.at(now + minute, tryAt)
  })
}

/** The trail itself takes nothing any more: calls are refused until it does. */
const sinkDown: Attack = {
  kind: 'required-sink-down',
  begins: [1, 29],
  plan(stage) {
    const { world, odds, mark, either } = stage
    const writer = writerOf(stage, ['kms-a', 'kms-b'])
    whenOpen(stage, writer, (now) => {
      const { instance } = writer
      writer.note('audit.sink_down', { sink: 'trail' }, { at: now, mark })
      writer.bar('barred')
      world.agenda.at(now + either(odds.between(2, 6), odds.between(30, 90)) * minute, (at) => {
        if (writer.instance !== instance) return
        writer.bar('free')
        writer.note('audit.sink_up', { sink: 'trail', refusedCalls: odds.whole(3, 400) }, { at, mark })
      })
    })
  },
}

/** What was to go elsewhere was more than could wait. */
const dropped: Attack = {
  kind: 'entries-dropped',
  begins: [1, 29],
  plan(stage) {
    const { world, odds, mark, either } = stage
    const writer = writerOf(stage, ['kms-a', 'kms-b', 'secrets'])
    whenOpen(stage, writer, (now) => {
      for (let nth = 0; nth < either(1, 8); nth++)
        world.agenda.at(now + nth * minute, (at) => {
          const count = either(odds.whole(1, 60), odds.whole(500, 9000))
          if (writer.isOpen) writer.note('audit.dropped', { sink: 'siem', dropped: count }, { at, mark })
        })
    })
  },
}

const lesserPolicies: readonly [FieldPolicy, FieldPolicy] = [
  { clientIp: 'prefix', drop: ['userAgent'] },
  { clientIp: 'none', encryptionContext: 'drop', drop: ['actor.id', 'userAgent'] },
]

/** Restarted so that it writes less about who asked; some hours later it is as it was. */
const otherPolicy: Attack = {
  kind: 'reopened-under-another-field-policy',
  begins: [1, 28.5],
  plan(stage) {
    const { world, odds, mark, either } = stage
    const writer = writerOf(stage, ['kms-a', 'kms-b', 'secrets'])
    whenOpen(stage, writer, (now) => {
      writer.close({ at: now, because: mark })
      world.agenda.at(now + 11_000, (at) => {
        const policy = either(...lesserPolicies)
        const alone = either({}, { alone: 'alone' } as const)
        writer.open({ at, mark }, { policy, because: mark, ...alone })
      })
      world.agenda.at(now + odds.between(1, 4) * hour, function restore(at) {
        if (!writer.isOpen) {
          world.agenda.at(at + minute, restore)
          return
        }
        writer.close({ at, because: mark })
        world.agenda.at(at + 9000, (later) => writer.open({ at: later, because: mark }))
      })
    })
  },
}

/** Killed in the midst of a write: what was torn is set aside. */
const torn: Attack = {
  kind: 'recovered-with-quarantine',
  begins: [1, 29],
  plan(stage) {
    const { world, odds, mark, either } = stage
    const writer = writerOf(stage, ['kms-a', 'kms-b', 'batch'])
    whenOpen(stage, writer, (now) => {
      writer.die()
      world.agenda.at(now + odds.between(5, 60) * 1000, (at) => {
        const quarantinedBytes = either(odds.whole(40, 700), odds.whole(20_000, 90_000))
        const file = `quarantine/00000000000000${odds.whole(100_000, 999_999)}.jsonl.1`
        writer.open({ at, mark })
        writer.note('audit.recovered', { sink: 'trail', quarantinedBytes, file }, { at, mark })
      })
    })
  },
}

/** Entries that should be kept for a year are gone after days. */
const pruned: Attack = {
  kind: 'pruned-below-policy',
  begins: [1, 29],
  plan(stage) {
    const { odds, mark, either } = stage
    const writer = writerOf(stage, ['kms-a', 'kms-b', 'secrets'])
    whenOpen(stage, writer, (now) => {
      const olderThanDays = either(odds.whole(120, 300), odds.whole(1, 20))
      const details = {
        sink: 'trail',
        prunedFrom: '0',
        prunedBelow: String(odds.whole(900_000, 4_000_000)),
        newestAt: new Date(now - olderThanDays * day - odds.below(hour)).toISOString(),
        olderThanDays,
      }
      writer.note('audit.pruned', details, { at: now, mark }, either({ code: 'retention' }, undefined))
    })
  },
}

/** Keystore and trail did not fit, and somebody said that this is right. */
const restored: Attack = {
  kind: 'restored-from-elsewhere',
  begins: [1, 29],
  plan(stage) {
    const { world, odds, mark, either } = stage
    const writer = writerOf(stage, ['kms-a', 'kms-b'])
    const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    const root = () => `${odds.text(42, base64)}${odds.pick(['A', 'E', 'I', 'M', 'Q', 'U', 'Y', 'c', 'g'])}=`
    whenOpen(stage, writer, (now) => {
      writer.close({ at: now, because: mark })
      world.agenda.at(now + odds.between(3, 12) * minute, (at) => {
        writer.open({ at, because: mark })
        const size = odds.whole(900_000, 4_000_000)
        const details = {
          generation: odds.whole(700, 1300),
          keystore: world.keystore,
          trailSize: String(size),
          trailRoot: root(),
          anchorSize: String(size + odds.whole(100, 90_000)),
          anchorRoot: root(),
        }
        writer.note('audit.restored', details, { at, mark }, either({ code: 'restore', ticket: 'INC-7001' }, undefined))
      })
    })
  },
}

/** The clock of one writer goes back, and some time later is right again. */
const clockStepped: Attack = {
  kind: 'clock-stepped-back',
  begins: [2, 29],
  plan(stage) {
    const { world, odds, mark, either } = stage
    const writer = writerOf(stage, ['kms-a', 'kms-b', 'secrets'])
    const back = Math.round(either(odds.between(10, 40) * minute, odds.between(2, 30) * hour))
    // What was written last must be near enough that the next entry is older: else nobody could tell.
    whenOpen(stage, writer, function step(now) {
      if (now - writer.lastAt > back / 4) {
        world.agenda.at(now + minute, step)
        return
      }
      writer.skew(-back, mark)
      world.agenda.at(now + odds.between(1.2, 5) * hour, (at) => {
        writer.skew(back)
        if (mark.eventIDs.length === 0) world.agenda.at(at + minute, step)
      })
    })
  },
}

/** No entries, no heartbeat, no word of farewell; hours later it is back. */
const silence: Attack = {
  kind: 'silence-without-heartbeat',
  isAbsence: true,
  begins: [1, 28.5],
  plan(stage) {
    const { world, odds, mark, either } = stage
    const writer = writerOf(stage, either(['dr', 'batch'], ['kms-a', 'kms-b', 'secrets']))
    whenOpen(stage, writer, (now) => {
      writer.die()
      mark.from = now
      const lasts = odds.between(4, 9) * hour
      mark.to = now + lasts
      world.agenda.at(now + lasts, function wake(at) {
        if (!writer.isOpen) mark.eventIDs.push(writer.open({ at, because: mark }).eventID)
      })
    })
  },
}

/** Entries are taken out of what arrives: the numbers show it. */
const missing: Attack = {
  kind: 'sequence-missing',
  isAbsence: true,
  begins: [1, 29],
  plan(stage) {
    const { odds, mark, either } = stage
    const writer = writerOf(stage, ['kms-a', 'kms-b'])
    whenOpen(stage, writer, (now) => {
      mark.from = now
      mark.to = now
      writer.steal(either(1, odds.whole(10, 60)), (next) => markOwn(mark, next))
    })
  },
}

export const onTheLog: readonly Attack[] = [
  sinkDown,
  dropped,
  otherPolicy,
  torn,
  pruned,
  restored,
  clockStepped,
  silence,
  missing,
]
