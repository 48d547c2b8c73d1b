/**
 * Inclusion and consistency proofs of RFC 6962 §2.1: made from the hashes of perfect subtrees, checked by the algorithms
 * of RFC 9162 §2.1.3.2 and §2.1.4.2. Hashes have 32 bytes.
 */
import { equal } from '../../crypto/bytes.ts'
import type { Engine } from '../../crypto/engine.ts'
import { KmsError } from '../../model/errors.ts'

/** Where a proof's hashes come from. */
export interface Nodes {
  /** Hash over the leaves from index · 2^level up to, not including, (index + 1) · 2^level. */
  node(level: number, index: bigint): Promise<Uint8Array>
}

// 01 ‖ left ‖ right: hashing is synchronous, so one is enough.
const pair = new Uint8Array(65)
pair[0] = 1

/** SHA-256(01 ‖ left ‖ right), RFC 6962 §2.1. */
export function nodeHash(engine: Engine, left: Uint8Array, right: Uint8Array): Uint8Array {
  pair.set(left, 1)
  pair.set(right, 33)
  return engine.hash('sha256', pair)
}

/**
 * The hashes beside the path from leaf `index` to the root over the first `size` leaves, the leaf's sibling first. Errors:
 * `INVALID_INPUT` for an index that is not below `size`.
 */
export async function inclusionProof(
  engine: Engine,
  nodes: Nodes,
  { index, size }: { readonly index: bigint; readonly size: bigint },
): Promise<Uint8Array[]> {
  if (index < 0n || index >= size) throw new KmsError('INVALID_INPUT', `a tree of ${size} leaves has no leaf ${index}`)
  const beside: Range[] = []
  for (let range: Range = { start: 0n, end: size }; range.end - range.start > 1n; ) {
    const middle = middleOf(range)
    const left = { start: range.start, end: middle }
    const right = { start: middle, end: range.end }
    beside.push(index < middle ? right : left)
    range = index < middle ? left : right
  }
  return hashesOf(engine, nodes, beside.reverse())
}

/**
 * What proves that the first `from` of `to` leaves are those of the tree of size `from`; empty when the sizes are equal.
 * Errors: `INVALID_INPUT` unless 0 < from ≤ to: a proof from the empty tree would prove nothing.
 */
export async function consistencyProof(
  engine: Engine,
  nodes: Nodes,
  { from, to }: { readonly from: bigint; readonly to: bigint },
): Promise<Uint8Array[]> {
  if (from <= 0n || from > to)
    throw new KmsError('INVALID_INPUT', `there is no consistency proof from ${from} to ${to} leaves`)
  const parts: Range[] = []
  let range: Range = { start: 0n, end: to }
  // RFC 6962 §2.1.2, SUBPROOF: down to the subtree that ends at `from`, noting what lies beside.
  while (range.end > from) {
    const middle = middleOf(range)
    const left = { start: range.start, end: middle }
    const right = { start: middle, end: range.end }
    parts.push(from <= middle ? right : left)
    range = from <= middle ? left : right
  }
  // The whole old tree is known to whoever checks; a part of it is not.
  if (range.start > 0n) parts.push(range)
  return hashesOf(engine, nodes, parts.reverse())
}

/** Leaves from `start` up to, not including, `end`. */
interface Range {
  readonly start: bigint
  readonly end: bigint
}

/** RFC 6962 §2.1: the left part has the largest power of two below the number of leaves. */
function middleOf({ start, end }: Range): bigint {
  return start + (1n << BigInt((end - start - 1n).toString(2).length - 1))
}

async function hashesOf(engine: Engine, nodes: Nodes, ranges: readonly Range[]): Promise<Uint8Array[]> {
  const hashes: Uint8Array[] = []
  for (const range of ranges) hashes.push(await rangeHash(engine, nodes, range))
  return hashes
}

/** Of a range whose start is a multiple of a power of two that is not below its length, as all ranges here are. */
async function rangeHash(engine: Engine, nodes: Nodes, range: Range): Promise<Uint8Array> {
  const peaks: Uint8Array[] = []
  for (let { start, end } = range; start < end; ) {
    const level = (end - start).toString(2).length - 1
    peaks.push(await nodes.node(level, start >> BigInt(level)))
    start += 1n << BigInt(level)
  }
  return peaks.reduceRight((right, left) => nodeHash(engine, left, right))
}

export interface Inclusion {
  readonly index: bigint
  readonly size: bigint
  readonly leafHash: Uint8Array
  readonly root: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/** Whether `leafHash` is leaf `index` of the tree with this size and root. RFC 9162 §2.1.3.2. */
export function verifyInclusion(engine: Engine, { index, size, leafHash, root, proof }: Inclusion): boolean {
  if (index < 0n || index >= size || !proof.every(isHash)) return false
  let node = index
  let last = size - 1n
  let hash = leafHash
  for (const beside of proof) {
    if (last === 0n) return false
    if (isOdd(node) || node === last) {
      hash = nodeHash(engine, beside, hash)
      while (!isOdd(node) && node !== 0n) {
        node >>= 1n
        last >>= 1n
      }
    } else {
      hash = nodeHash(engine, hash, beside)
    }
    node >>= 1n
    last >>= 1n
  }
  return last === 0n && equal(hash, root)
}

export interface Consistency {
  readonly from: bigint
  readonly fromRoot: Uint8Array
  readonly to: bigint
  readonly toRoot: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/**
 * Whether the tree of size `to` begins with the leaves of the tree of size `from`. RFC 9162 §2.1.4.2. False from size 0 to
 * another: nothing is proven there, and what it means is for the caller to say.
 */
export function verifyConsistency(engine: Engine, { from, fromRoot, to, toRoot, proof }: Consistency): boolean {
  if (from === to) return proof.length === 0 && equal(fromRoot, toRoot)
  if (from <= 0n || from > to || !proof.every(isHash)) return false
  let node = from - 1n
  let last = to - 1n
  while (isOdd(node)) {
    node >>= 1n
    last >>= 1n
  }
  // A perfect old tree is itself the first hash, and is not repeated in the proof.
  const [first, ...rest] = isPowerOfTwo(from) ? [fromRoot, ...proof] : proof
  if (first === undefined) return false
  let oldHash = first
  let newHash = first
  for (const beside of rest) {
    if (last === 0n) return false
    if (isOdd(node) || node === last) {
      oldHash = nodeHash(engine, beside, oldHash)
      newHash = nodeHash(engine, beside, newHash)
      while (!isOdd(node) && node !== 0n) {
        node >>= 1n
        last >>= 1n
      }
    } else {
      newHash = nodeHash(engine, newHash, beside)
    }
    node >>= 1n
    last >>= 1n
  }
  return last === 0n && equal(oldHash, fromRoot) && equal(newHash, toRoot)
}

function isHash(bytes: Uint8Array): boolean {
  return bytes.length === 32
}

function isOdd(value: bigint): boolean {
  return (value & 1n) === 1n
}

function isPowerOfTwo(value: bigint): boolean {
  return (value & (value - 1n)) === 0n
}
