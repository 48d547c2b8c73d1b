/** The rules that are shipped, in the order of the documentation. */
import { KmsError } from '../model/errors.ts'
import type { Parameters, Rule } from './rule.ts'
import { exported } from './rules/export.ts'
import { repeated400 } from './rules/repeated-400.ts'

export const everyRule: readonly Rule[] = [exported, repeated400]

/** By rule id: some of its parameters, or `false` for a rule that is left out. */
export type RuleSettings = { readonly [rule: string]: Parameters | false }

/**
 * All shipped rules, with their defaults but for what `settings` says.
 *
 * @throws KmsError `INVALID_INPUT` for a rule or a parameter that does not exist, or a value that it cannot have.
 * @example
 * ```ts
 * const rules = shippedRules({ 'canary-key': { keys: ['honey'] }, 'new-agent': false })
 * ```
 */
export function shippedRules(settings: RuleSettings = {}): readonly Rule[] {
  const unknown = Object.keys(settings).find((id) => everyRule.every((rule) => rule.id !== id))
  if (unknown !== undefined) throw new KmsError('INVALID_INPUT', `there is no rule '${unknown}'`)
  return everyRule.flatMap((rule) => {
    const changed = Object.hasOwn(settings, rule.id) ? settings[rule.id] : undefined
    if (changed === false) return []
    return [changed === undefined ? rule : rule.withParameters(changed)]
  })
}
