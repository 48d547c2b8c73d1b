/** What can be asked of an entry at all: a typo must be an error, or a test with `not` could never fail. */
import type { ActorType } from '../model/context.ts'
import type { EntryActor, Outcome, Phase } from '../model/entry.ts'
import { errorCodes, KmsError } from '../model/errors.ts'
import { order } from '../model/line.ts'
import { operations } from '../model/operation.ts'
import type { EntryCriteria } from './criteria.ts'

/** Kinds of criteria: what a value must be. */
export type Kind = 'text' | 'number' | 'truth' | 'part' | 'textOrPart' | 'anything'

export interface Known {
  readonly kind: Kind
  /** The only values there are. */
  readonly values?: readonly string[]
  /** The only names in a part; any name where absent. */
  readonly names?: readonly string[]
  /** What each value in a part must be, where all are alike. */
  readonly inside?: Kind
}

const phases: readonly (Phase | 'any')[] = ['intent', 'result', 'amendment', 'any']
const outcomes: readonly Outcome[] = ['pending', 'success', 'failure', 'unknown']
const actorTypes: readonly EntryActor['type'][] = [
  ...(['user', 'serviceAccount', 'client', 'system'] satisfies ActorType[]),
  'unknown',
]

const text: Known = { kind: 'text' }
const number: Known = { kind: 'number' }
const truth: Known = { kind: 'truth' }

/** Every criterion. */
export const known: Readonly<Record<keyof EntryCriteria, Known>> = {
  times: number,
  phase: { kind: 'text', values: phases },
  key: text,
  keyType: text,
  keyVersion: number,
  latestVersion: truth,
  resourceType: text,
  resourceIdentity: text,
  outcome: { kind: 'text', values: outcomes },
  valid: truth,
  statusCode: number,
  error: { kind: 'text', values: Object.keys(errorCodes) },
  region: text,
  project: text,
  actor: { kind: 'textOrPart', names: order.actor, inside: 'text' },
  clientIp: text,
  userAgent: text,
  requestId: text,
  traceparent: text,
  method: text,
  route: text,
  origin: { kind: 'textOrPart', names: order.origin, inside: 'text' },
  reason: { kind: 'textOrPart', names: order.reason, inside: 'text' },
  provider: { kind: 'textOrPart', names: order.provider },
  payloadSizes: { kind: 'part', names: order.payloadSizes, inside: 'number' },
  details: { kind: 'part', names: order.details },
  encryptionContext: { kind: 'part', inside: 'text' },
  eventID: text,
  operationID: text,
}

/** Values inside a part that are of a closed set. */
export const valuesInside: Readonly<Record<string, { readonly values: readonly string[] }>> = {
  'actor.type': { values: actorTypes },
  'actor.source': { values: ['context', 'call'] },
}

/** Actions that a client writes, and the log itself. Integrations have others: these only tell what is a slip of the pen. */
const actions: readonly string[] = [
  ...Object.values(operations).map(({ action }) => action),
  ...'opened closed heartbeat recovered sink_down sink_up dropped clock_stepped key_rotated pruned restored space_low read'
    .split(' ')
    .map((name) => `audit.${name}`),
  ...'create get_value put_value update_policy destroy_version delete list describe'
    .split(' ')
    .map((name) => `secret.${name}`),
  // What AWS KMS does besides.
  ...'create describe update delete connect disconnect'.split(' ').map((name) => `kms_keystore.${name}`),
  ...'create_alias update_alias delete_alias'.split(' ').map((name) => `kms_key.${name}`),
  ...'generate_data_key_pair generate_random derive_shared_secret encapsulate decapsulate'
    .split(' ')
    .map((name) => `kms.${name}`),
]

/**
 * Refuses an action that is almost one that there is.
 *
 * @throws KmsError `INVALID_INPUT` naming the one that was meant.
 */
export function checkAction(action: unknown, recorded: readonly string[]): asserts action is string {
  if (typeof action !== 'string' || !/^(?:\*|[\w.]+\*?)$/.test(action))
    throw refusal(`an action is a text such as 'kms.decrypt' or, with '*' at its end, 'kms.*'; not ${String(action)}`)
  const isGlob = action.endsWith('*')
  const stem = isGlob ? action.slice(0, -1) : action
  const names = [...actions, ...recorded]
  if (isGlob ? names.some((name) => name.startsWith(stem)) : names.includes(stem)) return
  const meant = isGlob
    ? nearest(
        stem,
        names.flatMap((name) => beginningsOf(name, stem.length)),
      )
    : (nearest(stem, names) ?? sameVerb(stem, names))
  if (meant !== undefined) throw refusal(`unknown action '${action}': did you mean '${meant}${isGlob ? '*' : ''}'?`)
}

/** What does the same under another name: `decrypt`, `kms.delete`, `kms.generateDataKey`. Groups that are not ours may have any verb. */
function sameVerb(word: string, names: readonly string[]): string | undefined {
  const isOurs = !word.includes('.') || actions.some((name) => groupOf(name) === groupOf(word))
  return isOurs ? names.find((name) => verbOf(name) === verbOf(word)) : undefined
}

function groupOf(name: string): string {
  return name.slice(0, Math.max(0, name.indexOf('.')))
}

function verbOf(name: string): string {
  return name
    .slice(name.lastIndexOf('.') + 1)
    .replaceAll('_', '')
    .toLowerCase()
}

/** Up to each of its dots, and as much of it as `length`. */
function beginningsOf(name: string, length: number): readonly string[] {
  return [...[...name.matchAll(/\./g)].map(({ index }) => name.slice(0, index + 1)), name.slice(0, length)]
}

/** The word of `words` that a slip or two of the pen make `word` of, if there is one. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  const slips = word.length < 6 ? 1 : 2
  const far = words.map((other) => ({ other, distance: distanceOf(word, other) }))
  return far.filter(({ distance }) => distance <= slips).sort((a, b) => a.distance - b.distance)[0]?.other
}

/** Levenshtein's: letters added, left out or changed. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const [left = 0, above = 0, before = 0] = [next[j - 1], row[j], row[j - 1]]
      next.push(Math.min(left + 1, above + 1, before + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length] ?? 0
}

export function refusal(message: string): KmsError {
  return new KmsError('INVALID_INPUT', message)
}
