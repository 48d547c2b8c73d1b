/** Access policies: from where and at which hours a secret's values may be read and written. */

import { KmsError } from '../../model/errors.ts'
import { hoursTest } from '../../model/hours.ts'
import { normalizeIp } from '../../model/ip.ts'
import { inNetworks, parseNetworks } from '../../model/networks.ts'

/**
 * Gates the values of one secret, nothing else. A condition that denies and matches refuses; if there are conditions that
 * allow, one of them must match. Without an address that is known, each `ip` condition is held against the caller.
 */
export interface AccessPolicy {
  /** At most 32. */
  readonly conditions: readonly AccessCondition[]
}

export type AccessCondition = IpCondition | TimeCondition

export interface IpCondition {
  readonly type: 'ip'
  readonly effect: 'allow' | 'deny'
  /** 1–100 networks such as `10.0.0.0/8`, or single addresses. */
  readonly cidrs: readonly string[]
}

export interface TimeCondition {
  readonly type: 'time'
  readonly effect: 'allow' | 'deny'
  /** 0–23: the first hour of the window. */
  readonly startHour: number
  /** 0–24, not in the window itself; below `startHour` the window goes over midnight. */
  readonly endHour: number
  /** IANA name, such as `Europe/Amsterdam`. */
  readonly timezone: string
}

/** Who asks, and when. */
export interface Asking {
  readonly clientIp: string | undefined
  /** Wall clock, ms since the epoch. */
  readonly now: number
}

const maxConditions = 32
const maxNetworks = 100

/** A copy of `raw`, checked. @throws KmsError `INVALID_INPUT` that says which condition is wrong. */
export function checkPolicy(raw: unknown): AccessPolicy {
  const { conditions, ...rest } = fieldsOf('policy', raw)
  onlyKnown('policy', rest)
  if (!Array.isArray(conditions) || conditions.length > maxConditions)
    refuse(`'policy.conditions' must be a list of at most ${maxConditions} conditions`)
  // `map` would pass over holes, and they would be conditions that nobody can judge.
  const copies = Array.from(conditions, (condition: unknown, at) =>
    checkCondition(`policy.conditions.${at}`, condition),
  )
  return Object.freeze({ conditions: Object.freeze(copies) })
}

/** The rule that refuses: a condition such as `conditions.2`, or `conditions` where none of those that allow matches. */
export function refusingRule({ conditions }: AccessPolicy, asking: Asking): string | undefined {
  const denied = conditions.findIndex((condition) => condition.effect === 'deny' && matches(condition, asking))
  if (denied >= 0) return `conditions.${denied}`
  const allowing = conditions.filter(({ effect }) => effect === 'allow')
  if (allowing.length === 0 || allowing.some((condition) => matches(condition, asking))) return undefined
  return 'conditions'
}

function matches(condition: AccessCondition, { clientIp, now }: Asking): boolean {
  if (condition.type === 'time') return hoursTest('policy', condition)(now)
  const ip = clientIp === undefined ? undefined : normalizeIp(clientIp)
  // Fails closed: who cannot be told apart is whoever is denied, and nobody who is allowed.
  if (ip === undefined) return condition.effect === 'deny'
  return inNetworks(parseNetworks('cidrs', condition.cidrs), ip)
}

function checkCondition(name: string, raw: unknown): AccessCondition {
  const { type, effect, ...rest } = fieldsOf(name, raw)
  if (effect !== 'allow' && effect !== 'deny') refuse(`'${name}.effect' must be allow or deny`)
  if (type === 'ip') return ipCondition(name, effect, rest)
  if (type === 'time') return timeCondition(name, effect, rest)
  return refuse(`'${name}.type' must be ip or time`)
}

type Rest = Readonly<Record<string, unknown>>

function ipCondition(name: string, effect: IpCondition['effect'], { cidrs, ...rest }: Rest): IpCondition {
  onlyKnown(name, rest)
  if (!Array.isArray(cidrs) || cidrs.length < 1 || cidrs.length > maxNetworks)
    refuse(`'${name}.cidrs' must be a list of 1–${maxNetworks} networks`)
  const texts = [...cidrs] as readonly string[] // as parseNetworks sees to
  parseNetworks(`${name}.cidrs`, texts)
  return Object.freeze({ type: 'ip', effect, cidrs: Object.freeze(texts) })
}

function timeCondition(name: string, effect: TimeCondition['effect'], given: Rest): TimeCondition {
  const { startHour, endHour, timezone, ...rest } = given
  onlyKnown(name, rest)
  // As hoursTest sees to.
  const hours = { startHour, endHour, timezone } as Pick<TimeCondition, 'startHour' | 'endHour' | 'timezone'>
  hoursTest(name, hours)
  return Object.freeze({ type: 'time', effect, ...hours })
}

function fieldsOf(name: string, raw: unknown): Rest {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) refuse(`'${name}' must be an object`)
  return raw as Rest
}

/** A misspelt field would be a rule that does not hold. */
function onlyKnown(name: string, rest: Rest): void {
  if (Object.keys(rest).length > 0) refuse(`'${name}' has a field that nobody knows`)
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
