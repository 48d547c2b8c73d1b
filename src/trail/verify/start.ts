/** @node Where going through a trail begins: at its first entry, or behind hashes that stand for what is not read. */
import { engine } from '#engine'
import { KmsError } from '../../model/errors.ts'
import type { FileSystem } from '../../storage/filesystem.ts'
import type { Layout, Segment } from '../layout.ts'
import { type Hashes, openHashes, treeAt } from '../tree/hashes.ts'
import { consistencyProof, verifyConsistency } from '../tree/proofs.ts'
import { emptyTree, type Tree } from '../tree/tree.ts'

export interface Start {
  /** Before the first of `segments`. Where it does not come from there, only a signed root behind it vouches for it. */
  readonly tree: Tree
  readonly segments: readonly Segment[]
  /** Of the entries that are not read. */
  readonly hashes?: Hashes
}

export interface StartOptions {
  readonly fs: FileSystem
  readonly layout: Layout
  readonly segments: readonly Segment[]
  /** Entries that something else vouches for: what lies whole segments before is not read. 0 by default. */
  readonly knownSize?: bigint
}

/** Undefined when the hashes of the entries before the first segment are gone. Errors: `PROVIDER_UNAVAILABLE`. */
export async function startOf({ fs, layout, segments, knownSize = 0n }: StartOptions): Promise<Start | undefined> {
  const at = Math.max(
    0,
    segments.findLastIndex(({ first }) => first <= knownSize),
  )
  const size = segments[at]?.first ?? 0n
  if (size === 0n) return { tree: emptyTree(engine), segments }
  try {
    const hashes = await openHashes({ fs, engine, layout, size })
    return { tree: await treeAt(engine, hashes, size), segments: segments.slice(at), hashes }
  } catch (error) {
    if (error instanceof KmsError && error.code === 'INTERNAL') return undefined
    throw error
  }
}

export interface EarlierRoot {
  readonly size: bigint
  readonly root: Uint8Array
}

/** Whether the tree before the first entry read began with those of `earlier`: the hashes must lead from the one to the other. */
export async function leadsTo({ tree, hashes }: Start, { size, root }: EarlierRoot): Promise<boolean> {
  if (hashes === undefined || size === 0n) return false
  try {
    const proof = await consistencyProof(engine, hashes, { from: size, to: tree.size })
    return verifyConsistency(engine, { from: size, fromRoot: root, to: tree.size, toRoot: tree.root(), proof })
  } catch (error) {
    if (error instanceof KmsError && error.code === 'INTERNAL') return false
    throw error
  }
}
