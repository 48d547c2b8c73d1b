/** A clock was set, back or ahead: what entries tell of their time is worth less. */
import { msOf } from '../../model/duration.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { lengthOf, word } from '../words.ts'
import { writerName } from '../writer.ts'

export const clockStepped: Rule = defineRule({
  id: 'clock-stepped',
  title: 'A clock was set',
  level: 'low',
  attack: ['T1070'],
  why: 'Who sets the clock dates entries to a time when nobody looks, or makes them old enough to be pruned. Their order in the trail stays true.',
  falsePositives: [
    'The time service corrected a clock that was wrong, as after the start of a virtual machine.',
    'A machine that slept: its clock seems to have been set ahead.',
  ],
  whatToDo:
    'Look at the time service of the host. If it did not set the clock, find who did. Go by the order of the entries and not by their time, and compare with the clocks of other hosts.',
  actions: ['audit.clock_stepped', 'audit.heartbeat'],
  parameters: {
    /** Less is the ordinary work of a time service. */
    atLeast: '5s',
    /** No time service corrects so much of a clock that it has looked after. */
    far: '5m',
    /** Of one writer, once in so long for each level. */
    quiet: '1h',
  },
  watch({ atLeast, far, quiet }, tools) {
    const [leastMs, farMs] = [msOf('atLeast', atLeast), msOf('far', far)]
    const told = quietFor(tools, { name: 'told', span: msOf('quiet', quiet), max: 2000 })
    return {
      take(seen) {
        const { entry, at } = seen
        const stepped = stepIn(seen)
        const size = Math.abs(stepped)
        if (!(size > leastMs)) return
        const level = size > farMs ? 'medium' : 'low'
        const writer = writerName(entry.instance)
        if (told.has(`${writer} ${level}`, at)) return
        told.begin(`${writer} ${level}`, at)
        const how = stepped < 0 ? 'set back by' : 'set ahead, or its machine slept, by'
        tools.report({
          level,
          subject: { instance: entry.instance },
          evidence: [entry.eventID],
          says: `the clock of ${word(writer)} was ${how} ${Number.isFinite(size) ? lengthOf(size) : 'some time'}`,
        })
      },
    }
  },
  examples: [
    {
      says: 'back by ten seconds',
      findings: 1,
      levels: ['low'],
      steps: [{ action: 'audit.clock_stepped', with: { details: { steppedMs: 10_000 } } }],
    },
    {
      says: 'back by an hour',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'audit.clock_stepped', with: { details: { steppedMs: 3_600_000 } } }],
    },
    {
      says: 'ahead by a day: the heartbeat says that an hour has passed, and its time that it was a day',
      findings: 1,
      levels: ['medium'],
      steps: [
        { action: 'kms.encrypt' },
        { action: 'audit.heartbeat', after: '25h', with: { details: { idleMs: 3_600_000 } } },
      ],
    },
    {
      says: 'again and again is told once an hour',
      findings: 2,
      steps: [
        {
          action: 'audit.clock_stepped',
          ...{ times: 12, every: '10m' },
          with: { details: { steppedMs: 10_000 } },
        },
      ],
    },
    {
      says: 'four seconds',
      findings: 0,
      steps: [{ action: 'audit.clock_stepped', with: { details: { steppedMs: 4000 } } }],
    },
    {
      says: 'heartbeats after an hour of silence, and one without a writer before it',
      findings: 0,
      steps: [
        { action: 'audit.heartbeat', with: { details: { idleMs: 9_000_000 } } },
        { action: 'audit.heartbeat', after: '1h', times: 3, every: '1h', with: { details: { idleMs: 3_600_000 } } },
      ],
    },
    {
      says: 'the heartbeat of a process whose clock was corrected a little: it counts anew from there',
      findings: 0,
      steps: [
        { action: 'kms.encrypt' },
        { action: 'audit.heartbeat', after: '90m', with: { details: { idleMs: 3_600_000 } } },
      ],
    },
  ],
})

/**
 * How far, ms; below 0 back. Back is told by an entry of its own. Ahead only a heartbeat tells, which knows by a clock that cannot be
 * set how long nothing was written; at most a period of that is not in its count, if the clock was corrected in it.
 */
function stepIn({ entry, sinceMs }: Seen): number {
  const { steppedMs, idleMs } = entry.details ?? {}
  if (entry.action === 'audit.clock_stepped')
    return typeof steppedMs === 'number' ? -Math.abs(steppedMs) : Number.NEGATIVE_INFINITY
  if (typeof idleMs !== 'number' || sinceMs === undefined) return 0
  const ahead = sinceMs - idleMs
  return ahead > idleMs ? ahead : 0
}
