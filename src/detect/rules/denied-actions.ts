/** Somebody tries what they may not do: many different things, or one thing without end. */
import { msOf } from '../../model/duration.ts'
import { KmsError } from '../../model/errors.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { whoOf, whoSubject } from '../who.ts'
import { counted, lengthOf, listed, word } from '../words.ts'

/** Most different things that are remembered of an actor: some more than it takes. */
const mostPairs = 64

export const deniedActions: Rule = defineRule({
  id: 'denied-actions',
  title: 'Calls are denied again and again (403)',
  level: 'medium',
  attack: ['T1078'],
  why: 'Credentials that were taken are tried out: what they may not do is denied, and each try is recorded.',
  falsePositives: [
    'A new service whose access was forgotten: one action on one key, from its first minute on.',
    'An access rule that was tightened, until the programs that relied on it are changed.',
  ],
  whatToDo:
    'Ask the owner of the actor whether they did this. If not, withdraw its credentials, and look at what it was allowed to do besides. If it is a service that lacks access, give it what it needs or stop it.',
  actions: ['kms.*', 'kms_key.*', 'secret.*', 'api.*', 'audit.read'],
  parameters: {
    /** So many different pairs of an action and a key. */
    distinct: 10,
    within: '1d',
    /** So many denials of one pair. A program that tries each minute has them within an hour. */
    repeated: 50,
    /** What is denied again and again for days is told only so often. */
    quiet: '3d',
  },
  check({ distinct }) {
    if (!(distinct >= 1 && distinct <= mostPairs))
      throw new KmsError('INVALID_INPUT', `'denied-actions.distinct' must be from 1 to ${mostPairs}`)
  },
  watch({ distinct, within, repeated, quiet }, tools) {
    const span = msOf('within', within)
    const cells = tools.table<Cell>('actors', { max: 5000, make: () => ({ pairs: [] }) })
    const toldMany = quietFor(tools, { name: 'told-many', span, max: 5000 })
    const toldOne = quietFor(tools, { name: 'told-one', span: msOf('quiet', quiet), max: 5000 })

    return {
      take(seen) {
        const { entry, at, weight } = seen
        if (entry.statusCode !== 403) return
        const who = whoOf(seen)
        const cell = cells.of(who)
        cell.pairs = cell.pairs.filter((pair) => pair[1] > at - span && pair[1] <= at + span)
        const name = `${entry.action} ${targetOf(seen)}`
        const pair = pairIn(cell, name, { at, eventID: entry.eventID, span })
        pair[1] = at
        pair[2] += weight
        const subject = whoSubject(seen)

        if (cell.pairs.length >= distinct && !toldMany.has(who, at)) {
          toldMany.begin(who, at)
          const count = cell.pairs.reduce((sum, [, , each]) => sum + each, 0)
          tools.report({
            subject,
            evidence: cell.pairs.map(([, , , id]) => id),
            ...{ count, from: Math.min(...cell.pairs.map(([, , , , from]) => from)), to: at },
            says: `${word(who)} was denied ${counted(cell.pairs.length, 'different action')} within ${lengthOf(span)}: ${listed(cell.pairs.map(([each]) => each))}`,
          })
        } else if (pair[2] >= repeated && !toldOne.has(who, at)) {
          toldOne.begin(who, at)
          tools.report({
            subject: { ...subject, ...(seen.keyName !== undefined && { key: seen.keyName }) },
            evidence: pair[3] === entry.eventID ? [entry.eventID] : [pair[3], entry.eventID],
            ...{ count: pair[2], from: pair[4], to: at },
            says: `${word(who)} was denied ${word(entry.action)} of ${word(targetOf(seen))} ${counted(pair[2], 'time')}, and goes on`,
          })
        }
      },
    }
  },
  examples: [
    {
      says: 'ten different things',
      findings: 1,
      levels: ['medium'],
      steps: [
        { action: 'kms.decrypt', times: 5, every: '1m', with: (number) => denied(`k${number}`) },
        { action: 'kms.export', times: 5, every: '1m', with: (number) => denied(`k${number}`) },
      ],
    },
    {
      says: 'it is told once a day',
      findings: 2,
      steps: [{ action: 'kms.decrypt', times: 30, every: '2h', with: (number) => denied(`k${number}`) }],
    },
    {
      says: 'one thing, fifty times: once in three days',
      findings: 1,
      steps: [{ action: 'kms.decrypt', times: 600, every: '5m', with: denied('payroll') }],
    },
    {
      says: 'joined refusals count one by one',
      findings: 1,
      steps: [{ action: 'kms.decrypt', with: { ...denied('payroll'), details: { joined: 49 } }, times: 2 }],
    },
    {
      says: 'secrets, by nobody in particular',
      findings: 1,
      steps: [
        {
          action: 'secret.get_value',
          times: 10,
          with: (number) => ({
            ...denied('k'),
            ...{ resourceType: 'secret', resourceIdentity: `/db/${number}`, actor: { type: 'unknown' } },
          }),
        },
      ],
    },
    {
      says: 'nine different things, a few times each',
      findings: 0,
      steps: [{ action: 'kms.decrypt', times: 45, with: (number) => denied(`k${number % 9}`) }],
    },
    {
      says: 'each by another actor',
      findings: 0,
      steps: [
        {
          action: 'kms.decrypt',
          times: 40,
          with: (number) => ({ ...denied(`k${number}`), actor: { type: 'user', id: `u${number}` } }),
        },
      ],
    },
    {
      says: 'what is wrong, and not denied',
      findings: 0,
      steps: [{ action: 'kms.decrypt', times: 90, with: { outcome: 'failure' } }],
    },
  ],
})

/** `from` is the moment of its first denial, `eventID` names the entry of that. */
type Pair = [name: string, last: number, count: number, eventID: string, from: number]

interface Cell {
  pairs: Pair[]
}

interface First {
  readonly at: number
  readonly eventID: string
  readonly span: number
}

function pairIn(cell: Cell, name: string, { at, eventID, span }: First): Pair {
  const known = cell.pairs.find(([each]) => each === name)
  // Its count is of the span, too.
  if (known !== undefined && Math.abs(at - known[4]) < span) return known
  if (known !== undefined) cell.pairs.splice(cell.pairs.indexOf(known), 1)
  const made: Pair = [name, at, 0, eventID, at]
  cell.pairs.push(made)
  if (cell.pairs.length > mostPairs) cell.pairs.shift()
  return made
}

function targetOf({ entry, keyName }: Seen): string {
  const name: unknown = entry.resourceType === 'secret' ? entry.resourceIdentity : keyName
  return typeof name === 'string' ? name : 'unknown'
}

function denied(name: string) {
  return {
    outcome: 'failure',
    statusCode: 403,
    error: 'ACCESS_DENIED',
    resourceIdentity: `kms-${name}`,
    keySlug: name,
  } as const
}
