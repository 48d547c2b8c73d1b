/** What was done to the company, as the evaluation needs to know it. */
import type { Mark, Variant } from './life/mark.ts'

export interface Truth {
  readonly kind: string
  readonly variant: Variant
  /** RFC 3339: from the first of its entries to the last; of an absence, the time in which something is missing. */
  readonly from: string
  readonly to: string
  /** What gives it away is something that is not there: `eventIDs` are entries next to it, if any. */
  readonly isAbsence: boolean
  /** The one key that it is about. */
  readonly key?: { readonly identity: string; readonly slug: string }
  /** Id of the one actor in whose name it is done. */
  readonly actor?: string
  /** Name of the one writer whose log it is about. */
  readonly writer?: string
  /** Entries that the attack left behind, whole. */
  readonly eventIDs: readonly string[]
  /** Entries of others that are as they are because of it: an alarm about them is no false alarm. */
  readonly aftermath: readonly string[]
}

/** Throws if the attack left no trace: the generator is wrong then. */
export function truthOf(mark: Mark): Truth {
  const { kind, variant, isAbsence, from, to, key, actor, writer, eventIDs, aftermath } = mark
  if (from === undefined || to === undefined || (!isAbsence && eventIDs.length === 0))
    throw new Error(`the attack ${kind} was not played`)
  return {
    kind,
    variant,
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    isAbsence,
    ...(key && { key: { identity: key.identity, slug: key.slug } }),
    ...(actor !== undefined && { actor }),
    ...(writer !== undefined && { writer }),
    eventIDs,
    aftermath,
  }
}
