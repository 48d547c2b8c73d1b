/** An old key version still opens ciphertexts long after it was replaced. */
import { msOf } from '../../model/duration.ts'
import { isQuiet } from '../quiet.ts'
import { defineRule, type Rule } from '../rule.ts'
import { counted, lengthOf, word } from '../words.ts'

interface Cell {
  /** Of the newest rotations: which version was replaced, and when. */
  replaced: [version: number, at: number][]
  /** Of versions that were replaced before anything was seen: when one was first used as an old one. */
  used: [version: number, at: number][]
  /** Since the last finding. */
  uses: number
  quietUntil: number
}

const mostVersions = 64

const noDeadlines: { readonly [key: string]: string } = {}

export const oldVersion: Rule = defineRule({
  id: 'old-version',
  title: 'An old key version still decrypts',
  level: 'low',
  attack: [],
  why: 'A rotation protects nothing that stays encrypted with the old version. Old ciphertexts that turn up may also be a copy that somebody kept.',
  falsePositives: ['Archives that are meant to stay as they are.'],
  whatToDo:
    'Re-encrypt what is left, then raise the least version that may decrypt. If all was re-encrypted already, find out where the old ciphertext came from.',
  actions: ['kms.decrypt', 'kms.rotate', 'kms.rotate.scheduled'],
  parameters: {
    /** After the rotation that replaced the version; of one that no entry tells, after its first use as an old version. */
    deadline: '90d',
    /** By slug or identity, in place of `deadline`: `{ orders: '14d' }`. Of a deadline that was set for it, the level is medium. */
    keys: noDeadlines,
    /** After a finding, for the same key. */
    quiet: '7d',
  },
  check({ keys }) {
    for (const [name, deadline] of Object.entries(keys)) msOf(`old-version.keys.${name}`, deadline)
  },
  watch({ deadline, keys, quiet }, tools) {
    const usually = msOf('deadline', deadline)
    const ofKeys = new Map(Object.entries(keys).map(([name, own]) => [name, msOf(name, own)]))
    const span = msOf('quiet', quiet)
    const make = (): Cell => ({ replaced: [], used: [], uses: 0, quietUntil: 0 })
    const cells = tools.table<Cell>('keys', { max: 10_000, make })

    return {
      take({ entry, at, key, keyName = key, actor }) {
        const { keyVersion: version } = entry
        const isDecrypt = entry.action === 'kms.decrypt'
        if ((isDecrypt && entry.latestVersion !== false) || entry.outcome !== 'success') return
        if (key === undefined || keyName === undefined || version === undefined) return
        const cell = cells.of(key)
        if (!isDecrypt) {
          remember(cell.replaced, entry.details?.previousVersion ?? version - 1, at)
          return
        }
        const since = replacedAt(cell, version, at)
        const own = ofKeys.get(keyName) ?? ofKeys.get(key)
        if (at - since <= (own ?? usually)) return
        cell.uses += 1
        if (isQuiet(at, cell.quietUntil, span)) return
        const { uses } = cell
        cell.quietUntil = at + span
        cell.uses = 0
        const more = uses > 1 ? `, ${counted(uses, 'decrypt')} since this was told before` : ''
        tools.report({
          ...(own !== undefined && { level: 'medium' as const }),
          subject: { key: keyName, ...(actor !== undefined && { actor }) },
          evidence: [entry.eventID],
          count: uses,
          says: `version ${version} of key ${word(keyName)} still decrypts, ${lengthOf(at - since)} after it was replaced${more}`,
        })
      },
    }
  },
  examples: [
    {
      says: 'ninety-one days after the rotation; once a week',
      findings: 2,
      levels: ['low', 'low'],
      steps: [
        { action: 'kms.rotate', with: { keyVersion: 2, details: { previousVersion: 1 } } },
        { action: 'kms.decrypt', after: '91d', times: 8, every: '1d', with: { latestVersion: false } },
      ],
    },
    {
      says: 'a key with a deadline of its own, by slug; and another one, which has none',
      findings: 1,
      levels: ['medium'],
      parameters: { keys: { orders: '10d' } },
      steps: [
        { action: 'kms.rotate', with: { keyVersion: 2, details: { previousVersion: 1 } } },
        {
          action: 'kms.rotate',
          with: { resourceIdentity: 'kms-2', keySlug: 'other', keyVersion: 2, details: { previousVersion: 1 } },
        },
        { action: 'kms.decrypt', after: '11d', with: { latestVersion: false } },
        { action: 'kms.decrypt', with: { resourceIdentity: 'kms-2', keySlug: 'other', latestVersion: false } },
      ],
    },
    {
      says: 'on the last day that is allowed',
      findings: 0,
      steps: [
        { action: 'kms.rotate.scheduled', with: { keyVersion: 2, details: { previousVersion: 1 } } },
        { action: 'kms.decrypt', after: '90d', with: { latestVersion: false } },
      ],
    },
    {
      says: 'a later rotation does not give the older version more time',
      findings: 1,
      steps: [
        { action: 'kms.rotate', with: { keyVersion: 2, details: { previousVersion: 1 } } },
        { action: 'kms.rotate', after: '80d', with: { keyVersion: 3, details: { previousVersion: 2 } } },
        { action: 'kms.decrypt', after: '11d', with: { latestVersion: false } },
        { action: 'kms.decrypt', with: { latestVersion: false, keyVersion: 2 } },
      ],
    },
    {
      says: 'of an older version, the rotation of a newer one tells that it was replaced by then',
      findings: 1,
      steps: [
        { action: 'kms.rotate', with: { keyVersion: 3, details: { previousVersion: 2 } } },
        { action: 'kms.decrypt', after: '91d', with: { latestVersion: false } },
      ],
    },
    {
      says: 'replaced before anything was seen, and used as an old version for more than ninety days',
      findings: 1,
      steps: [
        { action: 'kms.decrypt', with: { latestVersion: false } },
        { action: 'kms.decrypt', after: '91d', with: { latestVersion: false } },
      ],
    },
    {
      says: 'used as an old version for the first time: nobody knows since when it is old',
      findings: 0,
      steps: [{ action: 'kms.encrypt' }, { action: 'kms.decrypt', after: '200d', with: { latestVersion: false } }],
    },
    {
      says: 'the latest version is never old, and a rotation that failed replaces nothing',
      findings: 0,
      steps: [
        { action: 'kms.rotate', with: { outcome: 'failure', keyVersion: 2 } },
        { action: 'kms.decrypt', after: '200d' },
        { action: 'kms.decrypt', after: '1d', with: { latestVersion: false } },
      ],
    },
    {
      says: 'verifying with an old version is what old versions are for',
      findings: 0,
      steps: [
        { action: 'kms.rotate', with: { keyVersion: 2, details: { previousVersion: 1 } } },
        { action: 'kms.verify', after: '200d', with: { latestVersion: false } },
      ],
    },
    {
      says: 'another deadline',
      findings: 1,
      parameters: { deadline: '1d' },
      steps: [
        { action: 'kms.rotate', with: { keyVersion: 2, details: { previousVersion: 1 } } },
        { action: 'kms.decrypt', after: '25h', with: { latestVersion: false } },
      ],
    },
  ],
})

function remember(list: [number, number][], version: number, at: number): void {
  if (list.some(([known]) => known === version)) return
  list.push([version, at])
  if (list.length > mostVersions) list.shift()
}

/** At the latest when it, or a newer one, was replaced. A clock that was set back makes nothing younger. */
function replacedAt(cell: Cell, version: number, at: number): number {
  const known = cell.replaced.filter(([replaced]) => replaced >= version).map(([, when]) => when)
  if (known.length > 0) return Math.min(...known)
  remember(cell.used, version, at)
  return cell.used.find(([used]) => used === version)?.[1] ?? at
}
