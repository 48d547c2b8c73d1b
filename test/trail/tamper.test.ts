/** @node Whatever is done to a trail's files, the verifier finds it and says where. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { engine } from '#engine'
import { openTrail, type Verdict, verifyTrail } from '../../src/trail/index.ts'
import { formatVkey } from '../../src/trail/note.ts'
import { copyFolder } from '../copy-folder.ts'
import {
  collect,
  entriesFrom,
  folderFor,
  handClock,
  hastyFileSystem,
  refused,
  segmentsIn,
  signerOf,
} from './entries.ts'

const signer = signerOf(7)
const origin = 'keytrail/test'

/** Five batches of three entries in three segments: 0–5, 6–11, 12–14. A commit line is every fourth line. */
async function makeTrail(path: string, keys = signer): Promise<string> {
  const trail = await openTrail({
    path,
    signer: keys,
    origin,
    segmentBytes: 3000,
    clock: handClock(),
    fs: hastyFileSystem,
  })
  for (let batch = 0; batch < 5; batch++) await trail.write(entriesFrom(batch * 3, 3))
  await trail.close()
  deepStrictEqual(
    segmentsIn(trail.path).map(({ name }) => Number.parseInt(name, 10)),
    [0, 6, 12],
  )
  return trail.vkey
}

type Lines = string[][]

function readLines(folder: string): Lines {
  return segmentsIn(folder).map(({ bytes }) => bytes.toString('utf8').split('\n').slice(0, -1))
}

function writeLines(folder: string, lines: Lines): void {
  segmentsIn(folder).forEach(({ path }, at) => {
    writeFileSync(path, (lines[at] ?? []).map((line) => `${line}\n`).join(''))
  })
}

/** Where `verdict` points: first entry, segment number, line. */
function placeOf({ verdict, index, segment, line }: Verdict): unknown[] {
  return [verdict, Number(index), Number.parseInt(segment ?? '', 10), line]
}

describe('tampering', () => {
  const whole = folderFor({ after })
  let vkey = ''
  let lines: Lines = []
  before(async () => {
    vkey = await makeTrail(whole)
    lines = readLines(join(whole, 'main'))
    strictEqual((await verifyTrail(whole, { vkey })).verdict, 'valid')
  })

  function copyFor(t: { after(run: () => void): void }): { path: string; folder: string } {
    const path = folderFor(t)
    copyFolder(whole, path)
    return { path, folder: join(path, 'main') }
  }

  const line = (segment: number, at: number): string => lines[segment]?.[at] ?? ''
  const changed = (segment: number, change: (these: string[]) => void): Lines => {
    const copy = lines.map((these) => [...these])
    change(copy[segment] ?? [])
    return copy
  }

  const cases: { readonly name: string; readonly change: () => Lines; readonly place: unknown[] }[] = [
    {
      name: 'an edited entry',
      change: () => changed(1, (these) => these.splice(1, 1, line(1, 1).replace('"success"', '"failure"'))),
      place: ['tampered', 6, 6, 1],
    },
    {
      name: 'an edited entry of a later batch',
      change: () => changed(1, (these) => these.splice(5, 1, line(1, 5).replace('sa-orders', 'sa-others'))),
      place: ['tampered', 9, 6, 5],
    },
    { name: 'a deleted entry', change: () => changed(0, (these) => these.splice(2, 1)), place: ['tampered', 0, 0, 1] },
    {
      name: 'an inserted entry',
      change: () => changed(0, (these) => these.splice(5, 0, line(2, 0))),
      place: ['tampered', 3, 0, 5],
    },
    {
      name: 'two entries in the other order',
      change: () => changed(0, (these) => these.splice(4, 2, line(0, 5), line(0, 4))),
      place: ['tampered', 3, 0, 5],
    },
    {
      name: 'two batches in the other order',
      change: () => changed(1, (these) => these.push(...these.splice(0, 4))),
      place: ['tampered', 6, 6, 4],
    },
    {
      name: 'a deleted batch',
      change: () => changed(1, (these) => these.splice(0, 4)),
      place: ['tampered', 6, 6, 4],
    },
    {
      name: 'a batch deleted at the end of a segment',
      change: () => changed(1, (these) => these.splice(4, 4)),
      place: ['tampered', 9, 12, 1],
    },
    {
      name: 'a repeated batch',
      change: () => changed(0, (these) => these.push(...these.slice(4))),
      place: ['tampered', 6, 0, 12],
    },
    {
      name: 'a removed commit line',
      change: () => changed(0, (these) => these.splice(3, 1)),
      place: ['tampered', 0, 0, 7],
    },
    {
      name: 'a removed commit line at the end of a segment',
      change: () => changed(0, (these) => these.splice(7, 1)),
      place: ['tampered', 3, 0, 5],
    },
    {
      name: 'a repeated commit line',
      change: () => changed(0, (these) => these.splice(4, 0, line(0, 3))),
      place: ['tampered', 3, 0, 5],
    },
    {
      name: 'a commit line of a later batch',
      change: () => changed(0, (these) => these.splice(3, 1, line(0, 7))),
      place: ['tampered', 0, 0, 4],
    },
    {
      name: 'a commit line that claims to follow other entries',
      change: () => changed(0, (these) => these.splice(7, 1, line(0, 7).replace('"from":3', '"from":2'))),
      place: ['tampered', 3, 0, 8],
    },
    {
      name: 'a commit line that claims another size',
      change: () => changed(0, (these) => these.splice(7, 1, line(0, 7).replace('"size":6', '"size":7'))),
      place: ['tampered', 3, 0, 8],
    },
    {
      name: 'an empty line',
      change: () => changed(2, (these) => these.splice(1, 0, '')),
      place: ['tampered', 12, 12, 1],
    },
    {
      name: 'a white space at the end of an entry',
      change: () => changed(2, (these) => these.splice(1, 1, `${line(2, 1)} `)),
      place: ['tampered', 12, 12, 1],
    },
    {
      name: 'truncation below the published checkpoint',
      change: () => changed(2, (these) => these.splice(2)),
      place: ['tampered', 12, 12, 1],
    },
    {
      name: 'a segment emptied',
      change: () => changed(2, (these) => these.splice(0)),
      place: ['tampered', 12, 12, undefined],
    },
  ]

  for (const { name, change, place } of cases) {
    test(`${name} is found and located`, async (t) => {
      const { path, folder } = copyFor(t)
      writeLines(folder, change())
      const verdict = await verifyTrail(path, { vkey })
      deepStrictEqual(placeOf(verdict), place, verdict.problem)
      ok(verdict.problem)
      strictEqual(Number(verdict.size), place[1])
      const inside = await verifyTrail(path)
      deepStrictEqual(placeOf(inside), place)
    })
  }

  test('a splice of another trail, signed by another key, is found and located', async (t) => {
    const { path, folder } = copyFor(t)
    const other = folderFor(t)
    await makeTrail(other, signerOf(9))
    const [, spliced = []] = readLines(join(other, 'main'))
    writeLines(folder, [lines[0] ?? [], spliced, lines[2] ?? []])
    deepStrictEqual(placeOf(await verifyTrail(path, { vkey })), ['tampered', 6, 6, 4])
  })

  test('a missing, renamed or added segment is found', async (t) => {
    const missing = copyFor(t)
    const [, second] = segmentsIn(missing.folder)
    ok(second)
    rmSync(second.path)
    const verdict = await verifyTrail(missing.path, { vkey })
    deepStrictEqual(placeOf(verdict), ['tampered', 6, 12, 1])

    const renamed = copyFor(t)
    renameSync(
      join(renamed.folder, 'segments', '00000000000000000012.jsonl'),
      join(renamed.folder, 'segments', '00000000000000000013.jsonl'),
    )
    strictEqual((await verifyTrail(renamed.path)).verdict, 'tampered')

    const added = copyFor(t)
    writeFileSync(join(added.folder, 'segments', '00000000000000000005.jsonl'), `${line(0, 4)}\n`)
    deepStrictEqual(placeOf(await verifyTrail(added.path)), ['tampered', 6, 5, 1])
  })

  test('every byte of the segments: one bit flipped anywhere is found, in its batch', async (t) => {
    const { path, folder } = copyFor(t)
    let checked = 0
    for (const segment of segmentsIn(folder)) {
      for (let at = checked % 5; at < segment.bytes.length; at += 5) {
        const bytes = Buffer.from(segment.bytes)
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
        writeFileSync(segment.path, bytes)
        const verdict = await verifyTrail(path, { vkey })
        strictEqual(verdict.verdict, 'tampered', `byte ${at} of ${segment.name}`)
        strictEqual(verdict.segment, segment.name, `byte ${at}: ${verdict.problem}`)
        const batch = Math.floor(segment.bytes.subarray(0, at).filter((byte) => byte === 10).length / 4) * 3
        ok(Number(verdict.index) >= Number.parseInt(segment.name, 10) + batch - 3, `byte ${at}`)
        checked++
      }
      writeFileSync(segment.path, segment.bytes)
    }
    ok(checked > 1000)
    strictEqual((await verifyTrail(path, { vkey })).verdict, 'valid')
  })

  test('every byte of the checkpoint file', async (t) => {
    const { path, folder } = copyFor(t)
    const file = join(folder, 'checkpoint')
    const bytes = readFileSync(file)
    for (let at = 0; at < bytes.length; at++) {
      const other = Buffer.from(bytes)
      other[at] = (other[at] ?? 0) ^ 1
      writeFileSync(file, other)
      const verdict = await verifyTrail(path, { vkey })
      strictEqual(verdict.verdict, 'tampered', `byte ${at}`)
      ok(verdict.problem?.includes('checkpoint'))
    }
    rmSync(file)
    strictEqual((await verifyTrail(path)).problem, 'the checkpoint file is missing')
  })

  test('trail.json with another origin or key does not pass', async (t) => {
    const { path, folder } = copyFor(t)
    const file = join(folder, 'trail.json')
    const text = readFileSync(file, 'utf8')
    for (const other of [text.replaceAll(origin, 'keytrail/tesu'), text.replace('+Ae', '+Af'), '{}', 'not json', '']) {
      writeFileSync(file, other)
      strictEqual((await verifyTrail(path, { vkey })).verdict, 'tampered', other)
      ok((await verifyTrail(path)).verdict !== 'valid', other)
    }
    rmSync(file)
    strictEqual((await verifyTrail(path, { vkey })).verdict, 'tampered')
    strictEqual((await verifyTrail(path)).verdict, 'unverifiable')
  })

  test('a trail written anew with another key passes only by its own word', async (t) => {
    const path = folderFor(t)
    const forged = await makeTrail(path, signerOf(9))
    const inside = await verifyTrail(path)
    deepStrictEqual([inside.verdict, inside.note], ['valid', 'self-consistent; key supplied by this directory'])
    strictEqual((await verifyTrail(path, { vkey: forged })).note, 'signed throughout by the key that was given')
    strictEqual((await verifyTrail(path, { vkey })).verdict, 'tampered')
  })

  test('a key for another trail is no verdict on this one', async () => {
    await refused(() => verifyTrail(whole, { vkey: 'nonsense' }), 'INVALID_INPUT', /not an Ed25519 key/)
    const elsewhere = formatVkey(engine, 'elsewhere', signer.publicKey)
    const verdict = await verifyTrail(whole, { vkey: elsewhere })
    deepStrictEqual([verdict.verdict, verdict.problem], ['unverifiable', `no key was given for ${origin}`])
    strictEqual((await verifyTrail(whole, { vkey: [elsewhere, vkey] })).verdict, 'valid')
  })

  test('what follows the last commit line is told, and is no tampering', async (t) => {
    const { path, folder } = copyFor(t)
    const last = segmentsIn(folder).at(-1)
    ok(last)
    writeFileSync(last.path, `${last.bytes}${line(0, 0)}\n{"half`)
    const verdict = await verifyTrail(path, { vkey })
    deepStrictEqual(
      [verdict.verdict, verdict.size, verdict.unsignedTail],
      ['valid', 15n, { bytes: line(0, 0).length + 7, segment: last.name }],
    )
    strictEqual((await collect(path)).length, 15)
  })

  test('a damaged trail is not written to; it is still read', async (t) => {
    for (const { name, change } of cases) {
      const { path, folder } = copyFor(t)
      writeLines(folder, change())
      const damaged = segmentsIn(folder).map(({ bytes }) => bytes.toString('hex'))
      await refused(() => openTrail({ path, signer, fs: hastyFileSystem }), 'INTERNAL', /damaged and not written to/)
      deepStrictEqual(
        segmentsIn(folder).map(({ bytes }) => bytes.toString('hex')),
        damaged,
        name,
      )
    }
    const { path, folder } = copyFor(t)
    writeLines(
      folder,
      changed(1, (these) => these.splice(1, 1, line(1, 1).replace('"success"', '"failure"'))),
    )
    const outcomes = (await collect(path)).map(({ entry }) => entry.outcome)
    deepStrictEqual([outcomes.length, outcomes.indexOf('failure')], [15, 7])
  })

  test('one instance or the parent of many: the worst verdict, and all of them', async (t) => {
    const path = folderFor(t)
    for (const instance of ['a', 'b', 'c']) copyFolder(join(whole, 'main'), join(path, instance))
    const bytes = readFileSync(join(path, 'b', 'checkpoint'))
    bytes[0] = 0
    writeFileSync(join(path, 'b', 'checkpoint'), bytes)
    const progress: number[] = []
    const verdict = await verifyTrail(path, { vkey, onProgress: (now) => progress.push(now.bytes / now.totalBytes) })
    deepStrictEqual([verdict.instance, verdict.verdict], ['b', 'tampered'])
    deepStrictEqual(
      verdict.instances.map((one) => [one.instance, one.verdict]),
      [
        ['a', 'valid'],
        ['b', 'tampered'],
        ['c', 'valid'],
      ],
    )
    strictEqual(Math.max(...progress), 1)
    strictEqual((await verifyTrail(join(path, 'a'), { vkey })).verdict, 'valid')
    await refused(() => verifyTrail(folderFor(t)), 'INVALID_INPUT', /no trail/)
  })
})
