/**
 * One text for the same actor, the same key, and the two together: the tables of all rules find a text that they have seen
 * before without reading it again, and none of them has to join two.
 */
import type { EntryActor } from '../model/entry.ts'

export interface Names {
  /** Type and id, as in `serviceAccount:billing`; undefined where the entry names nobody. */
  readonly actor: string | undefined
  readonly key: string | undefined
  /** Both, as in `serviceAccount:billing kms-1`, an unknown actor as `unknown`; undefined without a key. */
  readonly pair: string | undefined
}

/** What one actor is called, alone and with each key. */
interface Known {
  readonly type: string | undefined
  readonly alone: Names
  readonly withKeys: Map<string, Names>
}

/** Names come from a file: how many there are is not ours to trust. */
const most = 50_000

export function nameCache(): (actor: EntryActor | undefined, key: string | undefined) => Names {
  const byID = new Map<string | undefined, Known[]>()
  let size = 0
  return (actor, key) => {
    const known = knownOf(textOf(actor?.id), textOf(actor?.type))
    const name = textOf(key)
    if (name === undefined) return known.alone
    const both = known.withKeys.get(name)
    if (both !== undefined) return both
    makeRoom()
    const made = { actor: known.alone.actor, key: name, pair: `${known.alone.actor ?? 'unknown'} ${name}` }
    known.withKeys.set(name, made)
    return made
  }

  function knownOf(id: string | undefined, type: string | undefined): Known {
    // Nobody is nobody, whatever its type.
    for (const one of byID.get(id) ?? none) if (id === undefined || one.type === type) return one
    makeRoom()
    const actor = id === undefined ? undefined : `${type ?? 'unknown'}:${id}`
    const made = { type, alone: { actor, key: undefined, pair: undefined }, withKeys: new Map<string, Names>() }
    byID.set(id, [...(byID.get(id) ?? none), made])
    return made
  }

  function makeRoom(): void {
    if (size >= most) byID.clear()
    size = size >= most ? 1 : size + 1
  }
}

const none: readonly Known[] = []

/** Of an entry that was tampered with, a name may be anything. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
