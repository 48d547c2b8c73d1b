/** Many keys that are taken away at once. */
import { msOf } from '../../model/duration.ts'
import { byWhom, mayBeDone } from '../deed.ts'
import { defineRule, type Rule } from '../rule.ts'
import { takings } from '../taking-away.ts'
import { checkHits, slidingWindow } from '../window.ts'
import { counted, lengthOf, listed } from '../words.ts'
import { youngKeys } from '../young-keys.ts'

export const massDisable: Rule = defineRule({
  id: 'mass-disable',
  title: 'Many keys are disabled or deleted at once',
  level: 'critical',
  attack: ['T1485', 'T1489'],
  why: 'Whoever takes the keys takes all that they protect, in minutes: extortion, revenge, or a script that was pointed at the wrong project.',
  falsePositives: ['A project that is given up as a whole: it was announced.'],
  whatToDo:
    'Stop the actor now. Then cancel each deletion and enable each key: they can be brought back until they are destroyed. Look for deletions with a short window first.',
  actions: [...takings, 'kms_key.create', 'kms_key.import'],
  parameters: {
    /** Different keys, by one actor or by all together: of 60 keys one or two a month are given up. */
    keys: 5,
    within: '1h',
  },
  check({ keys }) {
    checkHits('mass-disable', { keys })
  },
  watch({ keys, within }, tools) {
    const span = msOf('within', within)
    const ofOne = slidingWindow(tools, { name: 'actors', span, atLeast: keys, distinct: keys })
    const ofAll = slidingWindow(tools, { name: 'all', span, atLeast: keys, distinct: keys })
    const young = youngKeys(tools)
    return {
      take(seen) {
        const { entry, key, keyName = '', actor } = seen
        if (key === undefined || !mayBeDone(entry)) return
        if (!takings.includes(entry.action)) {
          young.made(seen)
          return
        }
        // Those that are destroyed on their day were counted when that was scheduled.
        if (young.isOwn(seen) || (entry.action === 'kms_key.destroy' && entry.details?.dueAt !== undefined)) return
        const byOne = ofOne.add(actor ?? '', seen, keyName)
        const hits = byOne ?? ofAll.add('', seen, keyName)
        if (byOne !== undefined) ofAll.add('', seen, keyName)
        if (hits === undefined) return
        const { count, items, evidence, from, to } = hits
        const who = byOne === undefined ? 'several actors' : byWhom(seen)
        const subject = byOne === undefined || actor === undefined ? {} : { actor }
        const says = `${who} took away ${counted(items.length, 'key')} within ${lengthOf(span)}: ${listed(items)}`
        tools.report({ subject, count, evidence, from, to, says })
      },
    }
  },
  examples: [
    {
      says: 'five keys within an hour',
      findings: 1,
      levels: ['critical'],
      steps: [{ action: 'kms_key.disable', times: 5, every: '10m', with: other }],
    },
    {
      says: 'twenty, some disabled, some deleted, each told once',
      findings: 1,
      steps: [
        { action: 'kms_key.disable', times: 20, every: '1m', with: other },
        { action: 'kms_key.delete', times: 20, every: '1m', with: other },
      ],
    },
    {
      says: 'by several actors together',
      findings: 1,
      steps: [
        {
          action: 'kms_key.delete',
          times: 6,
          every: '5m',
          with: (number) => ({ ...other(number), actor: { type: 'user', id: `u${number}` } }),
        },
      ],
    },
    {
      says: 'four keys, each disabled and deleted',
      findings: 0,
      steps: [
        { action: 'kms_key.disable', times: 4, every: '1m', with: other },
        { action: 'kms_key.delete', times: 4, every: '1m', with: other },
      ],
    },
    {
      says: 'one in twenty minutes',
      findings: 0,
      steps: [{ action: 'kms_key.disable', times: 20, every: '20m', with: other }],
    },
    {
      says: 'their day has come: that was scheduled long ago',
      findings: 0,
      steps: [
        {
          action: 'kms_key.destroy',
          times: 20,
          with: (number) => ({ ...other(number), details: { dueAt: '2026-01-01T11:00:00.000Z' } }),
        },
      ],
    },
    {
      says: 'a test run that takes away the keys it has made',
      findings: 0,
      steps: [
        { action: 'kms_key.create', times: 20, with: other },
        { action: 'kms_key.delete', times: 20, with: other },
      ],
    },
    {
      says: 'refused',
      findings: 0,
      steps: [
        {
          action: 'kms_key.delete',
          times: 20,
          with: (number) => ({ ...other(number), outcome: 'failure', statusCode: 403, error: 'ACCESS_DENIED' }),
        },
      ],
    },
  ],
})

function other(number: number) {
  return { resourceIdentity: `kms-${number}`, keySlug: `k${number}` }
}
