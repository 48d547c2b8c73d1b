/** What stood at the end of the trail did not belong there, and was put aside. */
import { msOf } from '../../model/duration.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule } from '../rule.ts'
import { counted, word } from '../words.ts'
import { writerName } from '../writer.ts'

export const trailRecovered: Rule = defineRule({
  id: 'trail-recovered',
  title: 'The end of the trail was put aside',
  level: 'medium',
  attack: ['T1070'],
  why: 'After a crash in the midst of a write the last lines have no signed commit, and go to quarantine. Lines that somebody added do, too.',
  falsePositives: [
    'A process that was killed, or a host that lost its power, while it wrote. It loses no entry that was acknowledged.',
  ],
  whatToDo:
    'Look whether there was a crash at that time. Then look at the file in quarantine: entries of the moment before the crash are harmless; lines of another time or another writer were put there by hand.',
  actions: ['audit.recovered'],
  parameters: {
    /** Of one writer, once in so long: one that crashes again and again is told of as such. */
    quiet: '1h',
  },
  watch({ quiet }, tools) {
    const told = quietFor(tools, { name: 'told', span: msOf('quiet', quiet), max: 2000 })
    return {
      take({ entry, at }) {
        const { quarantinedBytes, file, sink } = entry.details ?? {}
        const writer = writerName(entry.instance)
        if (quarantinedBytes === 0 || told.has(writer, at)) return
        told.begin(writer, at)
        const bytes = typeof quarantinedBytes === 'number' ? counted(quarantinedBytes, 'byte') : 'some bytes'
        tools.report({
          subject: { ...(typeof sink === 'string' && { sink }), instance: entry.instance },
          evidence: [entry.eventID],
          says: `${bytes} at the end of the trail of ${word(writer)} had no signed commit and went to ${word(file)}`,
        })
      },
    }
  },
  examples: [
    {
      says: 'after a crash',
      findings: 1,
      levels: ['medium'],
      steps: [
        {
          action: 'audit.recovered',
          with: { details: { sink: 'trail', quarantinedBytes: 812, file: 'quarantine/7' } },
        },
      ],
    },
    {
      says: 'a crash loop is told once an hour',
      findings: 2,
      steps: [
        {
          action: 'audit.recovered',
          ...{ times: 12, every: '10m' },
          with: { details: { sink: 'trail', quarantinedBytes: 812, file: 'quarantine/7' } },
        },
      ],
    },
    {
      says: 'nothing had to be put aside',
      findings: 0,
      steps: [{ action: 'audit.recovered', with: { details: { sink: 'trail', quarantinedBytes: 0 } } }],
    },
  ],
})
