/** Key material that leaves while it is new. */
import { msOf } from '../../model/duration.ts'
import { byWhom, forWhatReason, isNear, keyAndActor, mayBeDone } from '../deed.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { lengthOf, word } from '../words.ts'

interface Cell {
  at: number
  eventID: string
  /** Index of what was done to the key. */
  what: number
  /** 0: no export told · 1: one for somebody, with a reason · 2: another. */
  told: number
}

const changes: readonly (readonly [action: string, done: string])[] = [
  ['kms_key.create', 'created'],
  ['kms_key.import', 'imported'],
  ['kms_key.import_version', 'imported'],
  ['kms.rotate', 'rotated'],
  ['kms.rotate.scheduled', 'rotated'],
]

export const exportAfterChange: Rule = defineRule({
  id: 'export-after-change',
  title: 'A key was exported soon after it was made or rotated',
  level: 'high',
  attack: ['T1552.004'],
  why: 'Whoever makes a key, or a new version of one, and takes it out at once has a copy of all that it will ever protect. Nothing that is encrypted later is safe.',
  falsePositives: [
    'An escrow or a backup that copies each new version, wrapped and with its reason: that is told as low.',
  ],
  whatToDo:
    'Ask who made the key for whom, and where the copy is. Unless there is an answer, rotate the key again, watch that no export follows, and re-encrypt what was encrypted since.',
  actions: ['kms.export', ...changes.map(([action]) => action)],
  parameters: { within: '24h' },
  watch({ within }, tools) {
    const span = msOf('within', within)
    const cells = tools.table<Cell>('changed', { max: 20_000, make: () => ({ at: 0, eventID: '', what: 0, told: 0 }) })
    return {
      take(seen) {
        const { entry, at, key } = seen
        if (key === undefined || !mayBeDone(entry)) return
        if (entry.action !== 'kms.export') {
          const what = changes.findIndex(([action]) => action === entry.action)
          Object.assign(cells.of(key), { at, eventID: entry.eventID, what, told: 0 })
          return
        }
        const cell = cells.get(key)
        if (cell === undefined || !isNear(at, cell.at, span)) return
        const isAgreed = entry.details?.form === 'wrapped' && entry.reason?.code !== undefined
        const weight = isAgreed ? 1 : 2
        if (weight <= cell.told) return
        cell.told = weight
        tools.report({
          level: isAgreed ? 'low' : 'high',
          subject: keyAndActor(seen),
          evidence: [cell.eventID, entry.eventID],
          from: Math.min(at, cell.at),
          says: sentenceOf(seen, cell),
        })
      },
    }
  },
  examples: [
    {
      says: 'an hour after it was created, told once',
      findings: 1,
      levels: ['high'],
      steps: [
        { action: 'kms_key.create' },
        { action: 'kms.export', after: '1h', times: 3, with: { details: { form: 'raw' }, reason: { code: 'escrow' } } },
      ],
    },
    {
      says: 'after it was rotated on schedule',
      findings: 1,
      levels: ['high'],
      steps: [
        { action: 'kms.rotate.scheduled' },
        { action: 'kms.export', after: '23h', with: { details: { form: 'wrapped' } } },
      ],
    },
    {
      says: 'the escrow that wraps each new version and says why; then somebody takes it in the clear',
      findings: 2,
      levels: ['low', 'high'],
      steps: [
        { action: 'kms_key.import' },
        { action: 'kms.export', after: '5m', with: { details: { form: 'wrapped' }, reason: { code: 'escrow' } } },
        { action: 'kms.export', after: '5m', with: { details: { form: 'raw' } } },
      ],
    },
    {
      says: 'each new version anew',
      findings: 2,
      steps: [
        { action: 'kms.rotate' },
        { action: 'kms.export' },
        { action: 'kms.rotate', after: '1h' },
        { action: 'kms.export' },
      ],
    },
    {
      says: 'a day after: that is any export',
      findings: 0,
      steps: [{ action: 'kms_key.create' }, { action: 'kms.export', after: '24h' }],
    },
    {
      says: 'longer, where that is asked for',
      findings: 1,
      parameters: { within: '7d' },
      steps: [{ action: 'kms_key.create' }, { action: 'kms.export', after: '6d' }],
    },
    {
      says: 'of another key',
      findings: 0,
      steps: [
        { action: 'kms_key.create' },
        { action: 'kms.export', with: { resourceIdentity: 'kms-other', keySlug: 'other' } },
      ],
    },
    {
      says: 'refused: nothing was made, or nothing left',
      findings: 0,
      steps: [
        { action: 'kms.rotate', with: { outcome: 'failure' } },
        { action: 'kms.export' },
        { action: 'kms.rotate', after: '1m' },
        { action: 'kms.export', with: { outcome: 'failure', error: 'EXPORT_NOT_ALLOWED' } },
      ],
    },
  ],
})

function sentenceOf(seen: Seen, { at, what }: Cell): string {
  const [, done = 'changed'] = changes[what] ?? []
  const since = seen.at - at < 1000 ? 'right' : lengthOf(seen.at - at)
  return `${byWhom(seen)} exported key ${word(seen.keyName)} ${since} after it was ${done}, ${forWhatReason(seen)}`
}
