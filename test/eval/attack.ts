/** What an attack is, and how several are woven into one life: each with its own odds, time and victims. */
import type { EntryContext } from '../../src/model/entry.ts'
import { day } from './life/calendar.ts'
import type { Company, Everybody } from './life/company.ts'
import type { KeyState } from './life/keys.ts'
import type { Mark, Variant } from './life/mark.ts'
import type { Odds } from './life/odds.ts'
import type { Person } from './life/people.ts'
import type { KeyUse, Service } from './life/services.ts'
import type { Persona, World } from './life/world.ts'

export interface Attack {
  readonly kind: string
  /** What gives it away is something that is not there. */
  readonly isAbsence?: true
  /** Days of the month between which it begins. What stands out only against habit needs two weeks before it. */
  readonly begins: readonly [number, number]
  /** Puts what is done on the agenda. */
  readonly plan: (stage: Stage) => void
}

export interface Stage extends Everybody {
  readonly world: World
  readonly company: Company
  readonly odds: Odds
  readonly mark: Mark
  readonly variant: Variant
  /** When it begins. */
  readonly from: number
  /** A service and one of its keys, that no other attack has. */
  victim(fits: (use: KeyUse, service: Service) => boolean): Victim
  /** A key that no other attack has. */
  prey(fits: (key: KeyState) => boolean): KeyState
  /** `subtle` or `loud` by the variant. */
  either<T>(subtle: T, loud: T): T
}

export interface Victim {
  readonly service: Service
  readonly use: KeyUse
  readonly key: KeyState
}

export interface Playing extends Everybody {
  readonly company: Company
  readonly attacks: readonly Attack[]
}

export function playAttacks(world: World, { attacks, services: all, ...others }: Playing): void {
  // Those that are there from the first day on.
  const parts = { ...others, services: all.filter(({ plan }) => plan.from === undefined) }
  const taken = new Set<string>()
  for (const { kind, isAbsence = false, begins, plan } of attacks) {
    const odds = world.fork(`attack ${kind}`)
    const variant = odds.pick(['subtle', 'loud'] as const)
    const mark: Mark = { kind, variant, isAbsence, eventIDs: [], aftermath: [] }
    world.marks.push(mark)
    const from = world.begins + Math.floor(odds.between(...begins) * day)
    plan({ world, odds, mark, variant, from, victim, prey, either, ...parts })

    function victim(fits: (use: KeyUse, service: Service) => boolean): Victim {
      const found = parts.services.flatMap((service) =>
        service.plan.uses
          .filter((use) => !taken.has(use.key) && fits(use, service))
          .map((use) => ({ service, use, key: world.key(use.key) })),
      )
      if (found.length === 0) throw new Error(`nobody is left for ${kind}`)
      const chosen = odds.pick(found)
      for (const { key } of chosen.service.plan.uses) taken.add(key)
      return chosen
    }

    function prey(fits: (key: KeyState) => boolean): KeyState {
      const found = [...world.keys.values()].filter((key) => !taken.has(key.slug) && fits(key))
      if (found.length === 0) throw new Error(`no key is left for ${kind}`)
      const chosen = odds.pick(found)
      taken.add(chosen.slug)
      return chosen
    }

    function either<T>(subtle: T, loud: T): T {
      return variant === 'subtle' ? subtle : loud
    }
  }
}

/** Somebody else under the persona's name: from elsewhere, or with something else. */
export function impostor(persona: Persona, context: EntryContext): Persona {
  const { actor, project, route } = persona
  return { actor, project, route, context: () => context }
}

/** Addresses that are nobody's (RFC 5737, RFC 3849). */
export function outsideAddress(odds: Odds): string {
  const net = odds.pick(['203.0.113.', '198.51.100.', '192.0.2.', '2001:db8:51::'])
  return `${net}${odds.whole(10, 99)}`
}

export const foreignAgents: readonly string[] = [
  'python-requests/2.32.3',
  'curl/8.11.0',
  'Go-http-client/2.0',
  'okhttp/4.12.0',
]

/** A person of the company who has nothing to do with changing keys. */
export function insider({ people, odds }: Stage): Person {
  return odds.pick(people.filter(({ role, from, until }) => role === 'developer' && from === 0 && until > 30))
}

export function administrator({ people, odds }: Stage): Person {
  return odds.pick(people.filter(({ role }) => role === 'keyAdministrator'))
}

/** `count` moments in `lasts` milliseconds from `from` on, in order. */
export function moments(
  odds: Odds,
  { from, lasts, count }: { readonly from: number; readonly lasts: number; readonly count: number },
) {
  return Array.from({ length: count }, () => Math.floor(from + odds.next() * lasts)).sort((a, b) => a - b)
}
