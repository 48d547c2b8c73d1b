/** The seam of a rule: what it is called, which entries it is shown, and how it looks at them. */
import type { AuditEntry, Phase } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import type { Example } from './example.ts'
import type { Level, Sighting } from './finding.ts'
import type { Tools } from './tools.ts'

/** An entry as rules see it, with what most of them ask for found once. */
export interface Seen {
  readonly entry: AuditEntry
  /** `createdAt`, ms since the epoch. */
  readonly at: number
  /** Type and id, as in `serviceAccount:billing`; undefined where the entry names nobody. */
  readonly actor: string | undefined
  /** Identity of the key; of one that does not exist, what was asked for. Undefined where the entry is about no key. */
  readonly key: string | undefined
  /** What to call that key: its slug, else its identity. */
  readonly keyName: string | undefined
  /** Actor and key as one text, for tables of who does what with which key; an unknown actor is `unknown`. Undefined without a key. */
  readonly pair: string | undefined
  /** Refusals that stand in this one entry: 1, but for joined ones. */
  readonly weight: number
  /** Running numbers that are missing before this entry. */
  readonly missed: number
  /** By the entries' time since the entry before of the same writer, below 0 where its clock was set back; undefined for its first. */
  readonly sinceMs: number | undefined
}

/** A rule at work. Time follows the entries, also when it steps back. */
export interface Watch {
  take(seen: Seen): void
  /** Called when the time has come that it asked for with `tools.wake`; `now` is that time. */
  wake?(now: number): void
}

export interface RuleFacts {
  /** Such as `export`: the name of its file. */
  readonly id: string
  readonly title: string
  /** Of its findings, unless one says otherwise. */
  readonly level: Level
  /** MITRE ATT&CK techniques, such as `T1552.004`. */
  readonly attack: readonly string[]
  /** What it is good for. */
  readonly why: string
  /** What is found besides, with no harm in it. */
  readonly falsePositives: readonly string[]
  /** What to do about a finding, for whoever is woken by it. */
  readonly whatToDo: string
  /** What it is shown: `kms.decrypt`, or a prefix such as `kms.*`. */
  readonly actions: readonly string[]
  /** Only `result` by default. */
  readonly phases?: readonly Phase[]
  /** What must be found, and what must not. */
  readonly examples: readonly Example[]
}

/** A value of a parameter: JSON. A duration is a text such as `'15m'`. */
export type Parameter = boolean | number | string | readonly Parameter[] | { readonly [name: string]: Parameter }
export type Parameters = { readonly [name: string]: Parameter }

export interface Rule extends RuleFacts {
  readonly parameters: Parameters
  /**
   * The same rule with some of its parameters changed.
   *
   * @throws KmsError `INVALID_INPUT` for a parameter that it has not, or a value that it cannot have.
   */
  withParameters(changed: Parameters): Rule
  /** Begins to watch, with nothing seen yet but what the tools' tables hold. */
  start(tools: Tools): Watch
}

/** How it looks: at each entry alone, or at several. */
export type Looking<P> =
  | {
      /** A pure function: what it tells of this entry, or undefined. */
      readonly sees: (seen: Seen, parameters: P) => Sighting | undefined
    }
  | {
      readonly watch: (parameters: P, tools: Tools) => Watch
    }

export type RuleDefinition<P extends Parameters> = RuleFacts & {
  /** With their defaults. */
  readonly parameters: P
  /** Throws for values that make no sense; kinds are checked already: numbers are finite and not negative. */
  readonly check?: (parameters: P) => void
} & Looking<P>

/**
 * Makes a rule.
 *
 * @example
 * ```ts
 * const nightExport = defineRule({
 *   id: 'night-export', title: 'Export at night', level: 'high', attack: ['T1552.004'],
 *   why: '…', falsePositives: [], whatToDo: '…', actions: ['kms.export'], parameters: { until: 6 },
 *   sees: ({ entry, at, keyName = '' }, { until }) =>
 *     new Date(at).getUTCHours() < until
 *       ? { subject: { key: keyName }, evidence: [entry.eventID], says: `key ${keyName} was exported at night` }
 *       : undefined,
 *   examples: [],
 * })
 * ```
 */
export function defineRule<P extends Parameters>(definition: RuleDefinition<P>): Rule {
  return ruleWith(definition, definition.parameters)
}

function ruleWith<P extends Parameters>(definition: RuleDefinition<P>, parameters: P): Rule {
  const { id, title, level, attack, why, falsePositives, whatToDo, actions, phases, examples } = definition
  return {
    ...{ id, title, level, attack, why, falsePositives, whatToDo, actions, examples, parameters },
    ...(phases !== undefined && { phases }),
    withParameters(changed) {
      for (const [name, value] of Object.entries(changed)) {
        if (!Object.hasOwn(parameters, name))
          refuse(`rule '${id}' has no parameter '${name}': it has ${Object.keys(parameters).join(', ') || 'none'}`)
        checkKind(`${id}.${name}`, value, definition.parameters[name])
      }
      // Each has the kind of its default.
      const merged = { ...parameters, ...changed } as P
      definition.check?.(merged)
      return ruleWith(definition, merged)
    },
    start(tools) {
      if ('watch' in definition) return definition.watch(parameters, tools)
      const { sees } = definition
      return {
        take(seen) {
          const sighting = sees(seen, parameters)
          if (sighting !== undefined) tools.report(sighting)
        },
      }
    },
  }
}

/** Lists and objects are the rule's own to check: their defaults are often empty. */
function checkKind(name: string, value: unknown, byDefault: unknown): void {
  const [kind, wanted] = [kindOf(value), kindOf(byDefault)]
  if (kind !== wanted) refuse(`'${name}' must be a ${wanted}`)
  if (kind === 'number' && !(Number.isFinite(value) && Number(value) >= 0))
    refuse(`'${name}' must be a number of 0 or more`)
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'list'
  return value === null ? 'null' : typeof value
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
