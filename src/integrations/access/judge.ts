/**
 * Rules made ready, and the one judgement for calls that are made and for calls that a trail tells of. What a trail does not
 * tell is unclear; a call that is made leaves nothing so.
 */

import type { ActorType } from '../../model/context.ts'
import { compileGlobs, type Globs } from '../../model/globs.ts'
import { hoursTest } from '../../model/hours.ts'
import { groupsOfIp } from '../../model/ip.ts'
import { inNetworks, parseNetworks } from '../../model/networks.ts'
import { covers, type Permission } from './permissions.ts'
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

/** What was said to be an address, or the network that is kept of it · `unknown`: nothing was said · `untold` by the entry. */
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
  /** Whether any rule looks at the time. */
  readonly asksTime: boolean
  judge(permission: Permission, question: Question): Judgement
}

type Match = 'yes' | 'no' | 'unclear'
type Condition = (question: Question) => Match

interface CompiledRule {
  readonly rule: AccessRule
  readonly actor: (actor: Question['actor']) => Match
  /** Made once: many actors have the same rules. */
  readonly candidates: { readonly [M in Candidate['isActor']]: Candidate }
}

/** A rule that speaks of a permission and, for all that is told, of an actor. */
interface Candidate {
  readonly isActor: Exclude<Match, 'no'>
  readonly conditions: readonly Condition[]
  readonly refusal: Judgement
}

interface Candidates {
  readonly denies: readonly Candidate[]
  readonly allows: readonly Candidate[]
}

const allowed: Judgement = Object.freeze({ verdict: 'allowed' })
const unclear: Judgement = Object.freeze({ verdict: 'unclear' })
/** No allow matched. */
const refusedByDefault: Judgement = Object.freeze({ verdict: 'refused' })

/** Actors whose rules are remembered; beyond, all are forgotten and found again. */
const mostActors = 1000
/** Likewise, of their rules all told: of each, 8 bytes. */
const mostRemembered = 1_000_000
const longestActor = 256

/** Of rules that {@link checkRules} has looked at. */
export function compileRules(rules: readonly AccessRule[]): RuleSet {
  const compiled = rules.map(compileRule)
  // Of many rules few are about one actor, and finding them costs more than all else.
  const known = new Map<string, Map<Permission, Candidates>>()
  let remembered = 0

  function candidatesOf(permission: Permission, actor: Question['actor']): Candidates {
    const name = nameOf(actor)
    if (name === undefined) return narrowed(compiled, permission, actor)
    const found = known.get(name)?.get(permission)
    if (found !== undefined) return found
    const made = narrowed(compiled, permission, actor)
    const size = made.denies.length + made.allows.length
    if (remembered + size > mostRemembered) forget()
    const ofActor = known.get(name) ?? begin(name)
    ofActor.set(permission, made)
    remembered += size
    return made
  }

  function forget(): void {
    known.clear()
    remembered = 0
  }

  function begin(name: string): Map<Permission, Candidates> {
    if (known.size >= mostActors) forget()
    const ofActor = new Map<Permission, Candidates>()
    known.set(name, ofActor)
    return ofActor
  }

  return {
    asksTime: rules.some(({ hours }) => hours !== undefined),
    judge: (permission, question) => judge(candidatesOf(permission, question.actor), question),
  }
}

/** Undefined for one that is not told in full, or is too long to be remembered. */
function nameOf(actor: Question['actor']): string | undefined {
  if (actor === 'untold') return undefined
  const { type, id } = actor
  if (type === 'unknown') return type
  return id === undefined || id.length > longestActor ? undefined : `${type}:${id}`
}

function narrowed(rules: readonly CompiledRule[], permission: Permission, actor: Question['actor']): Candidates {
  const found = { deny: [] as Candidate[], allow: [] as Candidate[] }
  for (const { rule, actor: matches, candidates } of rules) {
    if (!rule.actions.some((action) => covers(rule.effect, action, permission))) continue
    const isActor = matches(actor)
    if (isActor !== 'no') found[rule.effect].push(candidates[isActor])
  }
  return { denies: found.deny, allows: found.allow }
}

function judge({ denies, allows }: Candidates, question: Question): Judgement {
  let mayDeny = false
  for (const candidate of denies) {
    const match = matchOf(candidate, question)
    if (match === 'yes') return candidate.refusal
    if (match === 'unclear') mayDeny = true
  }
  let mayAllow = false
  for (const candidate of allows) {
    const match = matchOf(candidate, question)
    if (match === 'yes') return mayDeny ? unclear : allowed
    if (match === 'unclear') mayAllow = true
  }
  return mayAllow ? unclear : refusedByDefault
}

function matchOf({ isActor, conditions }: Candidate, question: Question): Match {
  let match: Match = isActor
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
  const conditions = [keyCondition(compileGlobs(keys), effect)]
  if (projects !== undefined) conditions.push(scopeCondition(projects, 'project'))
  if (regions !== undefined) conditions.push(scopeCondition(regions, 'region'))
  if (networks !== undefined) conditions.push(networkCondition(networks, effect))
  if (hours !== undefined) conditions.push(hourCondition(hoursTest(`${id}.hours`, hours)))
  const facts = { conditions, refusal: Object.freeze({ verdict: 'refused', rule: id } as const) }
  return {
    rule,
    actor: actorMatch(actors),
    candidates: { yes: { isActor: 'yes', ...facts }, unclear: { isActor: 'unclear', ...facts } },
  }
}

function actorMatch(patterns: readonly string[]): CompiledRule['actor'] {
  const everyone = patterns.includes('*')
  const nobody = patterns.includes('unknown')
  const ids = new Map<string, string[]>()
  for (const pattern of patterns.filter((text) => text.includes(':'))) {
    const at = pattern.indexOf(':')
    const type = pattern.slice(0, at)
    ids.set(type, [...(ids.get(type) ?? []), pattern.slice(at + 1)])
  }
  const globs = new Map([...ids].map(([type, ofType]) => [type, compileGlobs(ofType)]))
  return (actor) => {
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
    if (clientIp === 'untold') return 'unclear'
    if (clientIp === 'unknown') return yes(effect === 'deny')
    if ('address' in clientIp) {
      if (groupsOfIp(clientIp.address) === undefined) return yes(effect === 'deny')
      return yes(inNetworks(networks, clientIp.address))
    }
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
