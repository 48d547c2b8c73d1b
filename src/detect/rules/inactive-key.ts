/** Use of keys that are disabled, pending deletion, or gone. */
import { msOf } from '../../model/duration.ts'
import { byWhom } from '../deed.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import type { Table } from '../table.ts'
import { checkHits, slidingWindow } from '../window.ts'
import { counted, lengthOf, listed, word } from '../words.ts'

interface Gone {
  /** What the key was called. */
  name: string
}

const notFound = { outcome: 'failure', statusCode: 404, error: 'KEY_NOT_FOUND' } as const
const dayMs = 86_400_000
const maxGone = 10_000
const maxGroups = 2000

export const inactiveKey: Rule = defineRule({
  id: 'inactive-key',
  title: 'A key that is disabled or gone was asked for',
  level: 'low',
  attack: ['T1078'],
  why: 'A key is switched off so that nobody uses it. Who still tries has been forgotten, and is broken now; or holds old ciphertexts and old credentials, and tries them.',
  falsePositives: ['A job that runs once a month and was not told of the change.'],
  whatToDo:
    'Find the owner of the actor. If it should have moved to another key, it waits for help: enable the key, or cancel its deletion, until it has. If nobody knows it, disable the actor.',
  actions: [
    'kms.*',
    ...['create', 'import', 'delete', 'cancel_deletion', 'destroy', 'get_public_key'].map((verb) => `kms_key.${verb}`),
  ],
  parameters: {
    /** So often within `within`, of one key, by whomever: more than a program tries before it gives up. */
    atLeast: 5,
    /** So many different keys within `within`, by one actor. */
    keys: 3,
    within: '15m',
  },
  check({ atLeast, keys }) {
    checkHits('inactive-key', { atLeast, keys })
  },
  watch({ atLeast, keys, within }, tools) {
    const span = msOf('within', within)
    const ofKey = slidingWindow(tools, { name: 'keys', span, atLeast, quiet: dayMs, max: maxGroups })
    const byActor = slidingWindow(tools, {
      name: 'actors',
      span,
      atLeast: keys,
      distinct: keys,
      quiet: dayMs,
      max: maxGroups,
    })
    const first = quietFor(tools, { name: 'first', span: dayMs })
    const gone = tools.table<Gone>('gone', { max: maxGone, make: () => ({ name: '' }) })

    function asked(seen: Seen, name: string, isGone: boolean): void {
      const { entry, at, actor } = seen
      const group = actor ?? ''
      const many = ofKey.add(`${seen.key}`, seen)
      const wide = byActor.add(group, seen, name)
      const pair = JSON.stringify([group, seen.key])
      const isFirst = !first.has(pair, at)
      if (isFirst) first.begin(pair, at)
      const state = isGone ? 'is destroyed or waits for it' : 'is disabled or pending deletion'
      if (many !== undefined) {
        const { count, evidence, from, to } = many
        const says = `key ${word(name)}, which ${state}, was asked for ${counted(count, 'time')} within ${lengthOf(span)}, last by ${byWhom(seen)}`
        tools.report({ level: 'medium', subject: { key: name }, count, evidence, from, to, says })
      }
      if (wide !== undefined) {
        const { items, count, evidence, from, to } = wide
        const subject = actor === undefined ? {} : { actor }
        const says = `${byWhom(seen)} asked for ${counted(items.length, 'key')} that are disabled or gone within ${lengthOf(span)}: ${listed(items)}`
        tools.report({ level: 'medium', subject, count, evidence, from, to, says })
      }
      if (!isFirst || many !== undefined || wide !== undefined) return
      tools.report({
        subject: { key: name, ...(actor !== undefined && { actor }) },
        evidence: [entry.eventID],
        says: `${byWhom(seen)} asked for key ${word(name)} (${word(entry.action)}), which ${state}`,
      })
    }

    return {
      take(seen) {
        const { entry, key } = seen
        const { error } = entry
        if (error === undefined) {
          // Of what succeeds only changes matter: `kms_key.…`.
          if (entry.action.charCodeAt(3) !== dot) remember(gone, seen)
          return
        }
        // Of several schedulers one is faster.
        if (key === undefined || entry.action === 'kms.rotate.scheduled') return
        if (error === 'KEY_NOT_ACTIVE') asked(seen, seen.keyName ?? key, false)
        else if (error === 'KEY_NOT_FOUND') {
          const cell = gone.get(key) ?? gone.get(scopedSlug(seen, key))
          if (cell !== undefined) asked(seen, cell.name, true)
        }
      },
    }
  },
  examples: [
    {
      says: 'once',
      findings: 1,
      levels: ['low'],
      steps: [{ action: 'kms.decrypt', with: { outcome: 'failure', error: 'KEY_NOT_ACTIVE' } }],
    },
    {
      says: 'a service that goes on trying, told as low and then once a day',
      findings: 2,
      levels: ['low', 'medium'],
      steps: [
        { action: 'kms.decrypt', times: 300, every: '1m', with: { outcome: 'failure', error: 'KEY_NOT_ACTIVE' } },
      ],
    },
    {
      says: 'many pods of one service: one alarm for the key',
      findings: 5,
      levels: ['low', 'low', 'low', 'low', 'medium'],
      steps: [
        {
          action: 'kms.encrypt',
          times: 5,
          with: (number) => ({
            ...{ outcome: 'failure', error: 'KEY_NOT_ACTIVE' },
            actor: { type: 'serviceAccount', id: `pod-${number}` },
          }),
        },
      ],
    },
    {
      says: 'joined into one entry',
      findings: 1,
      levels: ['medium'],
      steps: [
        { action: 'kms.decrypt', with: { outcome: 'failure', error: 'KEY_NOT_ACTIVE', details: { joined: 90 } } },
      ],
    },
    {
      says: 'three keys by one actor: it goes through what there is',
      findings: 3,
      levels: ['low', 'low', 'medium'],
      steps: [
        {
          action: 'kms.decrypt',
          times: 3,
          every: '5m',
          with: (number) => ({
            ...{ outcome: 'failure', error: 'KEY_NOT_ACTIVE' },
            ...{ resourceIdentity: `kms-${number}`, keySlug: `k${number}` },
          }),
        },
      ],
    },
    {
      says: 'a destroyed key, asked for by its identity and by its slug',
      findings: 2,
      levels: ['low', 'low'],
      steps: [
        { action: 'kms_key.destroy' },
        ...['kms-orders', 'orders'].map((resourceIdentity) => ({
          action: 'kms.decrypt',
          after: '1d',
          with: { ...notFound, resourceIdentity },
        })),
      ],
    },
    {
      says: 'a name that never was a key, one that is a new key by now, and one of another project',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', with: { ...notFound, resourceIdentity: 'nothing' } },
        { action: 'kms_key.destroy' },
        { action: 'kms.decrypt', with: { ...notFound, resourceIdentity: 'orders', project: 'other' } },
        { action: 'kms_key.create', with: { resourceIdentity: 'kms-new' } },
        { action: 'kms.decrypt', with: { ...notFound, resourceIdentity: 'orders' } },
      ],
    },
    {
      says: 'its deletion was cancelled, and it is not found for another reason',
      findings: 0,
      steps: [
        { action: 'kms_key.delete' },
        { action: 'kms_key.cancel_deletion' },
        { action: 'kms.decrypt', with: notFound },
      ],
    },
    {
      says: 'one of several schedulers comes too late',
      findings: 0,
      steps: [{ action: 'kms.rotate.scheduled', with: { outcome: 'failure', error: 'KEY_NOT_ACTIVE' } }],
    },
  ],
})

const dot = '.'.charCodeAt(0)

/** Which names are those of keys that are no more. */
function remember(gone: Table<Gone>, seen: Seen): void {
  const { entry, key, keyName } = seen
  if (key === undefined || entry.outcome !== 'success') return
  const names = [key, ...(entry.keySlug === undefined ? [] : [scopedSlug(seen, entry.keySlug)])]
  if (entry.action === 'kms_key.destroy' || entry.action === 'kms_key.delete')
    for (const name of names) gone.of(name).name = keyName ?? key
  else if (entry.action !== 'kms_key.get_public_key') for (const name of names) gone.delete(name)
}

/** A slug means a key only within its region and project. */
function scopedSlug({ entry }: Seen, slug: string): string {
  return JSON.stringify([entry.region ?? '', entry.project ?? '', slug])
}
