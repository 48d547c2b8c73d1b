/** Entries were dropped for their age. Whether they were old enough is the question. */
import { defineRule, type Rule } from '../rule.ts'
import { counted, word } from '../words.ts'

export const trailPruned: Rule = defineRule({
  id: 'trail-pruned',
  title: 'Old entries were removed from the trail',
  level: 'low',
  attack: ['T1070'],
  why: 'Retention removes what is old. What is removed too early is what somebody did not want to be found.',
  falsePositives: ['The regular pruning, after the time that you have decided upon: say that time in `minDays`.'],
  whatToDo:
    'Compare with the retention that you have decided upon. If the entries were too young, find who ran it and why; take the archive or a copy from elsewhere, and look at what is in it.',
  actions: ['audit.pruned'],
  parameters: {
    /** Removing younger entries is `high`. PCI DSS 10.5.1 wants three months at hand; many keep a year. */
    minDays: 90,
  },
  sees({ entry, at }, { minDays }) {
    const { prunedFrom, prunedBelow, newestAt, olderThanDays, minRetentionDays, archive, sink } = entry.details ?? {}
    const newest = typeof newestAt === 'string' ? Date.parse(newestAt) : Number.NaN
    const age = Number.isNaN(newest) ? olderThanDays : (at - newest) / dayMs
    const least = Math.max(minDays, typeof minRetentionDays === 'number' ? minRetentionDays : 0)
    // If it does not tell how old they were, they were not old enough.
    const isYoung = !(typeof age === 'number' && age >= least)
    const days = typeof age === 'number' ? `${counted(Math.floor(age), 'day')} old or more` : 'of unknown age'
    const kept = archive === undefined ? 'and are in no archive' : `and are kept in ${word(archive)}`
    return {
      level: isYoung ? 'high' : 'low',
      subject: { ...(typeof sink === 'string' && { sink }), instance: entry.instance },
      evidence: [entry.eventID],
      says: `entries ${word(prunedFrom)} up to ${word(prunedBelow)} were removed, ${days}${isYoung ? ` instead of ${counted(least, 'day')}` : ''}, ${kept}`,
    }
  },
  examples: [
    {
      says: 'after a year, as planned',
      findings: 1,
      levels: ['low'],
      steps: [{ action: 'audit.pruned', with: { details: pruned('2024-12-01T00:00:00.000Z', 395) } }],
    },
    {
      says: 'after a month',
      findings: 1,
      levels: ['high'],
      steps: [{ action: 'audit.pruned', with: { details: pruned('2025-12-01T00:00:00.000Z', 30) } }],
    },
    {
      says: 'below the minimum of the trail',
      findings: 1,
      levels: ['high'],
      steps: [
        {
          action: 'audit.pruned',
          with: { details: { ...pruned('2025-06-01T00:00:00.000Z', 200), minRetentionDays: 365 } },
        },
      ],
    },
    {
      says: 'after a month, where that was decided',
      findings: 1,
      levels: ['low'],
      parameters: { minDays: 30 },
      steps: [{ action: 'audit.pruned', with: { details: pruned('2025-12-01T00:00:00.000Z', 30) } }],
    },
    {
      says: 'it does not say how old they were',
      findings: 1,
      levels: ['high'],
      steps: [{ action: 'audit.pruned' }],
    },
    {
      says: 'an intent alone, and what is no pruning',
      findings: 0,
      steps: [
        { action: 'audit.pruned', with: { phase: 'intent', outcome: 'pending' } },
        { action: 'audit.space_low', with: { details: { usedBytes: 900, budgetBytes: 1000 } } },
      ],
    },
  ],
})

const dayMs = 86_400_000

function pruned(newestAt: string, olderThanDays: number) {
  return { sink: 'trail', prunedFrom: '0', prunedBelow: '5000', newestAt, olderThanDays }
}
