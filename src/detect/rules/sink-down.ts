/** A sink stopped accepting entries: calls are refused, or a copy of the log falls behind. */
import { msOf } from '../../model/duration.ts'
import type { AuditEntry } from '../../model/entry.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { wholeSecond } from '../seconds.ts'
import { lengthOf, word } from '../words.ts'
import { writerName } from '../writer.ts'

export const sinkDown: Rule = defineRule({
  id: 'sink-down',
  title: 'A sink of the audit log is down',
  level: 'high',
  attack: ['T1562.008'],
  why: 'Without a required sink no call is answered. Without the others their copy ends, which is what somebody who wants to act unseen would see to first.',
  falsePositives: ['A collector that is restarted or updated. Up again within a minute, it is only informational.'],
  whatToDo:
    'Look at the sink: disk, network, credentials. Where calls are refused, it is the first thing to mend. Afterwards look for entries that were dropped, and at what was done while the copy stood still.',
  actions: ['audit.opened', 'audit.closed', 'audit.sink_down', 'audit.sink_up', 'audit.clock_stepped'],
  parameters: {
    /** A sink that nobody waits for may be down so long. */
    grace: '1m',
    /** Of one sink of one writer, once in so long. */
    quiet: '1h',
  },
  watch({ grace, quiet }, tools) {
    const graceMs = msOf('grace', grace)
    /** Names of the required sinks, by writer's start; known once its first entry was seen. */
    const required = tools.table<{ names: readonly string[] }>('required', { max: 2000, make: () => ({ names: [] }) })
    const down = tools.table('down', { max: 2000, make: newDown })
    const span = msOf('quiet', quiet)
    // Of each level by itself: that it was down for a moment must not hide that it is down for good.
    const told = {
      high: quietFor(tools, { name: 'told-required', span, max: 2000 }),
      low: quietFor(tools, { name: 'told', span, max: 2000 }),
      informational: quietFor(tools, { name: 'told-up', span, max: 2000 }),
    }

    return {
      take(seen) {
        const { entry, at } = seen
        if (entry.action === 'audit.opened') required.of(entry.instance).names = requiredIn(entry)
        else if (entry.action === 'audit.closed') {
          required.delete(entry.instance)
          for (const [name, { instance }] of down.entries()) if (instance === entry.instance) down.delete(name)
        } else if (entry.action === 'audit.sink_down') hearDown(seen)
        else if (entry.action === 'audit.sink_up') hearUp(seen)
        // What was due when the clock was set back must not wait until it is there again.
        if ((seen.sinceMs ?? 0) >= 0) return
        for (const [, each] of down.entries()) each.at = Math.min(each.at, at)
        if (down.size > 0) tools.wake(wholeSecond(at + graceMs))
      },
      wake(now) {
        let next = Number.POSITIVE_INFINITY
        for (const [name, each] of down.entries()) {
          if (each.isTold) continue
          const due = each.at + (each.isRequired ? 0 : graceMs)
          if (now >= due) tellDown(name, each, now)
          // Told of an outage a short while ago, it waits for its turn: that one may have been over.
          if (!each.isTold) next = Math.min(next, now < due ? due : now + lookAgainMs)
        }
        if (next !== Number.POSITIVE_INFINITY) tools.wake(wholeSecond(next))
      },
    }

    function hearDown({ entry, at }: Seen): void {
      const sink = sinkIn(entry)
      const each = down.of(nameOf(entry))
      each.at = at
      each.evidence = [entry.eventID]
      each.sink = sink
      each.instance = entry.instance
      each.isRequired = required.get(entry.instance)?.names.includes(sink) === true
      each.isTold = false
      if (each.isRequired) tellDown(nameOf(entry), each, at)
      if (!each.isTold) tools.wake(wholeSecond(at + (each.isRequired ? lookAgainMs : graceMs)))
    }

    function tellDown(name: string, each: Down, at: number): void {
      const since = lengthOf(Math.max(0, at - each.at))
      each.isTold = each.isRequired
        ? tell(name, each, at, 'high', 'is down: calls are refused until it is up again')
        : tell(name, each, at, 'low', `is down for ${since}: its copy of the log stands still`)
    }

    function hearUp({ entry, at }: Seen): void {
      const each = down.get(nameOf(entry))
      down.delete(nameOf(entry))
      const refused = entry.details?.refusedCalls
      const evidence = [...(each?.evidence ?? []), entry.eventID]
      const up = each ?? { ...newDown(), at, sink: sinkIn(entry), instance: entry.instance }
      // Only a required one tells of refused calls: of a writer whose first entry was not seen, that is how it is known.
      if (refused !== undefined && required.get(entry.instance) === undefined)
        tell(nameOf(entry), { ...up, evidence }, at, 'high', `was down, and ${word(refused)} calls were refused`)
      else if (each !== undefined && !each.isTold && !each.isRequired)
        tell(
          nameOf(entry),
          { ...up, evidence },
          at,
          'informational',
          `was down for ${lengthOf(Math.max(0, at - each.at))}`,
        )
    }

    function tell(name: string, each: Down, at: number, level: keyof typeof told, how: string): boolean {
      if (!told[level].mayTell(name, at)) return false
      const { sink, instance, evidence } = each
      tools.report({
        level,
        subject: { sink, instance },
        evidence,
        from: Math.min(each.at, at),
        to: at,
        says: `sink ${word(sink)} of ${word(writerName(instance))} ${how}`,
      })
      return true
    }
  },
  examples: [
    {
      says: 'a required sink, at once',
      findings: 1,
      levels: ['high'],
      steps: [opened(), { action: 'audit.sink_down', with: { details: { sink: 'trail' } } }],
    },
    {
      says: 'a required one that comes and goes is told once an hour',
      findings: 2,
      levels: ['high', 'high'],
      steps: [
        opened(),
        ...Array.from({ length: 8 }, () => [
          { action: 'audit.sink_down', after: '10m', with: { details: { sink: 'trail' } } },
          { action: 'audit.sink_up', after: '5s', with: { details: { sink: 'trail', refusedCalls: 3 } } },
        ]).flat(),
      ],
    },
    {
      says: 'another sink, for longer than a minute',
      findings: 1,
      levels: ['low'],
      steps: [
        opened(),
        { action: 'audit.sink_down', with: { details: { sink: 'siem' } } },
        { action: 'audit.sink_up', after: '10m', with: { details: { sink: 'siem' } } },
      ],
    },
    {
      says: 'up again within a minute',
      findings: 1,
      levels: ['informational'],
      steps: [
        opened(),
        { action: 'audit.sink_down', with: { details: { sink: 'siem' } } },
        { action: 'audit.sink_up', after: '50s', with: { details: { sink: 'siem' } } },
      ],
    },
    {
      says: 'a required one that is up again soon, and then down for good: told once the hour is over',
      findings: 2,
      levels: ['high', 'high'],
      steps: [
        opened(),
        { action: 'audit.sink_down', with: { details: { sink: 'trail' } } },
        { action: 'audit.sink_up', after: '5m', with: { details: { sink: 'trail', refusedCalls: 3 } } },
        { action: 'audit.sink_down', after: '10m', with: { details: { sink: 'trail' } } },
      ],
      afterwards: '1d',
    },
    {
      says: 'another, down for a moment and then for good',
      findings: 2,
      levels: ['informational', 'low'],
      steps: [
        opened(),
        { action: 'audit.sink_down', with: { details: { sink: 'siem' } } },
        { action: 'audit.sink_up', after: '5s', with: { details: { sink: 'siem' } } },
        { action: 'audit.sink_down', after: '5m', with: { details: { sink: 'siem' } } },
      ],
      afterwards: '1d',
    },
    {
      says: 'another, and the clock is set back by a day: told after a minute all the same',
      findings: 1,
      levels: ['low'],
      steps: [
        opened(),
        { action: 'audit.sink_down', with: { details: { sink: 'siem' } } },
        {
          ...{ action: 'audit.clock_stepped', after: '1s' },
          with: { createdAt: '2025-12-31T12:00:02.000Z', details: { steppedMs: 86_400_000 } },
        },
        { action: 'audit.heartbeat', with: { createdAt: '2025-12-31T13:00:02.000Z' } },
      ],
    },
    {
      says: 'of a writer that nothing was known of: what it refused tells that the sink is required',
      findings: 1,
      levels: ['high'],
      steps: [{ action: 'audit.sink_up', with: { details: { sink: 'trail', refusedCalls: 12 } } }],
    },
    {
      says: 'one that is up, and was never down',
      findings: 0,
      steps: [opened(), { action: 'audit.sink_up', with: { details: { sink: 'siem' } } }],
    },
    {
      says: 'closed before the minute was over',
      findings: 0,
      steps: [
        opened(),
        { action: 'audit.sink_down', with: { details: { sink: 'siem' } } },
        { action: 'audit.closed', after: '5s' },
        { action: 'audit.opened', after: '5m', with: { instance: 'main-example2', sequence: 0 } },
      ],
    },
  ],
})

interface Down {
  at: number
  sink: string
  instance: string
  evidence: readonly string[]
  isRequired: boolean
  isTold: boolean
}

const lookAgainMs = 60_000

function newDown(): Down {
  return { at: 0, sink: '', instance: '', evidence: [], isRequired: false, isTold: false }
}

function requiredIn({ details }: AuditEntry): readonly string[] {
  const sinks = details?.sinks
  if (!Array.isArray(sinks)) return []
  const known: readonly ({ readonly name?: unknown; readonly required?: unknown } | null)[] = sinks
  return known
    .filter((sink) => sink?.required === true)
    .map((sink) => String(sink?.name))
    .slice(0, 16)
}

function sinkIn({ details }: AuditEntry): string {
  const sink: unknown = details?.sink
  return typeof sink === 'string' ? sink : 'unknown'
}

function nameOf(entry: AuditEntry): string {
  return `${writerName(entry.instance)} ${sinkIn(entry)}`
}

function opened() {
  const sinks = [
    { name: 'trail', durability: 'synced', required: true },
    { name: 'siem', durability: 'remote', required: false },
  ] as const
  return { action: 'audit.opened', with: { details: { sinks } } } as const
}
