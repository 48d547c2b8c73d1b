/** Rules: what they may say, and the check of what came from a file. */
import type { ActorType } from '../../model/context.ts'
import { isToken } from '../../model/dispatch.ts'
import { KmsError } from '../../model/errors.ts'
import { type Hours, hoursTest } from '../../model/hours.ts'
import { parseNetworks } from '../../model/networks.ts'
import { type AccessAction, isAccessAction } from './permissions.ts'

/**
 * A rule matches a call if everything it names does: one of its actors, one of its actions, one of its keys, and whatever of the
 * rest it has. A deny that matches refuses; otherwise an allow that matches lets the call go on; otherwise it is refused.
 *
 * Patterns are texts in which `*` stands for any characters, also none. They match the whole text, and case counts.
 *
 * @example
 * ```ts
 * const rule: AccessRule = {
 *   id: 'billing-reads-orders',
 *   effect: 'allow',
 *   actors: ['serviceAccount:billing-*'],
 *   actions: ['kms:Decrypt'],
 *   keys: ['orders'],
 *   networks: ['10.0.0.0/8'],
 * }
 * ```
 */
export interface AccessRule {
  /** 1–64 letters, digits or `_ . -`; no other rule has it. What a denial's entry names in `details.rule`. */
  readonly id: string
  readonly effect: 'allow' | 'deny'
  /**
   * `user:alice`, `serviceAccount:billing-*`, `client:…`, `system:…`: a type and a pattern of the id. `*`: everyone who is named.
   * `unknown`: calls that name no actor, which nothing else matches.
   */
  readonly actors: readonly string[]
  /**
   * Permissions and groups of them. In a rule that allows, `kms:*` and `kms:FullAccess` leave out what is granted by name only:
   * export, import, destruction and changes of the keystore itself. In one that denies they leave out nothing.
   */
  readonly actions: readonly AccessAction[]
  /**
   * Patterns of slugs or identities; a key is matched by either. `*` is every key, and the keystore itself, which nothing else
   * matches. A key that cannot be known before the call (a new one without a slug, the destination of `reEncrypt` where the policy
   * has no `provider`) is allowed only by `*`, and denied by any.
   */
  readonly keys: readonly string[]
  /** Patterns of the client's project. A client without one is matched by rules that name none. */
  readonly projects?: readonly string[]
  /** Patterns of the client's region, likewise. */
  readonly regions?: readonly string[]
  /**
   * Networks in CIDR notation that `clientIp` must be in. Where it was not said, or is no address, the condition is not met in a
   * rule that allows, and met in one that denies.
   */
  readonly networks?: readonly string[]
  /** Hours of the day, in which the rule matches. */
  readonly hours?: Hours
}

const mostRules = 10_000
const mostInList = 1000
const longestPattern = 512

const actorTypes: { readonly [T in ActorType]: true } = { user: true, serviceAccount: true, client: true, system: true }

const fields = ['id', 'effect', 'actors', 'actions', 'keys', 'projects', 'regions', 'networks', 'hours']
const hourFields = ['startHour', 'endHour', 'timezone']

/**
 * `value`, such as the content of a JSON file, as rules: a frozen copy.
 *
 * @throws KmsError `INVALID_INPUT` that names the rule and the field: fields and actions that there are not, lists that are empty
 * (which never means everyone or everything), patterns with characters that mean something elsewhere, an id given twice.
 *
 * @example
 * ```ts
 * const rules = checkRules(JSON.parse(await readFile('rules.json', 'utf8')))
 * ```
 */
export function checkRules(value: unknown): readonly AccessRule[] {
  if (!Array.isArray(value)) refuse('the rules must be a list: [{ id, effect, actors, actions, keys }, …]')
  if (value.length === 0) refuse('the rules must be at least one: without any every call is refused')
  if (value.length > mostRules) refuse(`the rules must be at most ${mostRules}`)
  const ids = new Set<string>()
  return Object.freeze(
    Array.from(value, (rule: unknown, at) => {
      const checked = checkRule(rule, at)
      if (ids.has(checked.id)) refuse(`the rule '${checked.id}' must have an id of its own: another has it too`)
      ids.add(checked.id)
      return checked
    }),
  )
}

function checkRule(value: unknown, at: number): AccessRule {
  const { id, effect, actors, actions, keys, projects, regions, networks, hours } = fieldsOf(value, `rules[${at}]`)
  if (!isToken(id)) refuse(`'rules[${at}].id' must be 1–64 letters, digits or _ . -`)
  checkFields(value, id, fields)
  if (effect !== 'allow' && effect !== 'deny') refuse(`'${id}.effect' must be allow or deny`)
  const rule: AccessRule = {
    id,
    effect,
    actors: list(`${id}.actors`, actors, checkActor),
    actions: list(`${id}.actions`, actions, checkAction),
    keys: list(`${id}.keys`, keys, checkPattern),
    ...(projects !== undefined && { projects: list(`${id}.projects`, projects, checkPattern) }),
    ...(regions !== undefined && { regions: list(`${id}.regions`, regions, checkPattern) }),
    ...(networks !== undefined && { networks: list(`${id}.networks`, networks, checkNetwork) }),
    ...(hours !== undefined && { hours: checkHours(`${id}.hours`, hours) }),
  }
  return Object.freeze(rule)
}

function fieldsOf(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(`'${name}' must be an object`)
  return value as Readonly<Record<string, unknown>>
}

/** A field that is misspelt would be a condition that is not there. */
function checkFields(value: unknown, name: string, known: readonly string[]): void {
  const unknown = Object.keys(fieldsOf(value, name)).find((field) => !known.includes(field))
  if (unknown !== undefined)
    refuse(`'${name}' must have no field '${unknown.slice(0, 40)}': there are ${known.join(', ')}`)
}

function list<T extends string>(name: string, value: unknown, check: (name: string, item: string) => T): readonly T[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > mostInList)
    refuse(`'${name}' must be a list of 1–${mostInList} texts`)
  return Object.freeze(
    Array.from(value, (item: unknown) => {
      if (typeof item !== 'string') refuse(`'${name}' must be a list of texts`)
      return check(name, item)
    }),
  )
}

function checkActor(name: string, pattern: string): string {
  if (pattern === 'unknown' || pattern === '*') return pattern
  const at = pattern.indexOf(':')
  if (at < 0 || at === pattern.length - 1 || !Object.hasOwn(actorTypes, pattern.slice(0, at)))
    refuse(`'${name}' must hold *, unknown, or a type (${typeNames}) with a pattern of the id, such as user:alice`)
  return checkPattern(name, pattern)
}

const typeNames = Object.keys(actorTypes).join(', ')

function checkAction(name: string, action: string): AccessAction {
  if (isAccessAction(action)) return action
  return refuse(`'${name}' must hold permissions or groups of them, such as kms:Decrypt or kms:ReadAccess`)
}

/** Elsewhere these mean a choice, one character, or the contrary; here they would match nothing, and a deny be none. */
function checkPattern(name: string, pattern: string): string {
  if (pattern.length < 1 || pattern.length > longestPattern)
    refuse(`'${name}' must hold patterns of 1–${longestPattern} characters`)
  if (/[?[\]{}\\^!\p{Cc}]|\*\*|^\s|\s$/u.test(pattern))
    refuse(`'${name}' must hold patterns with single * only, no ? [ ] { } \\ ^ !, and no space at either end`)
  return pattern
}

function checkNetwork(name: string, network: string): string {
  parseNetworks(name, [network])
  return network
}

function checkHours(name: string, value: unknown): Hours {
  const { startHour, endHour, timezone } = fieldsOf(value, name)
  checkFields(value, name, hourFields)
  // Looked at by the next line, before anyone relies on their types.
  const hours = Object.freeze({ startHour, endHour, timezone }) as Hours
  hoursTest(name, hours)
  return hours
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
