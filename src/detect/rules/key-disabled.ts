/** A key that nobody can use any more. */
import { msOf } from '../../model/duration.ts'
import { byWhom, forWhatReason, isNear, keyAndActor, mayBeDone } from '../deed.ts'
import type { Level } from '../finding.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { takings, takingVerb } from '../taking-away.ts'
import { lengthOf, word } from '../words.ts'
import { youngKeys } from '../young-keys.ts'

interface Cell {
  usedAt: number
  /** `eventID` of that use; empty if none was seen. */
  used: string
  /** 0: not disabled, as far as the trail tells. */
  disabledAt: number
}

interface Burst {
  from: number
  count: number
}

const uses = [
  ...['encrypt', 'decrypt', 'sign', 'verify', 'hmac', 'verify_hmac', 'generate_data_key', 're_encrypt'],
  ...['generate_data_key_pair', 'derive_shared_secret', 'encapsulate', 'decapsulate'],
].map((verb) => `kms.${verb}`)

const [hourMs, dayMs] = [3_600_000, 86_400_000]

export const keyDisabled: Rule = defineRule({
  id: 'key-disabled',
  title: 'A key was disabled, or is to be deleted',
  level: 'low',
  attack: ['T1485', 'T1489'],
  why: 'What a key protects cannot be read without it. Switching off a key that is in use stops a service at once, and deleting it makes its data worthless for ever.',
  falsePositives: ['A key that is given up: it has not been used for days, or the reason says so.'],
  whatToDo:
    'Ask the actor. If nobody wanted it: enable the key again, or cancel its deletion while it is pending, then look at what else the actor did, and take its permission for this.',
  actions: [...uses, ...takings, ...['create', 'import', 'enable', 'cancel_deletion'].map((verb) => `kms_key.${verb}`)],
  parameters: {
    /** In use means: used within so long before. Daily jobs count. */
    inUse: '24h',
    /** Told one by one up to so many by one actor in an hour; from there on it is the matter of mass-disable. */
    most: 5,
  },
  watch({ inUse, most }, tools) {
    const inUseMs = msOf('inUse', inUse)
    const cells = tools.table<Cell>('keys', { max: 20_000, make: () => ({ usedAt: 0, used: '', disabledAt: 0 }) })
    const bursts = tools.table<Burst>('actors', { max: 10_000, make: () => ({ from: 0, count: 0 }) })
    const young = youngKeys(tools)

    function isInBurst({ at, actor = '' }: Seen): boolean {
      const burst = bursts.of(actor)
      if (!isNear(at, burst.from, hourMs)) Object.assign(burst, { from: at, count: 0 })
      burst.count += 1
      return burst.count > most
    }

    function taken(seen: Seen, key: string): void {
      const { entry, at } = seen
      const cell = cells.of(key)
      const wasDisabled = cell.disabledAt !== 0
      const isIdle = wasDisabled && at - cell.disabledAt >= dayMs
      if (entry.action === 'kms_key.disable') {
        // Once more changes nothing.
        if (wasDisabled) return
        cell.disabledAt = at
      }
      if (isInBurst(seen)) return
      const isUsed = cell.used !== '' && isNear(at, cell.usedAt, inUseMs)
      const evidence = isUsed ? [cell.used, entry.eventID] : [entry.eventID]
      const use = isUsed ? `, which was used ${lengthOf(Math.max(0, at - cell.usedAt))} before` : ''
      tools.report({
        level: levelOf(seen, { isUsed, isIdle, isOwn: young.isOwn(seen) }),
        subject: keyAndActor(seen),
        evidence,
        ...(isUsed && { from: Math.min(cell.usedAt, at) }),
        says: `${byWhom(seen)} ${takingVerb(entry.action)} key ${word(seen.keyName)}${use}, ${forWhatReason(seen)}`,
      })
    }

    return {
      take(seen) {
        const { entry, at, key } = seen
        if (key === undefined || !mayBeDone(entry)) return
        const { action } = entry
        if (action.charCodeAt(3) === dot) {
          const cell = cells.of(key)
          cell.usedAt = at
          cell.used = entry.eventID
          return
        }
        if (isTaking(action)) taken(seen, key)
        else if (action === 'kms_key.enable') cells.of(key).disabledAt = 0
        else if (action !== 'kms_key.cancel_deletion') young.made(seen)
      },
    }
  },
  examples: [
    {
      says: 'in use until a moment ago, without a reason',
      findings: 1,
      levels: ['high'],
      steps: [
        { action: 'kms.decrypt', times: 5, every: '1h' },
        { action: 'kms_key.disable', after: '10m' },
      ],
    },
    {
      says: 'in use, and the reason says why',
      findings: 1,
      levels: ['medium'],
      steps: [
        { action: 'kms.decrypt' },
        { action: 'kms_key.delete', after: '10m', with: { reason: { code: 'compromise' } } },
      ],
    },
    {
      says: 'given up step by step: not used any more, disabled, deleted after a week, destroyed when that is due',
      findings: 3,
      levels: ['low', 'low', 'low'],
      steps: [
        { action: 'kms.decrypt' },
        { action: 'kms_key.disable', after: '2d' },
        { action: 'kms_key.delete', after: '7d' },
        { action: 'kms_key.destroy', after: '30d', with: { details: { dueAt: '2026-02-09T12:00:00.000Z' } } },
      ],
    },
    {
      says: 'deleted out of nothing; destroyed without a day',
      findings: 2,
      levels: ['medium', 'medium'],
      steps: [{ action: 'kms_key.delete' }, { action: 'kms_key.destroy', after: '1h' }],
    },
    {
      says: 'the imported key material of AWS KMS, which is gone at once',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'kms_key.delete_imported_key_material' }],
    },
    {
      says: 'a test that takes away the key it has made',
      findings: 1,
      levels: ['low'],
      steps: [{ action: 'kms_key.create' }, { action: 'kms.encrypt' }, { action: 'kms_key.delete', after: '5m' }],
    },
    {
      says: 'somebody else does so with a key of today',
      findings: 1,
      levels: ['high'],
      steps: [
        { action: 'kms_key.create' },
        { action: 'kms.encrypt' },
        { action: 'kms_key.delete', after: '5m', with: { actor: { type: 'user', id: 'mallory' } } },
      ],
    },
    {
      says: 'many in a row: the first five; mass-disable tells of the rest',
      findings: 5,
      steps: [
        {
          action: 'kms_key.disable',
          times: 40,
          with: (number) => ({ resourceIdentity: `kms-${number}`, keySlug: `k${number}` }),
        },
      ],
    },
    {
      says: 'a few now and a few later are no row',
      findings: 8,
      steps: ['0ms', '2h'].map((after, turn) => ({
        action: 'kms_key.disable',
        after,
        times: 4,
        with: (number) => ({ resourceIdentity: `kms-${turn}-${number}`, keySlug: `k${turn}${number}` }),
      })),
    },
    {
      says: 'its own key, but not of today',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'kms_key.create' }, { action: 'kms_key.delete', after: '3d' }],
    },
    {
      says: 'once more, on and off',
      findings: 2,
      steps: [
        { action: 'kms_key.disable', times: 3 },
        { action: 'kms_key.enable' },
        { action: 'kms_key.disable', times: 3 },
      ],
    },
    {
      says: 'refused, or taken back',
      findings: 0,
      steps: [
        { action: 'kms.encrypt' },
        { action: 'kms_key.disable', with: { outcome: 'failure', statusCode: 403, error: 'ACCESS_DENIED' } },
        { action: 'kms_key.enable' },
        { action: 'kms_key.cancel_deletion' },
      ],
    },
  ],
})

const dot = '.'.charCodeAt(0)

function isTaking(action: string): boolean {
  return takings.includes(action)
}

interface Facts {
  readonly isUsed: boolean
  /** Disabled for a day: whoever needs it has had time to say so. */
  readonly isIdle: boolean
  readonly isOwn: boolean
}

function levelOf({ entry }: Seen, { isUsed, isIdle, isOwn }: Facts): Level {
  if (isOwn) return 'low'
  if (isUsed) return entry.reason?.code === undefined ? 'high' : 'medium'
  if (entry.action === 'kms_key.disable' || isIdle) return 'low'
  // Its day had come, and its deletion was told when it was scheduled.
  return entry.details?.dueAt === undefined ? 'medium' : 'low'
}
