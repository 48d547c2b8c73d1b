/** What a file says of watching: the time zone, the rules' parameters, and suppressions. */
import { KmsError } from '../model/errors.ts'
import { localTime } from './local-time.ts'
import type { Parameters } from './rule.ts'
import { everyRule, type RuleSettings, shippedRules } from './shipped.ts'
import { checkNames, checkSuppressions, plainObject, type Suppression, type SuppressionOptions } from './suppression.ts'

export interface WatchSettings {
  /** IANA name of the zone whose hours and days the rules mean. */
  readonly timeZone?: string
  /** For `shippedRules`. */
  readonly rules?: RuleSettings
  readonly suppressions?: readonly Suppression[]
}

const fields = ['timeZone', 'rules', 'suppressions'] as const

/**
 * A checked copy of settings, as JSON gives them. Rules are the shipped ones.
 *
 * @throws KmsError `INVALID_INPUT` for a name that does not exist, telling those that do, or a value that it cannot have.
 * @example
 * ```ts
 * const { timeZone, rules, suppressions } = checkSettings(JSON.parse(text))
 * const detector = createDetector(shippedRules(rules), { ...(timeZone && { timeZone }) })
 * ```
 */
export function checkSettings(given: unknown, { now }: Pick<SuppressionOptions, 'now'> = {}): WatchSettings {
  const one = plainObject('settings', given)
  checkNames('settings', one, fields)
  const { timeZone, rules, suppressions } = one
  const known = everyRule.map(({ id }) => id)
  return {
    ...(timeZone !== undefined && { timeZone: zoneOf(timeZone) }),
    ...(rules !== undefined && { rules: rulesOf(rules, known) }),
    ...(suppressions !== undefined && {
      suppressions: checkSuppressions(suppressions, { rules: known, ...(now !== undefined && { now }) }),
    }),
  }
}

function zoneOf(given: unknown): string {
  if (typeof given !== 'string')
    throw new KmsError('INVALID_INPUT', "'timeZone' must be a text, such as Europe/Amsterdam")
  localTime(given)
  return given
}

function rulesOf(given: unknown, known: readonly string[]): RuleSettings {
  const each = plainObject('rules', given)
  checkNames('rules', each, known)
  const settings = Object.entries(each).map(([id, changed]) => {
    if (changed === false) return [id, false] as const
    const isParameters = typeof changed === 'object' && changed !== null && !Array.isArray(changed)
    if (!isParameters) throw new KmsError('INVALID_INPUT', `'rules.${id}' must be an object of parameters, or false`)
    // What each of them may be is the rule's own to check, below.
    return [id, changed as Parameters] as const
  })
  const checked: RuleSettings = Object.fromEntries(settings)
  shippedRules(checked)
  return checked
}
