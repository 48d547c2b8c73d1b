/** @node A signer that is handed over: the verifier follows from any key of the chain, and from no other. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Signer } from '../../src/model/signer.ts'
import { type Verdict, verifyTrail } from '../../src/trail/index.ts'
import { type CraftedBatch, type Crafting, craft, vkeyOf } from './crafted.ts'
import { entriesFrom, entryAt, folderFor, segmentsIn, signerOf } from './entries.ts'

const [a, b, c, d] = [signerOf(1), signerOf(2), signerOf(3), signerOf(4)] as const

/** Three entries, the last of which says that `to` signs from here on. */
function handover(first: number, from: Signer, to: Signer, signers: readonly Signer[] = [from, to]): CraftedBatch {
  const details = { vkey: vkeyOf(to), previousVkey: vkeyOf(from) }
  const told = entryAt(first + 2, { action: 'audit.key_rotated', resourceType: 'audit_log', details })
  return { entries: [...entriesFrom(first, 2), told], signers }
}

function plain(first: number, signer: Signer): CraftedBatch {
  return { entries: entriesFrom(first, 3), signers: [signer] }
}

/** 0–2 by a, 3–5 hands over to b, 6–8 by b. */
const rotated: Crafting = {
  batches: [plain(0, a), handover(3, a, b), plain(6, b)],
  vkeys: [
    { vkey: vkeyOf(a), fromIndex: 0 },
    { vkey: vkeyOf(b), fromIndex: 6 },
  ],
}

async function verdictOn(
  t: { after(run: () => void): void },
  crafting: Crafting,
  vkey?: string,
  spoil: (folder: string) => void = () => {},
): Promise<Verdict> {
  const path = folderFor(t)
  spoil(craft(path, crafting).folder)
  return verifyTrail(path, vkey === undefined ? {} : { vkey })
}

function placeOf({ verdict, index, line }: Verdict): unknown[] {
  return [verdict, index, line]
}

describe('a signer handed over', () => {
  test('the old key and the new one verify the whole trail; one that never signed it does not', async (t) => {
    for (const signer of [a, b]) {
      const verdict = await verdictOn(t, rotated, vkeyOf(signer))
      deepStrictEqual([verdict.verdict, verdict.size, verdict.vkey], ['valid', 9n, vkeyOf(b)], verdict.problem)
      match(verdict.note, /handed over/)
    }
    strictEqual((await verdictOn(t, rotated)).verdict, 'valid')
    const never = await verdictOn(t, rotated, vkeyOf(c))
    deepStrictEqual([never.verdict, never.problem?.includes('another key')], ['tampered', true])
  })

  test('three times over, from any of the four keys', async (t) => {
    const crafting: Crafting = {
      batches: [
        handover(0, a, b),
        plain(3, b),
        { ...handover(6, b, c), begins: true },
        handover(9, c, d),
        plain(12, d),
      ],
      vkeys: [a, b, c, d].map((signer, at) => ({ vkey: vkeyOf(signer), fromIndex: [0, 3, 9, 12][at] ?? 0 })),
    }
    for (const signer of [a, b, c, d]) strictEqual((await verdictOn(t, crafting, vkeyOf(signer))).verdict, 'valid')
  })

  test('a handover is signed by both, the old key first', async (t) => {
    for (const signers of [[a], [b], [b, a], [a, c], [a, a]]) {
      const crafting = { ...rotated, batches: [plain(0, a), handover(3, a, b, signers), plain(6, b)] }
      deepStrictEqual(placeOf(await verdictOn(t, crafting, vkeyOf(a))), ['tampered', 3n, 8])
    }
    const forged = await verdictOn(t, rotated, vkeyOf(a), (folder) => {
      const [segment] = segmentsIn(folder)
      ok(segment)
      const lines = segment.bytes.toString('utf8').split('\n')
      // The last characters of the second signature.
      lines[7] = (lines[7] ?? '').replace(/.(?=.{6}\\n"\}$)/, (found) => (found === 'A' ? 'B' : 'A'))
      writeFileSync(segment.path, lines.join('\n'))
    })
    deepStrictEqual(placeOf(forged), ['tampered', 3n, 8], forged.problem)
    match(forged.problem ?? '', /signature of the commit line is wrong/)
  })

  test('without the entry that says so, no other key signs and none signs besides', async (t) => {
    const batches = [plain(0, a), { ...plain(3, a), signers: [a, b] }, plain(6, b)]
    deepStrictEqual(placeOf(await verdictOn(t, { ...rotated, batches })), ['tampered', 3n, 8])
    const silent = [plain(0, a), plain(3, a), plain(6, b)]
    deepStrictEqual(placeOf(await verdictOn(t, { ...rotated, batches: silent })), ['tampered', 6n, 12])
  })

  test('from the handover on the old key signs nothing', async (t) => {
    const batches = [plain(0, a), handover(3, a, b), plain(6, a)]
    deepStrictEqual(placeOf(await verdictOn(t, { ...rotated, batches }, vkeyOf(a))), ['tampered', 6n, 12])
    const published = await verdictOn(t, rotated, vkeyOf(a), (folder) => {
      const { notes } = craft(folderFor(t), { ...rotated, batches })
      writeFileSync(join(folder, 'checkpoint'), notes.at(-1) ?? '')
    })
    deepStrictEqual(
      [published.verdict, published.problem],
      ['tampered', 'the checkpoint file is not signed by this key'],
    )
  })

  test('an entry about the handover of another trail, or told a second time, hands over nothing', async (t) => {
    const elsewhere = { vkey: vkeyOf(d, 'other'), previousVkey: vkeyOf(c, 'other') }
    const other = entryAt(0, { action: 'audit.key_rotated', resourceType: 'audit_log', details: elsewhere })
    const again = { ...handover(6, a, b), signers: [b] }
    const batches = [{ entries: [other], signers: [a] }, { ...handover(1, a, b) }, { ...again }]
    const vkeys = [
      { vkey: vkeyOf(a), fromIndex: 0 },
      { vkey: vkeyOf(b), fromIndex: 4 },
    ]
    strictEqual((await verdictOn(t, { batches, vkeys }, vkeyOf(a))).verdict, 'valid')

    const past = { ...handover(6, a, b), signers: [c] }
    const thrice = {
      batches: [handover(0, a, b), handover(3, b, c), past],
      vkeys: [...vkeys, { vkey: vkeyOf(c), fromIndex: 6 }],
    }
    const keys = thrice.vkeys.map((key, at) => ({ ...key, fromIndex: 3 * at }))
    strictEqual((await verdictOn(t, { ...thrice, vkeys: keys }, vkeyOf(c))).verdict, 'valid')
  })

  test('a caller who spells the action in an encryption context hands over nothing', async (t) => {
    const fields = { encryptionContext: { action: 'audit.key_rotated', previousVkey: vkeyOf(a), vkey: vkeyOf(b) } }
    const batches = [{ entries: entriesFrom(0, 2, fields), signers: [a] }]
    const vkeys = [{ vkey: vkeyOf(a), fromIndex: 0 }]
    strictEqual((await verdictOn(t, { batches, vkeys }, vkeyOf(a))).verdict, 'valid')
  })

  test('trail.json that lies about its keys does not pass', async (t) => {
    const [first, second] = rotated.vkeys
    ok(first && second)
    const lies = [
      [first],
      [first, { ...second, fromIndex: 5 }],
      [first, { ...second, fromIndex: 7 }],
      [first, { vkey: vkeyOf(c), fromIndex: 6 }],
      [first, second, { vkey: vkeyOf(c), fromIndex: 9 }],
      [first, second, { vkey: vkeyOf(c), fromIndex: 12 }],
      [{ vkey: vkeyOf(c), fromIndex: 0 }, { ...first, fromIndex: 1 }, second],
      [{ ...first, fromIndex: 1 }, second],
      [second, first],
      [{ vkey: vkeyOf(b), fromIndex: 0 }],
    ]
    for (const vkeys of lies) {
      const verdict = await verdictOn(t, { ...rotated, vkeys }, vkeyOf(a))
      strictEqual(verdict.verdict, 'tampered', JSON.stringify(vkeys.map(({ fromIndex }) => fromIndex)))
      ok((await verdictOn(t, { ...rotated, vkeys })).verdict !== 'valid')
    }
  })

  test('a crash right after the handover leaves trail.json behind, which is no lie', async (t) => {
    const crafting: Crafting = {
      batches: [plain(0, a), handover(3, a, b)],
      vkeys: [{ vkey: vkeyOf(a), fromIndex: 0 }],
    }
    for (const signer of [a, b]) {
      const verdict = await verdictOn(t, crafting, vkeyOf(signer))
      deepStrictEqual([verdict.verdict, verdict.vkey], ['valid', vkeyOf(b)], verdict.problem)
    }
    // The checkpoint published before the handover, and the handover torn: the old key goes on.
    const torn = await verdictOn(t, crafting, vkeyOf(a), (folder) => {
      const { notes } = craft(folderFor(t), crafting)
      writeFileSync(join(folder, 'checkpoint'), notes[1] ?? '')
      const [segment] = segmentsIn(folder)
      ok(segment)
      writeFileSync(segment.path, readFileSync(segment.path, 'utf8').slice(0, -3))
    })
    deepStrictEqual([torn.verdict, torn.size, torn.vkey], ['valid', 3n, vkeyOf(a)], torn.problem)
    ok(torn.unsignedTail)
  })

  test('nor does a last commit that was made up, whatever size it claims', async (t) => {
    const evil = handover(3, a, d)
    const crafting: Crafting = { batches: [plain(0, a), evil], vkeys: [{ vkey: vkeyOf(a), fromIndex: 0 }] }
    for (const size of [1, 2, 3]) {
      const path = folderFor(t)
      const { folder, notes } = craft(path, crafting)
      const lie = craft(folderFor(t), {
        ...crafting,
        vkeys: [...crafting.vkeys, { vkey: vkeyOf(d), fromIndex: size }],
      })
      cpSync(join(lie.folder, 'trail.json'), join(folder, 'trail.json'))
      writeFileSync(join(folder, 'checkpoint'), notes[1] ?? '')
      const [segment] = segmentsIn(folder)
      ok(segment)
      const text = segment.bytes
        .toString('utf8')
        .replace('{"commit":{"from":3,"size":6}', `{"commit":{"from":3,"size":${size}}`)
      writeFileSync(segment.path, text)
      strictEqual((await verifyTrail(path, { vkey: vkeyOf(d) })).verdict, 'tampered', `size ${size}`)
    }
  })

  test('a last commit whose second signature is forged hands over nothing', async (t) => {
    const crafting: Crafting = {
      batches: [plain(0, a), handover(3, a, b)],
      vkeys: [{ vkey: vkeyOf(a), fromIndex: 0 }],
    }
    const forge = (folder: string): void => {
      const { notes } = craft(folderFor(t), crafting)
      writeFileSync(join(folder, 'checkpoint'), notes[1] ?? '')
      const [segment] = segmentsIn(folder)
      ok(segment)
      const text = segment.bytes.toString('utf8')
      writeFileSync(
        segment.path,
        text.replace(/.(?=.{6}\\n"\}\n$)/, (found) => (found === 'A' ? 'B' : 'A')),
      )
    }
    const verdict = await verdictOn(t, crafting, vkeyOf(b), forge)
    deepStrictEqual([verdict.verdict, verdict.size, verdict.vkey], ['tampered', 3n, vkeyOf(a)])
    const before = await verdictOn(t, crafting, vkeyOf(a), forge)
    deepStrictEqual([before.verdict, before.size], ['valid', 3n], before.problem)
  })
})
