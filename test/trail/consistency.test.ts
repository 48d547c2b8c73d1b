/** @node Consistency proofs between checkpoints of a trail, made and checked. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { openTrail, type Trail } from '../../src/trail/index.ts'
import { checkConsistency, parseConsistency, proveConsistency } from '../../src/trail/receipts/consistency.ts'
import { entriesFrom, folderFor, hastyFileSystem, refused, signerOf } from './entries.ts'

const fs = hastyFileSystem

interface Rig {
  readonly path: string
  readonly trail: Trail
  /** The published checkpoints at these sizes. */
  readonly notes: ReadonlyMap<number, string>
}

const sizes = [0, 1, 8, 255, 256, 300]

async function rig(t: TestContext, first = 0): Promise<Rig> {
  const path = folderFor(t)
  const trail = await openTrail({ path, signer: signerOf(7), origin: 'audit.example/log', segmentBytes: 20_000, fs })
  const notes = new Map<number, string>()
  let size = 0
  for (const next of sizes) {
    await trail.write(entriesFrom(first + size, next - size))
    size = next
    await trail.flush?.()
    notes.set(size, readFileSync(join(trail.path, 'checkpoint'), 'utf8'))
  }
  await trail.close()
  return { path, trail, notes }
}

const noteAt = ({ notes }: Rig, size: number) => notes.get(size) ?? ''

describe('a consistency proof', () => {
  test('between any two checkpoints is made and is valid, by sizes and by notes', async (t) => {
    const one = await rig(t)
    const { path, trail } = one
    for (const from of sizes) {
      for (const to of sizes.filter((size) => size >= from && size > 0)) {
        const expected = { valid: true, origin: trail.origin, from: BigInt(from), to: BigInt(to) }
        const byNote = await proveConsistency(path, { from: noteAt(one, from), to: noteAt(one, to) })
        strictEqual(byNote.instance, 'main')
        deepStrictEqual(await checkConsistency({ ...byNote, vkey: trail.vkey }), expected)
        if (from > 0) deepStrictEqual(await proveConsistency(path, { from: BigInt(from), to: BigInt(to) }), byNote)
        const read = parseConsistency(byNote.text)
        ok(read)
        deepStrictEqual(read, { size: BigInt(from), proof: byNote.proof, note: byNote.new })
      }
    }
    strictEqual((await proveConsistency(path, { from: 8n })).new, noteAt(one, 300))
  })

  test('holds between no others', async (t) => {
    const one = await rig(t)
    const { path, trail } = one
    const { vkey } = trail
    const made = await proveConsistency(path, { from: 8n, to: 256n })
    const problem = async (given: Partial<Parameters<typeof checkConsistency>[0]>) => {
      const checked = await checkConsistency({ ...made, vkey, ...given })
      return checked.valid ? 'valid' : checked.problem
    }
    match(await problem({ old: noteAt(one, 255) }), /not proven/)
    match(await problem({ new: noteAt(one, 300) }), /not proven/)
    match(await problem({ old: made.new, new: made.old }), /not proven/)
    match(await problem({ proof: made.proof.slice(1) }), /not proven/)
    match(await problem({ proof: [...made.proof, new Uint8Array(32)] }), /not proven/)
    match(await problem({ old: noteAt(one, 0) }), /not proven/)
    match(await problem({ old: made.old.replace('8', '9') }), /old checkpoint is not signed/)
    match(await problem({ new: 'none' }), /new checkpoint is not signed/)
    const other = await rig(t, 5000)
    match(await problem({ new: noteAt(other, 256) }), /not proven/)
    await refused(() => checkConsistency({ ...made, vkey: 'none' }), 'INVALID_INPUT', /not an Ed25519 key/)
  })

  test('is refused for checkpoints that the trail does not continue', async (t) => {
    const one = await rig(t)
    const other = await rig(t, 5000)
    await refused(
      () => proveConsistency(one.path, { from: noteAt(other, 8) }),
      'ROLLED_BACK',
      /first 8 entries are not those/,
    )
    await refused(
      () => proveConsistency(one.path, { from: 256n, to: 8n }),
      'INVALID_INPUT',
      /256 entries, the new one 8/,
    )
    await refused(() => proveConsistency(one.path, { from: 7n }), 'INVALID_INPUT', /no checkpoint of 7 entries/)
    await refused(() => proveConsistency(one.path, { from: 'x' }), 'INVALID_INPUT', /this is no checkpoint/)
    await refused(() => proveConsistency(one.path, { from: 500n }), 'INVALID_INPUT', /no checkpoint of 500 entries/)
    const longer = await openTrail({ path: folderFor(t), signer: signerOf(7), origin: one.trail.origin, fs })
    await longer.write(entriesFrom(0, 301))
    await longer.close()
    const ahead = readFileSync(join(longer.path, 'checkpoint'), 'utf8')
    await refused(() => proveConsistency(one.path, { from: ahead }), 'ROLLED_BACK', /301 entries and 300 are published/)
  })

  test('among several trails is of the one that the note is of', async (t) => {
    const path = folderFor(t)
    const first = await openTrail({ path, instance: 'a', signer: signerOf(7), fs })
    const second = await openTrail({ path, instance: 'b', signer: signerOf(8), fs })
    for (const [trail, from] of [
      [first, 0],
      [second, 50],
    ] as const) {
      await trail.write(entriesFrom(from, 5))
      await trail.close()
    }
    const from = readFileSync(join(second.path, 'checkpoint'), 'utf8')
    strictEqual((await proveConsistency(path, { from })).instance, 'b')
    await refused(() => proveConsistency(path, { from: 5n }), 'INVALID_INPUT', /several trails/)
  })
})

test('the file of a proof has one spelling', () => {
  const hash = Buffer.alloc(32, 7).toString('base64')
  ok(parseConsistency(`old 8\n${hash}\n\nnote`))
  for (const text of [
    '',
    'old 8',
    'old 08\n\nnote',
    'old x\n\nnote',
    `old 8\n${hash.slice(1)}\n\nnote`,
    `${hash}\n\nnote`,
  ])
    strictEqual(parseConsistency(text), undefined, text)
})
