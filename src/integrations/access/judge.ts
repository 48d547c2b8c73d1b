/**
 * Rules made ready, and the one judgement for calls that are made and for calls that a trail tells of. What a trail does not
 * tell is unclear; a call that is made leaves nothing so.
 */
import type { ActorType } from '../../model/context.ts'
import { hoursTest } from '../hours.ts'
import { inNetworks, parseNetworks } from '../networks.ts'
import { compileGlobs, type Globs } from './globs.ts'
import { covers, type Permission, permissions } from './permissions.ts'
import type { AccessRule } from './rules.ts'

/** `unknown`: nobody said who asks. An id that is absent beside another type is one that the entry does not tell. */
export interface AskingActor {
  readonly type: ActorType | 'unknown'
  readonly id?: string | undefined
}

/**
 * A key by its names · `unknown` before the call is made · `keys`, the call that lists them, which names none · `keystore`, no key
 * at all · `untold` by the entry.
 */
export type AskedKey =
  | { readonly slug?: string; readonly identity?: string }
  | 'unknown'
  | 'keys'
  | 'keystore'
  | 'untold'

/** An address in its one spelling, or the network that is kept of it · `unknown`: not said, or no address · `untold` by the entry. */
export type AskingAddress = { readonly address: string } | { readonly network: string } | 'unknown' | 'untold'

export interface Question {
  readonly actor: AskingActor | 'untold'
  readonly key: AskedKey
  readonly clientIp: AskingAddress
  /** Ms since the epoch. */
  readonly at: number | 'untold'
  readonly project: string | undefined
  readonly region: string | undefined
}

export interface Judgement {
  readonly verdict: 'allowed' | 'refused' | 'unclear'
  /** Which deny refused; absent where no allow matched. */
  readonly rule?: string
}

export interface RuleSet {
  /** Whether any rule looks at the address, or at the time. */
  readonly asksAddress: boolean
  readonly asksTime: boolean
  judge(permission: Permission, question: Question): Judgement
}

type Match = 'yes' | 'no' | 'unclear'
type Condition = (question: Question) => Match

interface CompiledRule {
  readonly conditions: readonly Condition[]
  readonly refusal: Judgement
}

interface Candidates {
  readonly denies: readonly CompiledRule[]
  readonly allows: readonly CompiledRule[]
}

const allowed: Judgement = Object.freeze({ verdict: 'allowed' })
const unclear: Judgement = Object.freeze({ verdict: 'unclear' })
/** No allow matched. */
const refusedByDefault: Judgement = Object.freeze({ verdict: 'refused' })

/** Of rules that {@link checkRules} has looked at. */
export function compileRules(rules: readonly AccessRule[]): RuleSet {
  const compiled = rules.map((rule) => ({ rule, ready: compileRule(rule) }))
  const of = (effect: AccessRule['effect'], permission: Permission) =>
    compiled
      .filter(({ rule }) => rule.effect === effect && rule.actions.some((name) => covers(effect, name, permission)))
      .map(({ ready }) => ready)
  const candidates = new Map<Permission, Candidates>(
    permissions.map((permission) => [permission, { denies: of('deny', permission), allows: of('allow', permission) }]),
  )
  return {
    asksAddress: rules.some(({ networks }) => networks !== undefined),
    asksTime: rules.some(({ hours }) => hours !== undefined),
    judge(permission, question) {
      const found = candidates.get(permission)
      return found === undefined ? refusedByDefault : judge(found, question)
    },
  }
}

function judge({ denies, allows }: Candidates, question: Question): Judgement {
  let mayDeny = false
  for (const { conditions, refusal } of denies) {
    const match = matchOf(conditions, question)
    if (match === 'yes') return refusal
    if (match === 'unclear') mayDeny = true
  }
  let mayAllow = false
  for (const { conditions } of allows) {
    const match = matchOf(conditions, question)
    if (match === 'yes') return mayDeny ? unclear : allowed
    if (match === 'unclear') mayAllow = true
  }
  return mayAllow ? unclear : refusedByDefault
}

function matchOf(conditions: readonly Condition[], question: Question): Match {
  let match: Match = 'yes'
  for (const condition of conditions) {
    const met = condition(question)
    if (met === 'no') return 'no'
    if (met === 'unclear') match = 'unclear'
  }
  return match
}

function compileRule(rule: AccessRule): CompiledRule {
  const { id, effect, actors, keys, projects, regions, networks, hours } = rule
  // The cheap ones first.
  const conditions = [actorCondition(actors), keyCondition(compileGlobs(keys), effect)]
  if (projects !== undefined) conditions.push(scopeCondition(projects, 'project'))
  if (regions !== undefined) conditions.push(scopeCondition(regions, 'region'))
  if (networks !== undefined) conditions.push(networkCondition(networks, effect))
  if (hours !== undefined) conditions.push(hourCondition(hoursTest(`${id}.hours`, hours)))
  return { conditions, refusal: Object.freeze({ verdict: 'refused', rule: id }) }
}

function actorCondition(patterns: readonly string[]): Condition {
  const everyone = patterns.includes('*')
  const nobody = patterns.includes('unknown')
  const ids = new Map<string, string[]>()
  for (const pattern of patterns.filter((text) => text.includes(':'))) {
    const at = pattern.indexOf(':')
    const type = pattern.slice(0, at)
    ids.set(type, [...(ids.get(type) ?? []), pattern.slice(at + 1)])
  }
  const globs = new Map([...ids].map(([type, ofType]) => [type, compileGlobs(ofType)]))
  return ({ actor }) => {
    if (actor === 'untold') return everyone && nobody ? 'yes' : 'unclear'
    if (actor.type === 'unknown') return yes(nobody)
    if (everyone) return 'yes'
    const ofType = globs.get(actor.type)
    if (ofType === undefined) return 'no'
    if (actor.id === undefined) return ofType.all ? 'yes' : 'unclear'
    return yes(ofType.matches(actor.id))
  }
}

function keyCondition(patterns: Globs, effect: AccessRule['effect']): Condition {
  return ({ key }) => {
    if (patterns.all) return 'yes'
    if (typeof key === 'object') return yes(isNamed(patterns, key.slug) || isNamed(patterns, key.identity))
    if (key === 'untold') return 'unclear'
    // It may be any key: a deny must not be passed by that. Of many, each is judged for itself when they are known.
    if (key === 'unknown') return yes(effect === 'deny')
    return yes(key === 'keys' && effect === 'allow')
  }
}

function isNamed(patterns: Globs, name: string | undefined): boolean {
  return name !== undefined && patterns.matches(name)
}

function scopeCondition(patterns: readonly string[], field: 'project' | 'region'): Condition {
  const globs = compileGlobs(patterns)
  return (question) => yes(isNamed(globs, question[field]))
}

function networkCondition(texts: readonly string[], effect: AccessRule['effect']): Condition {
  const networks = parseNetworks('networks', texts)
  return ({ clientIp }) => {
    if (clientIp === 'unknown') return yes(effect === 'deny')
    if (clientIp === 'untold') return 'unclear'
    if ('address' in clientIp) return yes(inNetworks(networks, clientIp.address))
    const kept = parseNetworks('clientIp', [clientIp.network])
    const [inside = ''] = clientIp.network.split('/', 1)
    const bits = kept[0]?.prefix ?? 0
    if (networks.some((network) => network.prefix <= bits && inNetworks([network], inside))) return 'yes'
    // Networks that lie within what is kept of the address.
    return texts.some((text) => inNetworks(kept, text.split('/', 1)[0] ?? '')) ? 'unclear' : 'no'
  }
}

const minute = 60_000

/** Asking the time zone costs more than all else here, and the hour is the same for a minute. */
function hourCondition(isWithin: (now: number) => boolean): Condition {
  let asked = Number.NaN
  let answer: Match = 'no'
  return ({ at }) => {
    if (at === 'untold') return 'unclear'
    const now = Math.floor(at / minute)
    if (now !== asked) {
      answer = yes(isWithin(at))
      asked = now
    }
    return answer
  }
}

function yes(isMet: boolean): Match {
  return isMet ? 'yes' : 'no'
}
