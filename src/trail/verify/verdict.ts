/** What verifying a trail ends in. */
import { engine } from '#engine'
import { emptyTree } from '../tree/tree.ts'
import type { Anchor, AnchorKind } from './anchors.ts'

/**
 * `rolled-back`: an anchor covers more entries than there are. `forked`: an anchor covers other entries. `unverifiable`: a
 * key, an anchor or a format is missing to tell, which is not tampering.
 */
export type VerdictKind = 'valid' | 'unverifiable' | 'rolled-back' | 'forked' | 'tampered'

export interface InstanceVerdict {
  readonly instance: string
  readonly verdict: VerdictKind
  /**
   * The strongest of `anchors`: what the verdict rests on besides the key. `none`: whoever has machine and key could have
   * rewritten the trail.
   */
  readonly anchor: AnchorKind | 'none'
  /** All that were given and are of this trail. */
  readonly anchors: readonly Anchor[]
  readonly origin?: string
  /** The key that signs now. */
  readonly vkey?: string
  /** Entries that are as they were signed: all of them, or those before `index`. */
  readonly size: bigint
  /** RFC 6962 root over them. */
  readonly root: Uint8Array
  /** Entries below this index were pruned, and an entry says so. */
  readonly prunedBelow?: bigint
  /** Where not all was read, of an archive or from a pin on: the first entry that was, and how many bytes. */
  readonly read?: { readonly from: bigint; readonly bytes: number }
  /** What follows the last good commit line, beyond the published checkpoint: a batch under way, or torn by a crash. */
  readonly unsignedTail?: { readonly bytes: number; readonly segment: string }
  /** What is wrong, and the first entry, segment file and line (from 1) that it concerns, where there is a place. */
  readonly problem?: string
  readonly index?: bigint
  /** A root tells which batch was changed, not which entry of it: the last one that `problem` may concern. */
  readonly lastIndex?: bigint
  readonly segment?: string
  readonly line?: number
  /** For people: what this verdict means. */
  readonly note: string
}

/** The worst of the instances' verdicts (the first of the worst), and all of them. */
export interface Verdict extends InstanceVerdict {
  readonly instances: readonly InstanceVerdict[]
}

/** From the best to the worst. */
const kinds: readonly VerdictKind[] = ['valid', 'unverifiable', 'rolled-back', 'forked', 'tampered']

/** Undefined when there are none. */
export function worstOf(instances: readonly InstanceVerdict[]): Verdict | undefined {
  const worst = instances.toSorted((a, b) => kinds.indexOf(b.verdict) - kinds.indexOf(a.verdict))[0]
  return worst && { ...worst, instances }
}

/** No entry, no anchor. */
export const nothing: Pick<InstanceVerdict, 'anchor' | 'anchors' | 'size' | 'root'> = {
  anchor: 'none',
  anchors: [],
  size: 0n,
  root: emptyTree(engine).root(),
}

/** What was found wrong, and where, as far as that can be told. */
export interface Problem {
  readonly problem: string
  readonly index?: bigint
  readonly lastIndex?: bigint
  readonly segment?: string
  readonly line?: number
}

/** How a verdict ends; the rest of it says how far it was true. */
export type Conclusion = Pick<InstanceVerdict, 'verdict' | 'note'> & Partial<Problem>

export function tampered(problem: Problem): Conclusion {
  const note =
    problem.index === undefined
      ? 'this is not as its writer left it'
      : 'from here on this is not as its writer left it; what stands before is'
  return { verdict: 'tampered', ...problem, note }
}

export function unverifiable(problem: string, note: string): Conclusion {
  return { verdict: 'unverifiable', problem, note }
}
