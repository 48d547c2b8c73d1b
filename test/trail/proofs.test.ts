/** @node Inclusion and consistency proofs against published answers, and against each other. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { engine as noble } from '../../src/crypto/noble.ts'
import { engine } from '../../src/crypto/node.ts'
import {
  consistencyProof,
  inclusionProof,
  type Nodes,
  nodeHash,
  verifyConsistency,
  verifyInclusion,
} from '../../src/trail/tree/proofs.ts'
import { emptyTree, leafHash } from '../../src/trail/tree/tree.ts'
import { noShared, sharedFile, sharedJson } from '../shared.ts'
import { refused } from './entries.ts'

interface Answers {
  readonly entries: { readonly seed: string }
  readonly inclusion: readonly {
    readonly index: number
    readonly size: number
    readonly leafHash: string
    readonly root: string
    readonly proof: readonly string[]
    readonly valid: boolean | null
    readonly why?: string
  }[]
  readonly consistency: readonly {
    readonly size1: number
    readonly size2: number
    readonly root1: string
    readonly root2: string
    readonly proof: readonly string[]
    readonly valid: boolean | null
    readonly why?: string
  }[]
}

interface MoreAnswers {
  readonly inclusion: readonly {
    readonly leafIdx: string
    readonly treeSize: string
    readonly leafHash: string
    readonly root: string
    readonly proof: readonly string[] | null
    readonly wantErr: boolean
    readonly case: string
  }[]
  readonly consistency: readonly {
    readonly size1: string
    readonly size2: string
    readonly root1: string
    readonly root2: string
    readonly proof: readonly string[] | null
    readonly wantErr: boolean
    readonly case: string
  }[]
}

const bytes = (base64: string | null) => Uint8Array.from(Buffer.from(base64 ?? '', 'base64'))
const base64 = (hash: Uint8Array) => Buffer.from(hash).toString('base64')

/** The first `count` leaves of the shared sequence, or of one like it. */
function leavesOf(count: number, seed: string): Uint8Array[] {
  return Array.from({ length: count }, (_, at) =>
    leafHash(engine, Buffer.from(`${seed}:${at}:${'x'.repeat((at * 7) % 97)}`)),
  )
}

/** Every node by its definition, whatever else there is. */
function nodesOver(leaves: readonly Uint8Array[]): Nodes {
  const node = async (level: number, index: bigint): Promise<Uint8Array> => {
    if (level > 0) return nodeHash(engine, await node(level - 1, 2n * index), await node(level - 1, 2n * index + 1n))
    const leaf = leaves[Number(index)]
    ok(leaf, `leaf ${index} is asked for, but there are ${leaves.length}`)
    return leaf
  }
  return { node }
}

function rootOver(leaves: readonly Uint8Array[], size: number): Uint8Array {
  const tree = emptyTree(engine)
  for (const leaf of leaves.slice(0, size)) tree.append(leaf)
  return tree.root()
}

describe('inclusion proofs', () => {
  test('are checked as the published answers say, on both engines', { skip: noShared }, () => {
    const { inclusion } = sharedJson<Answers>('vectors/tlog.json')
    let good = 0
    for (const { index, size, leafHash: leaf, root, proof, valid, why } of inclusion) {
      const given = {
        index: BigInt(index),
        size: BigInt(size),
        leafHash: bytes(leaf),
        root: bytes(root),
        proof: proof.map(bytes),
      }
      for (const one of [engine, noble]) {
        const found = verifyInclusion(one, given)
        if (valid !== null) strictEqual(found, valid, `${index} of ${size}: ${why ?? 'good'}`)
      }
      if (valid === true) good++
    }
    ok(good > 20 && inclusion.length - good > 100)
  })

  test('are those of the published answers, hash by hash', { skip: noShared }, async () => {
    const { inclusion, entries } = sharedJson<Answers>('vectors/tlog.json')
    const leaves = leavesOf(1025, entries.seed)
    const nodes = nodesOver(leaves)
    // Those of the certificate transparency reference are over other leaves.
    const ours = inclusion.filter(
      ({ index, size, valid, leafHash: leaf, root }) =>
        valid === true &&
        size <= leaves.length &&
        base64(leaves[index] ?? bytes('')) === leaf &&
        base64(rootOver(leaves, size)) === root,
    )
    ok(ours.length > 20)
    for (const { index, size, proof } of ours) {
      const made = await inclusionProof(engine, nodes, { index: BigInt(index), size: BigInt(size) })
      deepStrictEqual(made.map(base64), proof, `${index} of ${size}`)
    }
  })

  test('are checked as another implementation checks them', { skip: noShared }, () => {
    const { inclusion } = moreAnswers()
    for (const { leafIdx, treeSize, leafHash: leaf, root, proof, wantErr, case: name } of inclusion) {
      const found = verifyInclusion(engine, {
        index: BigInt(leafIdx),
        size: BigInt(treeSize),
        leafHash: bytes(leaf),
        root: bytes(root),
        proof: (proof ?? []).map(bytes),
      })
      strictEqual(found, !wantErr, name)
    }
    ok(inclusion.length > 40)
  })

  test('of every leaf at every size up to 70 are good for that leaf, that place and that size only', async () => {
    const leaves = leavesOf(70, 'small')
    const nodes = nodesOver(leaves)
    for (let size = 1; size <= leaves.length; size++) {
      const root = rootOver(leaves, size)
      for (let index = 0; index < size; index++) {
        const proof = await inclusionProof(engine, nodes, { index: BigInt(index), size: BigInt(size) })
        const leaf = leaves[index] ?? bytes('')
        const given = { index: BigInt(index), size: BigInt(size), leafHash: leaf, root, proof }
        ok(verifyInclusion(engine, given), `${index} of ${size}`)
        ok(!verifyInclusion(engine, { ...given, index: BigInt(index + 1) }))
        ok(!verifyInclusion(engine, { ...given, index: -1n }))
        ok(!verifyInclusion(engine, { ...given, leafHash: root.map((byte) => byte ^ 1) }))
        ok(!verifyInclusion(engine, { ...given, proof: [...proof, root] }))
        ok(!verifyInclusion(engine, { ...given, proof: [bytes(''), ...proof] }))
        if (proof.length > 0) ok(!verifyInclusion(engine, { ...given, proof: proof.slice(1) }))
        if (proof.length > 1) ok(!verifyInclusion(engine, { ...given, proof: [...proof].reverse() }))
      }
    }
  })

  test('are not made for a leaf that is not there', async () => {
    const nodes = nodesOver(leavesOf(3, 'small'))
    await refused(() => inclusionProof(engine, nodes, { index: 3n, size: 3n }), 'INVALID_INPUT', /no leaf 3/)
    await refused(() => inclusionProof(engine, nodes, { index: -1n, size: 3n }), 'INVALID_INPUT', /no leaf -1/)
  })
})

describe('consistency proofs', () => {
  test('are checked as the published answers say, on both engines', { skip: noShared }, () => {
    const { consistency } = sharedJson<Answers>('vectors/tlog.json')
    for (const { size1, size2, root1, root2, proof, valid, why } of consistency) {
      const given = {
        from: BigInt(size1),
        to: BigInt(size2),
        fromRoot: bytes(root1),
        toRoot: bytes(root2),
        proof: proof.map(bytes),
      }
      for (const one of [engine, noble]) {
        const found = verifyConsistency(one, given)
        if (valid !== null) strictEqual(found, valid, `${size1} to ${size2}: ${why ?? 'good'}`)
      }
    }
    ok(consistency.length > 70)
  })

  test('are those of the published answers, hash by hash', { skip: noShared }, async () => {
    const { consistency, entries } = sharedJson<Answers>('vectors/tlog.json')
    const leaves = leavesOf(1025, entries.seed)
    let made = 0
    for (const { size1, size2, root2, proof, valid } of consistency) {
      if (valid !== true || size1 === 0 || size2 > leaves.length) continue
      if (base64(rootOver(leaves, size2)) !== root2) continue
      const range = { from: BigInt(size1), to: BigInt(size2) }
      deepStrictEqual((await consistencyProof(engine, nodesOver(leaves), range)).map(base64), proof)
      made++
    }
    ok(made > 8, `${made} proofs`)
  })

  test('are checked as another implementation checks them', { skip: noShared }, () => {
    const { consistency } = moreAnswers()
    for (const { size1, size2, root1, root2, proof, wantErr, case: name } of consistency) {
      const found = verifyConsistency(engine, {
        from: BigInt(size1),
        to: BigInt(size2),
        fromRoot: bytes(root1),
        toRoot: bytes(root2),
        proof: (proof ?? []).map(bytes),
      })
      strictEqual(found, !wantErr, name)
    }
    ok(consistency.length > 40)
  })

  test('between any two sizes up to 70 are good for those two trees only', async () => {
    const leaves = leavesOf(70, 'small')
    const nodes = nodesOver(leaves)
    const roots = leaves.map((_, at) => rootOver(leaves, at + 1))
    for (let from = 1; from <= leaves.length; from++) {
      for (let to = from; to <= leaves.length; to++) {
        const fromRoot = roots[from - 1] ?? bytes('')
        const toRoot = roots[to - 1] ?? bytes('')
        const proof = await consistencyProof(engine, nodes, { from: BigInt(from), to: BigInt(to) })
        const given = { from: BigInt(from), fromRoot, to: BigInt(to), toRoot, proof }
        ok(verifyConsistency(engine, given), `${from} to ${to}`)
        ok(!verifyConsistency(engine, { ...given, proof: [...proof, toRoot] }))
        ok(!verifyConsistency(engine, { ...given, fromRoot: fromRoot.map((byte) => byte ^ 1) }))
        ok(!verifyConsistency(engine, { ...given, toRoot: toRoot.map((byte) => byte ^ 1) }))
        if (from === to) continue
        ok(!verifyConsistency(engine, { ...given, from: BigInt(to), to: BigInt(from) }))
        ok(!verifyConsistency(engine, { ...given, proof: proof.slice(1) }))
      }
    }
  })

  test('are not made from nothing, nor backwards', async () => {
    const nodes = nodesOver(leavesOf(3, 'small'))
    await refused(() => consistencyProof(engine, nodes, { from: 0n, to: 3n }), 'INVALID_INPUT', /from 0 to 3/)
    await refused(() => consistencyProof(engine, nodes, { from: 3n, to: 2n }), 'INVALID_INPUT', /from 3 to 2/)
  })
})

test('what is no proof is told so at sizes beyond 2^53, and in bounded time', () => {
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const size = fc.bigInt({ min: 0n, max: (1n << 63n) - 1n })
  fc.assert(
    fc.property(size, size, hash, hash, fc.array(hash, { maxLength: 70 }), (a, b, one, other, proof) => {
      ok(!verifyInclusion(engine, { index: a, size: b, leafHash: one, root: other, proof }) || (a === 0n && b === 1n))
      if (a !== b) ok(!verifyConsistency(engine, { from: a, fromRoot: one, to: b, toRoot: other, proof }))
    }),
  )
})

test('a proof that is longer than the tree is high proves nothing, whatever root was signed', () => {
  const [leaf, beside, last] = leavesOf(3, 'small')
  ok(leaf && beside && last)
  const root = nodeHash(engine, beside, leaf)
  ok(!verifyInclusion(engine, { index: 0n, size: 1n, leafHash: leaf, root, proof: [beside] }))
  const fromRoot = nodeHash(engine, beside, nodeHash(engine, beside, leaf))
  const toRoot = nodeHash(engine, beside, nodeHash(engine, beside, nodeHash(engine, leaf, last)))
  ok(!verifyConsistency(engine, { from: 3n, fromRoot, to: 4n, toRoot, proof: [leaf, last, beside, beside] }))
})

test('a proof over more leaves than 2^53 can be made and checked', async () => {
  // All leaves alike: the hash of a perfect subtree depends on its level only.
  const levels = [leafHash(engine, Uint8Array.of(1))]
  const node = async (level: number): Promise<Uint8Array> => {
    for (let last = levels.at(-1) ?? bytes(''); levels.length <= level; last = levels.at(-1) ?? last)
      levels.push(nodeHash(engine, last, last))
    return levels[level] ?? bytes('')
  }
  const nodes: Nodes = { node }
  const [from, to] = [(1n << 55n) + 3n, (1n << 62n) + 12_345n]
  const index = (1n << 54n) + 1n
  const rootOf = async (size: bigint) => {
    // The proof from 1 leaf holds all of the rest, in order.
    const proof = await inclusionProof(engine, nodes, { index: 0n, size })
    return proof.reduce((left, right) => nodeHash(engine, left, right), await node(0))
  }
  const root = await rootOf(to)
  const proof = await inclusionProof(engine, nodes, { index, size: to })
  ok(verifyInclusion(engine, { index, size: to, leafHash: await node(0), root, proof }))
  const consistency = await consistencyProof(engine, nodes, { from, to })
  const fromRoot = await rootOf(from)
  ok(verifyConsistency(engine, { from, fromRoot, to, toRoot: root, proof: consistency }))
  ok(!verifyConsistency(engine, { from: from + 1n, fromRoot, to, toRoot: root, proof: consistency }))
})

/** Indexes beyond 2^53 are kept as text: JSON.parse would round them. */
function moreAnswers(): MoreAnswers {
  const text = Buffer.from(sharedFile('vectors/tlog-transparency-dev.json')).toString('utf8')
  return JSON.parse(text.replace(/("(?:leafIdx|treeSize|size1|size2)":\s*)(\d+)/g, '$1"$2"')) as MoreAnswers
}
