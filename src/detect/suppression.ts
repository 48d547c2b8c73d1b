/** Suppressions: findings that somebody has looked at, and does not want to be called for again until a day that is named. */
import { systemClock } from '../model/clock.ts'
import type { ActorType } from '../model/context.ts'
import { KmsError } from '../model/errors.ts'
import { compileGlobs } from '../model/globs.ts'
import type { Finding, Subject } from './finding.ts'

/** Holds findings back from whoever would be called, never from the trail or a review. */
export interface Suppression {
  /** 1–64 letters, digits, dots, dashes or underscores; named in entries. */
  readonly id: string
  /** Id of the rule whose findings it holds back. */
  readonly rule: string
  /**
   * Patterns in which `*` stands for any characters; all that are given must match what the finding is about. Without it, every
   * finding of the rule.
   */
  readonly subject?: Subject
  /** RFC 3339, UTC: from then on it holds nothing back. At most {@link mostSuppressedDays} ahead. */
  readonly until: string
  /** Why; 1–128 characters, in the entry. */
  readonly reason: string
  /** Who decided it: type and id, as in `user:alice`. */
  readonly by: string
}

export interface SuppressionOptions {
  /** ms since the epoch; the host's clock by default. */
  readonly now?: number
  /** Ids of the rules that there are; any by default. */
  readonly rules?: readonly string[]
}

/** A quarter of a year: what is still wanted then is looked at again. */
export const mostSuppressedDays = 90
const mostSuppressions = 1000

const fields = ['id', 'rule', 'subject', 'until', 'reason', 'by'] as const
const subjects = ['key', 'actor', 'source', 'secret', 'sink', 'instance'] as const
const actorTypes: readonly ActorType[] = ['user', 'serviceAccount', 'client', 'system']

/** The first of `suppressions` that holds `finding` back at `now`, ms since the epoch; undefined if none does. */
export function suppressionOf(
  finding: Finding,
  suppressions: readonly Suppression[],
  now: number,
): Suppression | undefined {
  return suppressions.find(({ rule, subject = {}, until }) => {
    return rule === finding.rule && now < Date.parse(until) && subjects.every((name) => fits(subject, finding, name))
  })
}

function fits(subject: Subject, finding: Finding, name: keyof Subject): boolean {
  const [pattern, value] = [subject[name], finding.subject[name]]
  return pattern === undefined || (value !== undefined && compileGlobs([pattern]).matches(value))
}

/**
 * A checked copy of a list of suppressions, as a file or a program gives it. One that has expired may stand in it: it holds
 * nothing back.
 *
 * @throws KmsError `INVALID_INPUT` that says which of them is wrong, and in what.
 * @example
 * ```ts
 * checkSuppressions([
 *   { id: 'migration', rule: 'export', subject: { key: 'orders-*' }, until: '2026-03-01T00:00:00Z', reason: 'T-42', by: 'user:alice' },
 * ])
 * ```
 */
export function checkSuppressions(given: unknown, options: SuppressionOptions = {}): readonly Suppression[] {
  if (!Array.isArray(given)) refuse('suppressions must be a list')
  if (given.length > mostSuppressions) refuse(`there may be at most ${mostSuppressions} suppressions`)
  const checked = given.map((one: unknown, at) => checkSuppression(one, { ...options, name: `suppressions[${at}]` }))
  const ids = checked.map(({ id }) => id)
  const twice = ids.find((id, at) => ids.indexOf(id) < at)
  if (twice !== undefined) refuse(`there are two suppressions '${twice}'`)
  return checked
}

/** As {@link checkSuppressions}, of a single one; `name` says in an error where it stands. */
export function checkSuppression(
  given: unknown,
  { name, now = systemClock.now(), rules }: SuppressionOptions & { readonly name: string },
): Suppression {
  const one = plainObject(name, given)
  checkNames(name, one, fields)
  const text = (field: (typeof fields)[number], most = 128) => textOf(`${name}.${field}`, one[field], most)
  const id = text('id')
  if (!/^[\w.-]{1,64}$/.test(id)) refuse(`'${name}.id' must be 1–64 letters, digits, dots, dashes or underscores`)
  const rule = text('rule')
  if (rules?.includes(rule) === false)
    refuse(`'${name}.rule' names no rule that there is: the rules are ${rules.join(', ')}`)
  const subject = one['subject'] === undefined ? undefined : subjectOf(`${name}.subject`, one['subject'])
  const until = momentOf(`${name}.until`, one['until'], now)
  const by = text('by')
  if (actorOf(by) === undefined)
    refuse(`'${name}.by' must be who decided it, as type and id: user:alice; types are ${actorTypes.join(', ')}`)
  return { id, rule, ...(subject !== undefined && { subject }), until, reason: text('reason'), by }
}

/** `user:alice` as its two parts; undefined for any other text. */
export function actorOf(by: string): { readonly type: ActorType; readonly id: string } | undefined {
  const type = actorTypes.find((each) => by.startsWith(`${each}:`))
  const id = type === undefined ? '' : by.slice(type.length + 1)
  return type === undefined || id === '' ? undefined : { type, id }
}

function subjectOf(name: string, given: unknown): Subject {
  const one = plainObject(name, given)
  checkNames(name, one, subjects)
  const patterns = subjects
    .filter((field) => one[field] !== undefined)
    .map((field) => [field, textOf(`${name}.${field}`, one[field], 512)] as const)
  if (patterns.length === 0) refuse(`'${name}' must name something; leave it out to mean every finding of the rule`)
  return Object.fromEntries(patterns)
}

function momentOf(name: string, given: unknown, now: number): string {
  const text = typeof given === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/.test(given) ? given : ''
  const at = Date.parse(text)
  // A date that does not exist is taken for the next month's by some.
  if (Number.isNaN(at) || !new Date(at).toISOString().startsWith(text.slice(0, 19)))
    refuse(`'${name}' must be an RFC 3339 time in UTC, such as 2026-01-31T12:00:00Z`)
  if (at > now + mostSuppressedDays * 86_400_000)
    refuse(`'${name}' may be at most ${mostSuppressedDays} days ahead: then somebody looks again`)
  return new Date(at).toISOString()
}

function textOf(name: string, given: unknown, most: number): string {
  if (typeof given === 'string' && given.trim() !== '' && given.length <= most) return given
  refuse(`'${name}' must be a text of 1–${most} characters`)
}

/** A plain object: what JSON calls one. */
export function plainObject(name: string, given: unknown): Readonly<Record<string, unknown>> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) refuse(`'${name}' must be an object`)
  // Narrowed above; what it holds is looked at one by one.
  return given as Readonly<Record<string, unknown>>
}

/** Refuses what is not among `known`, and names it only where it looks like a name. */
export function checkNames(name: string, given: object, known: readonly string[]): void {
  const strange = Object.keys(given).find((each) => !known.includes(each))
  if (strange === undefined) return
  const shown = /^[\w-]{1,64}$/.test(strange) ? `'${strange}'` : 'such field'
  refuse(`'${name}' has no ${shown}: it has ${known.join(', ')}`)
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
