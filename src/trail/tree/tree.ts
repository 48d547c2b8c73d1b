/** The Merkle tree of RFC 6962 §2.1 over SHA-256, grown one leaf at a time. Keeps log2(size) hashes, never the leaves. */
import type { Engine } from '../../crypto/engine.ts'
import { KmsError } from '../../model/errors.ts'

export interface Tree {
  /** Leaves so far. */
  readonly size: bigint
  /** Adds a leaf by its hash, see {@link leafHash}. */
  append(leaf: Uint8Array): void
  /** Adds the leaf `bytes[start…end)`, see {@link leafHashWithin}; no array is made for its hash. */
  appendWithin(bytes: Uint8Array, start: number, end: number): void
  /** Root over all leaves, 32 bytes. */
  root(): Uint8Array
  /** The hashes of its perfect subtrees, largest first: what {@link treeFrom} takes. */
  peaks(): Uint8Array[]
  /** A tree of its own that stands where this one stands now. */
  copy(): Tree
}

export function emptyTree(engine: Engine): Tree {
  return treeOf(engine, { size: 0n, levels: [], hashes: new Uint8Array(hashesLength) })
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
  const hashes = new Uint8Array(hashesLength)
  peaks.forEach((peak, at) => {
    hashes.set(peak, place(at))
  })
  return treeOf(engine, { size, levels, hashes })
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

/** The perfect subtrees that make up the leaves, largest first: hash `i` stands over 2^`levels[i]` leaves. */
interface Peaks {
  readonly size: bigint
  readonly levels: number[]
  /** All in one array, from {@link place} on: an array for each would cost as much as hashing it. */
  readonly hashes: Uint8Array
}

const hashLength = 32

// One for each bit of a size, and the leaf that is being added.
const hashesLength = 1 + 65 * hashLength

/** Behind a byte that lends its room to the prefix of the first pair. */
function place(peak: number): number {
  return 1 + peak * hashLength
}

// 01 ‖ left ‖ right: hashing is synchronous, so one is enough.
const node = new Uint8Array(1 + 2 * hashLength)
const right = 1 + hashLength

function treeOf(engine: Engine, { size: before, levels, hashes }: Peaks): Tree {
  // A number beside the bigint, which would be made anew for each leaf.
  let added = 0
  const pairs: Uint8Array[] = []

  /** The byte before a peak, the peak, and the one after it. */
  function pairAt(peak: number): Uint8Array {
    const known = pairs[peak]
    if (known !== undefined) return known
    const made = hashes.subarray(peak * hashLength, place(peak + 2))
    pairs[peak] = made
    return made
  }

  /** A leaf was put behind the last peak: two subtrees of one size become one. */
  function join(): void {
    let level = 0
    let peak = levels.length
    while (levels[peak - 1] === level) {
      peak--
      level++
      const pair = pairAt(peak)
      const borrowed = pair[0] ?? 0
      pair[0] = 1
      engine.hashInto('sha256', pair, hashes, place(peak))
      pair[0] = borrowed
    }
    levels.length = peak
    levels.push(level)
    added++
  }

  return {
    get size() {
      return before + BigInt(added)
    },
    append(leaf) {
      hashes.set(leaf, place(levels.length))
      join()
    },
    appendWithin(bytes, start, end) {
      const borrowed = bytes[start - 1] ?? 0
      bytes[start - 1] = 0
      engine.hashInto('sha256', bytes.subarray(start - 1, end), hashes, place(levels.length))
      bytes[start - 1] = borrowed
      join()
    },
    root() {
      const last = levels.length - 1
      if (last < 0) return engine.hash('sha256', new Uint8Array(0))
      node[0] = 1
      copyHash(hashes, place(last), right)
      for (let peak = last - 1; peak >= 0; peak--) {
        copyHash(hashes, place(peak), 1)
        engine.hashInto('sha256', node, node, right)
      }
      return node.slice(right)
    },
    peaks: () => levels.map((_, peak) => hashes.slice(place(peak), place(peak + 1))),
    copy: () => treeOf(engine, { size: before + BigInt(added), levels: [...levels], hashes: hashes.slice() }),
  }
}

/** Into the node; byte by byte, because a view of 32 bytes costs more than they do. */
function copyHash(from: Uint8Array, at: number, to: number): void {
  for (let byte = 0; byte < hashLength; byte++) node[to + byte] = from[at + byte] ?? 0
}
