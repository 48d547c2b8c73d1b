/** A keystore and a trail that do not fit were put together again, by decision. */
import { defineRule, type Rule } from '../rule.ts'
import { word } from '../words.ts'
import { writerName } from '../writer.ts'

export const trailRestored: Rule = defineRule({
  id: 'trail-restored',
  title: 'A keystore was accepted that does not fit the trail',
  level: 'high',
  attack: ['T1070', 'T1565'],
  why: 'One of the two was taken back to an earlier state: after a restore from a backup, or by somebody who wants a change or its entries undone.',
  falsePositives: ['A restore from a backup that was decided upon: its reason and ticket stand in the entry.'],
  whatToDo:
    'Ask who decided upon the restore. Compare the trail with a copy or a witness from elsewhere: what is missing at its end was done and is no longer told. Look for key versions that exist only there.',
  actions: ['audit.restored'],
  parameters: {},
  sees({ entry }) {
    const { generation, keystore, trailSize } = entry.details ?? {}
    const reason = entry.reason?.code
    return {
      subject: { instance: entry.instance },
      evidence: [entry.eventID],
      says: `${word(writerName(entry.instance))} accepted keystore ${word(keystore)} at generation ${word(generation)} with a trail of ${word(trailSize)} entries although they do not fit, ${reason === undefined ? 'without a reason' : `because of ${word(reason)}`}`,
    }
  },
  examples: [
    {
      says: 'with a reason',
      findings: 1,
      levels: ['high'],
      steps: [
        {
          action: 'audit.restored',
          with: {
            details: { generation: 9, keystore: 'a2b3c4d5e6f7a2b3', trailSize: '17' },
            reason: { code: 'restore', ticket: 'INC-1' },
          },
        },
      ],
    },
    { says: 'without one', findings: 1, steps: [{ action: 'audit.restored' }] },
    {
      says: 'a trail that was mended after a crash is another matter',
      findings: 0,
      steps: [{ action: 'audit.recovered', with: { details: { quarantinedBytes: 5 } } }],
    },
  ],
})
