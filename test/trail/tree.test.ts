/** @node The tree against published answers, and against its definition. */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { engine as noble } from '../../src/crypto/noble.ts'
import { engine } from '../../src/crypto/node.ts'
import { emptyTree, leafHash, leafHashWithin, treeFrom } from '../../src/trail/tree/tree.ts'
import { noShared, sharedJson } from '../shared.ts'

interface Answers {
  readonly emptyRoot: string
  readonly entries: { readonly seed: string }
  readonly leaves: readonly { readonly entry: string; readonly leafHash: string }[]
  readonly roots: readonly { readonly size: number; readonly root: string }[]
  readonly ctReferenceLeaves: readonly {
    readonly entryHex: string
    readonly leafHash: string
    readonly rootAfter: string
  }[]
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

// RFC 6962 §2.1, word for word and as slow as that is.
function rootByDefinition(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves
  if (only === undefined) return createHash('sha256').digest()
  if (leaves.length === 1) return only
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  const node = createHash('sha256').update(Uint8Array.of(1))
  return node
    .update(rootByDefinition(leaves.slice(0, split)))
    .update(rootByDefinition(leaves.slice(split)))
    .digest()
}

describe('tree', () => {
  test('gives the published leaf hashes and roots at every size', { skip: noShared }, () => {
    const { leaves, roots, entries, emptyRoot } = sharedJson<Answers>('vectors/tlog.json')
    for (const { entry, leafHash: expected } of leaves) {
      strictEqual(base64(leafHash(engine, Buffer.from(entry))), expected)
    }
    const tree = emptyTree(engine)
    strictEqual(hex(tree.root()), emptyRoot)
    let checked = 0
    for (const { size, root } of roots) {
      for (let at = Number(tree.size); at < size; at++) {
        tree.append(leafHash(engine, Buffer.from(`${entries.seed}:${at}:${'x'.repeat((at * 7) % 97)}`)))
      }
      strictEqual(tree.size, BigInt(size))
      strictEqual(base64(tree.root()), root, `size ${size}`)
      checked++
    }
    ok(checked > 70)
  })

  test('gives the answers of the certificate transparency reference, on both engines', { skip: noShared }, () => {
    const { ctReferenceLeaves } = sharedJson<Answers>('vectors/tlog.json')
    ok(ctReferenceLeaves.length > 0)
    for (const one of [engine, noble]) {
      const tree = emptyTree(one)
      for (const { entryHex, leafHash: expected, rootAfter } of ctReferenceLeaves) {
        const leaf = leafHash(one, Buffer.from(entryHex, 'hex'))
        strictEqual(hex(leaf), expected)
        tree.append(leaf)
        strictEqual(hex(tree.root()), rootAfter)
      }
    }
  })

  test('is the tree of the definition at every size up to 300', () => {
    const tree = emptyTree(engine)
    const leaves: Uint8Array[] = []
    for (let at = 0; at < 300; at++) {
      const leaf = leafHash(engine, Uint8Array.of(at & 255, at >> 8))
      leaves.push(leaf)
      tree.append(leaf)
      deepStrictEqual(hex(tree.root()), hex(rootByDefinition(leaves)), `size ${at + 1}`)
    }
  })

  test('a copy goes its own way', () => {
    const tree = emptyTree(engine)
    tree.append(leafHash(engine, Uint8Array.of(1)))
    const before = hex(tree.root())
    const copy = tree.copy()
    for (let at = 0; at < 5; at++) copy.append(leafHash(engine, Uint8Array.of(at)))
    strictEqual(hex(tree.root()), before)
    strictEqual(tree.size, 1n)
    strictEqual(copy.size, 6n)
  })

  test('goes on from its peaks, from bytes or from hashes, on both engines', () => {
    const line = Uint8Array.of(9, 1, 2, 3)
    for (const one of [engine, noble]) {
      const tree = emptyTree(one)
      for (let at = 0; at < 70; at++) {
        const other = treeFrom(one, tree.size, tree.peaks())
        strictEqual(other.size, BigInt(at))
        deepStrictEqual(other.root(), tree.root())
        other.append(leafHash(one, line.subarray(1)))
        tree.appendWithin(line, 1, 4)
        deepStrictEqual(other.root(), tree.root(), `size ${at + 1}`)
        deepStrictEqual(line, Uint8Array.of(9, 1, 2, 3))
      }
      throws(() => treeFrom(one, 70n, tree.peaks().slice(1)), /70 leaves has 3 perfect subtrees, not 2/)
    }
  })

  test('a leaf hashed in place is the same, and its surroundings stay as they were', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(199), fc.nat(199), (bytes, a, b) => {
        const start = 1 + (Math.min(a, b) % bytes.length)
        const end = Math.max(start, Math.min(bytes.length, Math.max(a, b)))
        const copy = bytes.slice()
        deepStrictEqual(leafHashWithin(engine, bytes, start, end), leafHash(engine, bytes.subarray(start, end)))
        deepStrictEqual(bytes, copy)
      }),
    )
  })
})
