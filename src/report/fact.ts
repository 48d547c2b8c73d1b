/** An entry as the collectors of a review see it: looked at once, because a trail that was tampered with may hold anything. */
import type { AuditEntry } from '../model/entry.ts'

export interface Fact {
  readonly entry: AuditEntry
  /** Directory of the trail that holds it. */
  readonly instance: string
  readonly index: bigint
  /** `createdAt`, ms since the epoch. */
  readonly at: number
  /** In the time reviewed; what came before is shown too. */
  readonly within: boolean
  readonly action: string
  readonly isResult: boolean
  readonly outcome: string
  /** The answer to a call of the KMS: what use, change and refusal are counted by. */
  readonly isCall: boolean
  /** Refusals that stand in this one entry: 1, but for joined ones. */
  readonly weight: number
  /** Identity of a key that was found; undefined where nobody knows whether there is such a key. */
  readonly key: string | undefined
  /** Of a call: what was asked for. */
  readonly asked: string | undefined
  /** Type and id, as in `serviceAccount:billing`, or `unknown`. */
  readonly actor: string
  /** What the intent told that this result of recovery closes; the result itself tells little. */
  readonly intent: AuditEntry | undefined
}

const longest = 256

/** Makes facts of entries, one after another. */
export function factReader(): (
  read: Pick<Fact, 'entry' | 'instance' | 'index'>,
  when: Pick<Fact, 'at' | 'within'>,
) => Fact {
  const nameOf = actorNames()
  // Written out: this is made for each entry of a trail, and a spread costs more than all the rest of it.
  return ({ entry, instance, index }, { at, within }) => {
    const { resourceType } = entry
    const isKey = resourceType === 'kms_key'
    const asked = isKey ? textOf(entry.resourceIdentity) : undefined
    const isResult = entry.phase === 'result'
    const joined = entry.details?.joined
    return {
      entry,
      instance,
      index,
      at,
      within,
      action: textOf(entry.action) ?? 'unknown',
      isResult,
      outcome: textOf(entry.outcome) ?? 'unknown',
      isCall: isResult && (isKey || resourceType === 'kms_keystore'),
      weight: joined === undefined ? 1 : (countOf(joined) ?? 1),
      // What was resolved tells its slug besides: a refused call may name a key that is none.
      key: entry.keySlug === undefined ? undefined : asked,
      asked,
      actor: nameOf(textOf(entry.actor?.type), textOf(entry.actor?.id)),
      intent: undefined,
    }
  }
}

const mostNames = 50_000

/** One text an actor: a text that is made anew is hashed anew by every table that it is looked up in. */
function actorNames(): (type: string | undefined, id: string | undefined) => string {
  const known = new Map<string, { readonly type: string; readonly name: string }>()
  return (type, id) => {
    if (type === undefined || id === undefined) return 'unknown'
    const last = known.get(id)
    if (last?.type === type) return last.name
    const name = `${type}:${id}`
    if (known.size >= mostNames) known.clear()
    known.set(id, { type, name })
    return name
  }
}

/** Text as it may stand in a row; undefined for what is none. What is long is cut: rows are kept. */
export function textOf(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  return value.length <= longest ? value : `${value.slice(0, longest)}…`
}

/** A whole number of 0 or more. */
export function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

/** RFC 3339, UTC. */
export function momentText(at: number): string {
  return new Date(at).toISOString()
}
