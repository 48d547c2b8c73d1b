/** The Merkle tree of RFC 6962 §2.1 over SHA-256, grown one leaf at a time. Keeps log2(size) hashes, never the leaves. */
import type { Engine } from '../crypto/engine.ts'
import { KmsError } from '../model/errors.ts'

export interface Tree {
  /** Leaves so far. */
  readonly size: bigint
  /** Adds a leaf by its hash, see {@link leafHash}. */
  append(leaf: Uint8Array): void
  /** Root over all leaves, 32 bytes. */
  root(): Uint8Array
  /** A tree of its own that stands where this one stands now. */
  copy(): Tree
}

export function emptyTree(engine: Engine): Tree {
  return treeOf(engine, { size: 0n, levels: [], hashes: [] })
}

/**
 * A tree of `size` leaves from the hashes of its perfect subtrees, largest first: one for each bit set in `size`. Errors:
 * `INTERNAL` for another number of hashes.
 */
export function treeFrom(engine: Engine, size: bigint, peaks: readonly Uint8Array[]): Tree {
  const levels: number[] = []
  for (let level = size.toString(2).length - 1; level >= 0; level--)
    if ((size >> BigInt(level)) & 1n) levels.push(level)
  if (levels.length !== peaks.length)
    throw new KmsError(
      'INTERNAL',
      `a tree of ${size} leaves has ${levels.length} perfect subtrees, not ${peaks.length}`,
    )
  return treeOf(engine, { size, levels, hashes: [...peaks] })
}

/** SHA-256(00 ‖ leaf), 32 bytes. */
export function leafHash(engine: Engine, leaf: Uint8Array): Uint8Array {
  const prefixed = new Uint8Array(1 + leaf.length)
  prefixed.set(leaf, 1)
  return engine.hash('sha256', prefixed)
}

/**
 * {@link leafHash} of `bytes[start…end)` without copying it: the byte before `start`, which must exist, is set to the
 * prefix for the moment of hashing.
 */
export function leafHashWithin(engine: Engine, bytes: Uint8Array, start: number, end: number): Uint8Array {
  const before = bytes[start - 1] ?? 0
  bytes[start - 1] = 0
  const hash = engine.hash('sha256', bytes.subarray(start - 1, end))
  bytes[start - 1] = before
  return hash
}

/** The perfect subtrees that make up the leaves, largest first: `hashes[i]` stands over 2^`levels[i]` leaves. */
interface Peaks {
  size: bigint
  readonly levels: number[]
  readonly hashes: Uint8Array[]
}

// 01 ‖ left ‖ right: hashing is synchronous, so one is enough.
const node = new Uint8Array(65)
node[0] = 1

function nodeHash(engine: Engine, left: Uint8Array, right: Uint8Array): Uint8Array {
  node.set(left, 1)
  node.set(right, 33)
  return engine.hash('sha256', node)
}

function treeOf(engine: Engine, peaks: Peaks): Tree {
  const { levels, hashes } = peaks
  return {
    get size() {
      return peaks.size
    },
    append(leaf) {
      let hash = leaf
      let level = 0
      while (levels.at(-1) === level) {
        levels.pop()
        hash = nodeHash(engine, hashes.pop() ?? hash, hash)
        level++
      }
      levels.push(level)
      hashes.push(hash)
      peaks.size++
    },
    root() {
      let root = hashes.at(-1) ?? engine.hash('sha256', new Uint8Array(0))
      for (let at = hashes.length - 2; at >= 0; at--) root = nodeHash(engine, hashes[at] ?? root, root)
      return root
    },
    copy: () => treeOf(engine, { size: peaks.size, levels: [...levels], hashes: [...hashes] }),
  }
}
