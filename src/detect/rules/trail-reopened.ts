/** A trail was opened anew although nobody closed it: its process crashed, or was made to. */
import { msOf } from '../../model/duration.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule } from '../rule.ts'
import { counted, lengthOf, word } from '../words.ts'
import { trailsIn, writerName } from '../writer.ts'

export const trailReopened: Rule = defineRule({
  id: 'trail-reopened',
  title: 'A trail was opened anew without having been closed',
  level: 'low',
  attack: ['T1489', 'T1499'],
  why: 'A process that is killed takes with it what it was about to write. One that is killed again and again is broken, or attacked.',
  falsePositives: [
    'A process that is stopped without a signal that it can hear, such as a container that runs out of memory.',
  ],
  whatToDo:
    'Look why the process ended: its own log, the memory and the exit code of its container. If it happens again and again, look at the calls just before each end.',
  actions: ['audit.opened', 'audit.closed'],
  parameters: {
    within: '1h',
    /** So many ends without a goodbye are `medium`. */
    crashes: 5,
    /** So many starts are, too, in whatever order they were closed: above what a script makes that opens the trail each minute. */
    opens: 100,
    /** Of one trail, once in so long. */
    quiet: '6h',
  },
  watch({ within, crashes, opens, quiet }, tools) {
    const span = msOf('within', within)
    const trails = tools.table<Trail>('trails', { max: 2000, make: newTrail })
    /** Which trail a start has open. */
    const starts = tools.table('starts', { max: 5000, make: () => ({ trail: '' }) })
    const [toldOne, toldMany] = ['told-one', 'told-many'].map((name) =>
      quietFor(tools, { name, span: msOf('quiet', quiet), max: 2000 }),
    )

    return {
      take({ entry, at }) {
        const { instance, eventID } = entry
        if (entry.action === 'audit.closed') {
          hearClosed(instance)
          return
        }
        const name = `${writerName(instance)} ${trailsIn(entry.details)}`
        const trail = trails.of(name)
        const isCrash = trail.writer !== '' && trail.writer !== instance && !trail.isShared
        trail.opens = remaining(trail.opens, at, span)
        trail.opens.push([at, eventID, isCrash ? 1 : 0])
        starts.delete(trail.writer)
        trail.writer = instance
        starts.of(instance).trail = name
        const crashed = trail.opens.filter(([, , crash]) => crash === 1)
        const isLoop = crashed.length >= crashes
        if (isLoop || trail.opens.length >= opens) {
          if (toldMany?.has(name, at) !== false) return
          toldMany.begin(name, at)
          const those = isLoop ? crashed : trail.opens
          tools.report({
            level: 'medium',
            subject: { instance },
            evidence: those.map(([, id]) => id),
            ...{ from: those[0]?.[0] ?? at, to: at },
            says: `the trail of ${word(writerName(instance))} was opened ${counted(those.length, 'time')} within ${lengthOf(span)}${isLoop ? ', each time without having been closed' : ''}`,
          })
        } else if (isCrash && toldOne?.has(name, at) === false) {
          toldOne.begin(name, at)
          tools.report({
            subject: { instance },
            evidence: [eventID],
            says: `the trail of ${word(writerName(instance))} was opened anew, and the writer before did not close it`,
          })
        }
      },
    }

    function hearClosed(instance: string): void {
      const start = starts.get(instance)
      if (start !== undefined) {
        const trail = trails.get(start.trail)
        if (trail?.writer === instance) trail.writer = ''
        starts.delete(instance)
        return
      }
      // It was replaced, or so it seemed: several writers of one name write at once, and none of them crashed.
      const shared = trails.get(`${writerName(instance)} `)
      if (shared !== undefined && shared.writer !== '') shared.isShared = true
    }
  },
  examples: [
    {
      says: 'opened anew after a crash',
      findings: 1,
      levels: ['low'],
      steps: [start(1), { action: 'kms.encrypt', with: of(1, 1) }, start(2, '5m')],
    },
    {
      says: 'a crash loop',
      findings: 2,
      levels: ['low', 'medium'],
      steps: Array.from({ length: 12 }, (_, number) => start(number, '4m')),
    },
    {
      says: 'very many opens, all of them closed',
      findings: 1,
      levels: ['medium'],
      parameters: { opens: 20 },
      steps: Array.from({ length: 20 }, (_, number) => [start(number, '10s'), end(number)]).flat(),
    },
    {
      says: 'a deployment: closed and opened, one after another',
      findings: 0,
      steps: Array.from({ length: 12 }, (_, number) => [start(number, '5m'), end(number, '1m')]).flat(),
    },
    {
      says: 'the first start that is seen',
      findings: 0,
      steps: [{ action: 'kms.encrypt', with: of(7, 900) }, start(8, '1m')],
    },
    {
      says: 'several writers of one name and without a trail: the first is heard of again, so it did not crash',
      findings: 1,
      levels: ['low'],
      steps: [
        ...[1, 2].map((number) => ({ action: 'audit.opened', with: of(number, 0) })),
        { action: 'audit.closed', after: '1m', with: of(1, 1) },
        ...[3, 4, 5].map((number) => ({ action: 'audit.opened', after: '7h', with: of(number, 0) })),
      ],
    },
    {
      says: 'two trails of writers of one name',
      findings: 0,
      steps: [start(1, '1m', 'keytrail/a'), start(2, '1m', 'keytrail/b')],
    },
  ],
})

type Open = readonly [at: number, eventID: string, crash: 0 | 1]

interface Trail {
  /** The start that has it open; empty once it was closed. */
  writer: string
  opens: Open[]
  /** Without a trail to tell them apart, several write under one name. */
  isShared: boolean
}

function newTrail(): Trail {
  return { writer: '', opens: [], isShared: false }
}

const mostOpens = 200

function remaining(opens: Open[], at: number, span: number): Open[] {
  return opens.filter(([when]) => when > at - span && when <= at + span).slice(-mostOpens)
}

function of(number: number, sequence: number) {
  return { instance: `main-start${number}`, sequence } as const
}

function start(number: number, after = '1s', origin = 'keytrail/a') {
  const sinks = [{ name: 'trail', durability: 'synced', required: true, vkey: `${origin}+0123abcd+key` }] as const
  return { action: 'audit.opened', after, with: { ...of(number, 0), details: { sinks } } } as const
}

function end(number: number, after = '1s') {
  return { action: 'audit.closed', after, with: of(number, 1) } as const
}
