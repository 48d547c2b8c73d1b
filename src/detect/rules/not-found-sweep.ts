/** Names that do not exist are tried, one after another: somebody looks for what there is. */
import { msOf } from '../../model/duration.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { sourceOf } from '../who.ts'
import { checkHits, slidingWindow } from '../window.ts'
import { lengthOf, listed, word } from '../words.ts'

export const notFoundSweep: Rule = defineRule({
  id: 'not-found-sweep',
  title: 'Names that do not exist are tried (404)',
  level: 'medium',
  attack: ['T1580'],
  why: 'Who belongs here knows the names of its keys and secrets. Several wrong ones in a row are guesses.',
  falsePositives: [
    'A new installation that asks for each of its keys or secrets before it makes them.',
    'A program that was pointed to another region or project.',
  ],
  whatToDo:
    'Look at the names that were tried: guesses look like a list, a wrong configuration like the names of another environment. Ask the owner of the actor; if there is none, withdraw its access and look at what it found.',
  actions: ['kms.*', 'kms_key.*', 'secret.*'],
  parameters: {
    /** So many different names. */
    atLeast: 5,
    within: '15m',
  },
  check({ atLeast }) {
    checkHits('not-found-sweep', { atLeast })
  },
  watch({ atLeast, within }, tools) {
    const span = msOf('within', within)
    const rates = { span, atLeast, distinct: atLeast }
    const actors = slidingWindow(tools, { name: 'actors', ...rates })
    const sources = slidingWindow(tools, { name: 'sources', ...rates })
    const told = quietFor(tools, { name: 'told', span })
    return {
      take(seen) {
        const { entry, actor, at } = seen
        // A version that is missing says that the key is known.
        if (entry.statusCode !== 404 || entry.error === 'VERSION_NOT_FOUND') return
        const name = nameOf(seen)
        if (name === undefined) return
        const source = sourceOf(seen)
        const byActor = actor === undefined ? undefined : actors.add(actor, seen, name)
        const bySource = source !== undefined ? sources.add(source, seen, name) : undefined
        const hits = byActor ?? bySource
        if (hits === undefined) return
        // Of an actor that was told of, its address is not news.
        if (byActor === undefined && actor !== undefined && told.has(actor, at)) return
        if (actor !== undefined) told.begin(actor, at)
        const { items, evidence, count, from, to } = hits
        const who = byActor === undefined ? `somebody at ${word(source)}` : word(actor)
        tools.report({
          subject: {
            ...(byActor !== undefined && actor !== undefined && { actor }),
            ...(source !== undefined && { source }),
          },
          ...{ evidence, count, from, to },
          says: `${who} asked for ${items.length} names that do not exist within ${lengthOf(span)}: ${listed(items)}`,
        })
      },
    }
  },
  examples: [
    {
      says: 'five names in a minute',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'kms.decrypt', times: 5, every: '10s', with: (number) => missing(`key-${number}`) }],
    },
    {
      says: 'a long sweep is one finding a quarter of an hour',
      findings: 2,
      steps: [{ action: 'kms_key.describe', times: 25, every: '1m', with: (number) => missing(`key-${number}`) }],
    },
    {
      says: 'secrets',
      findings: 1,
      steps: [
        {
          action: 'secret.get_value',
          times: 5,
          with: (number) => ({
            ...missing(`/db/${number}`),
            resourceType: 'secret',
            error: 'SECRET_NOT_FOUND',
            context: { clientIp: '192.0.2.7' },
            actor: { type: 'user', id: 'eve' },
          }),
        },
      ],
    },
    {
      says: 'by many names from one address',
      findings: 1,
      steps: [
        {
          action: 'kms.decrypt',
          times: 5,
          with: (number) => ({ ...missing(`key-${number}`), actor: { type: 'user', id: `u${number}` } }),
        },
      ],
    },
    {
      says: 'one name again and again: a program with a wrong name',
      findings: 0,
      steps: [{ action: 'kms.encrypt', times: 300, every: '2s', with: missing('ordres') }],
    },
    {
      says: 'four names',
      findings: 0,
      steps: [{ action: 'kms.encrypt', times: 40, with: (number) => missing(`key-${number % 4}`) }],
    },
    {
      says: 'five names, one in five minutes',
      findings: 0,
      steps: [{ action: 'kms.encrypt', times: 5, every: '5m', with: (number) => missing(`key-${number}`) }],
    },
    {
      says: 'versions that do not exist',
      findings: 0,
      steps: [
        {
          action: 'kms.decrypt',
          times: 9,
          with: (number) => ({ ...missing(`key-${number}`), error: 'VERSION_NOT_FOUND' }),
        },
      ],
    },
  ],
})

/** What was asked for stands where the identity would. */
function nameOf({ entry, keyName }: Seen): string | undefined {
  const name: unknown = entry.resourceIdentity ?? keyName
  return typeof name === 'string' ? name : undefined
}

function missing(name: string) {
  return { outcome: 'failure', statusCode: 404, error: 'KEY_NOT_FOUND', resourceIdentity: name } as const
}
