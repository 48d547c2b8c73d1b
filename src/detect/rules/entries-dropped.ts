/** Entries did not reach a sink, or calls were refused while one was down. */
import { msOf } from '../../model/duration.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule } from '../rule.ts'
import { counted, word } from '../words.ts'
import { writerName } from '../writer.ts'

export const entriesDropped: Rule = defineRule({
  id: 'entries-dropped',
  title: 'Entries were dropped, or calls refused',
  level: 'medium',
  attack: ['T1562.008'],
  why: 'A copy of the log that lacks entries tells half a story, and whoever reads only that copy does not know which half. The trail itself has them all.',
  falsePositives: [
    'A collector that was down for longer than its queue lasts, or that cannot keep up with a load test.',
  ],
  whatToDo:
    'Read the time in question in the trail and not in the copy. Then see why the sink lost them: too slow, too long away, or kept away on purpose. A trail that is followed loses nothing: prefer that for remote sinks.',
  actions: ['audit.dropped', 'audit.sink_up'],
  parameters: {
    /** Of one sink of one writer, once in so long. */
    quiet: '6h',
  },
  watch({ quiet }, tools) {
    const span = msOf('quiet', quiet)
    const toldDropped = quietFor(tools, { name: 'told-dropped', span, max: 2000 })
    const toldRefused = quietFor(tools, { name: 'told-refused', span, max: 2000 })
    return {
      take({ entry, at }) {
        const isDropped = entry.action === 'audit.dropped'
        const told: unknown = isDropped ? entry.details?.dropped : entry.details?.refusedCalls
        // Whatever stands there, something was lost.
        const count = typeof told === 'number' && Number.isSafeInteger(told) && told >= 0 ? told : 1
        if (!isDropped && (told === undefined || count === 0)) return
        const name: unknown = entry.details?.sink
        const sink = typeof name === 'string' ? name : 'unknown'
        const writer = writerName(entry.instance)
        const quietOf = isDropped ? toldDropped : toldRefused
        if (quietOf.has(`${writer} ${sink}`, at)) return
        quietOf.begin(`${writer} ${sink}`, at)
        tools.report({
          // That the sink was down is told by itself.
          level: isDropped ? 'medium' : 'low',
          subject: { sink, instance: entry.instance },
          evidence: [entry.eventID],
          count,
          says: isDropped
            ? `sink ${word(sink)} of ${word(writer)} lost ${counted(count, 'entry', 'entries')}`
            : `${word(writer)} refused ${counted(count, 'call')} while sink ${word(sink)} was down or full`,
        })
      },
    }
  },
  examples: [
    {
      says: 'entries that found no room',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'audit.dropped', with: { details: { sink: 'siem', dropped: 120 } } }],
    },
    {
      says: 'one after another is told once in six hours, each sink by itself',
      findings: 3,
      steps: [
        { action: 'audit.dropped', times: 400, every: '1m', with: { details: { sink: 'siem', dropped: 5 } } },
        { action: 'audit.dropped', with: { details: { sink: 'stdout', dropped: 5 } } },
      ],
    },
    {
      says: 'calls that were refused while a sink was down',
      findings: 1,
      levels: ['low'],
      steps: [{ action: 'audit.sink_up', with: { details: { sink: 'trail', refusedCalls: 40 } } }],
    },
    {
      says: 'up again, and nothing was refused',
      findings: 0,
      steps: [
        { action: 'audit.sink_up', with: { details: { sink: 'trail', refusedCalls: 0 } } },
        { action: 'audit.sink_up', with: { details: { sink: 'siem' } } },
      ],
    },
  ],
})
