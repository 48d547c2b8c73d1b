/** @node What an auditor waits for, and whoever restarts after a crash: verifying, proving, recovering; and making a line. */
import { strictEqual } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFileSync, closeSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditEntry } from '../../src/model/entry.ts'
import { lineOf } from '../../src/model/line.ts'
import type { Signer } from '../../src/model/signer.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { openTrail, proveEntry, readTrail, type TrailFilter, verifyTrail } from '../../src/trail/index.ts'
import { layoutOf, listSegments } from '../../src/trail/layout.ts'
import { writeRanges } from '../../src/trail/ranges/measure.ts'
import { kibibyte } from './bare.ts'
import { remembered, temporaryFolder, unsyncedFileSystem } from './clients.ts'
import { type Contest, type Effort, type Figure, type Measured, spread } from './figure.ts'
import { browser } from './requests.ts'

export const readingFigures: readonly Figure[] = [
  { name: 'verify', text: 'verifyTrail ÷ SHA-256 of the same files', of: 'time', aim: { atMost: 6 }, open: verify },
  {
    name: 'verify-rate',
    text: 'verifyTrail, entries a second',
    unit: '/s',
    aim: { atLeast: 500_000 },
    count: verifyRate,
  },
  { name: 'prove', text: 'proveEntry in a trail of 100,000, p50', unit: 'ms', count: prove },
  {
    name: 'recovery',
    text: 'openTrail after a crash, 100,000 entries',
    unit: 's',
    aim: { atMost: 2 },
    count: recovery,
  },
  {
    name: 'search',
    text: 'readTrail for one action of 5000 ÷ reading the same files',
    of: 'time',
    aim: { atMost: 3 },
    open: (effort) => search(effort, { action: 'kms.export' }),
  },
  {
    name: 'window',
    text: 'readTrail for 1 % of the time ÷ reading the same files',
    of: 'time',
    aim: { atMost: 0.5 },
    open: (effort) => search(effort, 'window'),
  },
  {
    name: 'find',
    text: 'readTrail for one event id ÷ reading the same files',
    of: 'time',
    aim: { atMost: 0.1 },
    open: (effort) => search(effort, 'id'),
  },
  { name: 'line', text: 'lineOf ÷ JSON.stringify', of: 'time', open: line },
]

const trailSize = { once: 5000, quick: 5000, full: 200_000 } as const
const searchedSize = { once: 5000, quick: 100_000, full: 1_000_000 } as const
const provenSize = { once: 5000, quick: 5000, full: 100_000 } as const
const batch = 100

async function verify(effort: Effort): Promise<Contest> {
  const { path, segments, size, remove } = await writtenTrail(trailSize[effort])
  return {
    reference: { calls: size, run: () => segments.forEach(hashFile) },
    ours: { calls: size, run: () => verified(path, size) },
    turns: 1,
    rounds: 5,
    close: remove,
  }
}

async function verifyRate(effort: Effort): Promise<Measured> {
  const { path, size, remove } = await writtenTrail(trailSize[effort])
  try {
    const rates: number[] = []
    for (let round = 0; round < 5; round++) {
      const start = performance.now()
      await verified(path, size)
      rates.push((1000 * size) / (performance.now() - start))
    }
    return spread(rates)
  } finally {
    await remove()
  }
}

/** Entries all over the trail, one after another. */
async function prove(effort: Effort): Promise<Measured> {
  const { path, size, eventIDAt, remove } = await writtenTrail(provenSize[effort])
  try {
    const rounds: number[] = []
    for (let round = 0; round < 5; round++) {
      const times: number[] = []
      for (let entry = round; entry < size; entry += Math.ceil(size / 20)) {
        const start = performance.now()
        const { index } = await proveEntry(path, eventIDAt(entry))
        times.push(performance.now() - start)
        strictEqual(index, BigInt(entry))
      }
      rounds.push(spread(times).median)
    }
    return spread(rounds)
  } finally {
    await remove()
  }
}

/** What a crash leaves: half a batch behind the last commit line. */
async function recovery(effort: Effort): Promise<Measured> {
  const { path, segments, signer, size, remove } = await writtenTrail(provenSize[effort])
  try {
    const last = segments.toSorted().at(-1) ?? ''
    const torn = readFileSync(last).subarray(0, 10_000)
    const times: number[] = []
    for (let round = 0; round < 5; round++) {
      appendFileSync(last, torn)
      const start = performance.now()
      const trail = await openTrail({ path, signer, allowFilesystem: ['tmpfs'] })
      times.push((performance.now() - start) / 1000)
      strictEqual(trail.size, BigInt(size))
      strictEqual(trail.notices[0]?.action, 'audit.recovered')
      await trail.close()
    }
    return spread(times)
  } finally {
    await remove()
  }
}

/** Against who only reads the bytes. Few entries match, so that looking for them is what takes time. */
async function search(effort: Effort, asked: TrailFilter | 'window' | 'id'): Promise<Contest> {
  const size = searchedSize[effort]
  const { path, segments, eventIDAt, momentAt, remove } = await searchedTrail(size)
  const [first, last] = [Math.floor(size / 2), Math.floor((size / 100) * 51)]
  const filter =
    asked === 'window'
      ? { from: momentAt(first), to: momentAt(last) }
      : asked === 'id'
        ? { eventID: eventIDAt(first) }
        : asked
  const expected = asked === 'window' ? last - first : asked === 'id' ? 1 : size / 5000
  return {
    reference: { calls: size, run: () => segments.forEach(readFile) },
    ours: {
      calls: size,
      async run() {
        let found = 0
        for await (const _ of readTrail(path, filter)) found++
        strictEqual(found, expected)
      },
    },
    turns: 1,
    rounds: 5,
    close: remove,
  }
}

interface SearchedTrail extends WrittenTrail {
  readonly momentAt: (index: number) => string
}

/** A second between two entries, every 5000th an export; the ranges are made by the next opening, which is waited for. */
async function searchedTrail(size: number): Promise<SearchedTrail> {
  const path = temporaryFolder()
  const signer = memoryKms().auditSigner()
  const entries = await someEntries(batch)
  const options = { path, signer, fs: unsyncedFileSystem, allowFilesystem: ['tmpfs'], segmentBytes: 16 * 1024 * 1024 }
  const trail = await openTrail(options)
  for (let written = 0; written < size; written += batch)
    await trail.write(
      entries.map((entry, at) => ({
        ...entry,
        eventID: eventIDAt(written + at),
        createdAt: momentAt(written + at),
        ...((written + at) % 5000 === 0 && { action: 'kms.export' }),
      })),
    )
  await trail.close()
  const layout = layoutOf(trail.path)
  const all = await listSegments(unsyncedFileSystem, layout)
  const finished = all.at(-1)?.first ?? 0n
  await writeRanges({ fs: unsyncedFileSystem, layout, segments: all, size: finished, known: new Set() })
  const segments = all.map((segment) => segment.path)
  return {
    path,
    segments,
    signer,
    size,
    eventIDAt,
    momentAt,
    remove: async () => rmSync(path, { recursive: true, force: true }),
  }
}

function momentAt(index: number): string {
  return new Date(Date.UTC(2026, 0, 31) + 1000 * index).toISOString()
}

const readBlock = new Uint8Array(1024 * 1024)

function readFile(path: string): void {
  const fd = openSync(path, 'r')
  for (let got = readSync(fd, readBlock); got > 0; ) got = readSync(fd, readBlock)
  closeSync(fd)
}

async function verified(path: string, size: number): Promise<void> {
  const verdict = await verifyTrail(path)
  strictEqual(verdict.verdict, 'valid')
  strictEqual(verdict.size, BigInt(size))
}

function hashFile(path: string): void {
  const hash = createHash('sha256')
  const block = new Uint8Array(1024 * 1024)
  const fd = openSync(path, 'r')
  for (let got = readSync(fd, block); got > 0; got = readSync(fd, block)) hash.update(block.subarray(0, got))
  closeSync(fd)
  hash.digest()
}

interface WrittenTrail {
  readonly path: string
  readonly segments: readonly string[]
  readonly signer: Signer
  readonly size: number
  /** Of the entry at this index. */
  readonly eventIDAt: (index: number) => string
  readonly remove: () => Promise<void>
}

async function writtenTrail(size: number): Promise<WrittenTrail> {
  const path = temporaryFolder()
  const provider = memoryKms()
  const entries = await someEntries(batch)
  const signer = provider.auditSigner()
  const trail = await openTrail({ path, signer, fs: unsyncedFileSystem, allowFilesystem: ['tmpfs'] })
  for (let written = 0; written < size; written += batch)
    await trail.write(entries.map((entry, at) => ({ ...entry, eventID: eventIDAt(written + at) })))
  await trail.close()
  const folder = join(trail.path, 'segments')
  return {
    path,
    segments: readdirSync(folder).map((name) => join(folder, name)),
    signer,
    size,
    eventIDAt,
    remove: async () => rmSync(path, { recursive: true, force: true }),
  }
}

/** Ascending UUIDv7s: where an entry is found, is found by them. */
function eventIDAt(index: number): string {
  return `019c1a2b-3c4d-7000-8000-${index.toString(16).padStart(12, '0')}`
}

async function line(): Promise<Contest> {
  const entries = await someEntries(1000)
  for (const entry of entries) strictEqual(lineOf(JSON.parse(lineOf(entry))), lineOf(entry))
  return {
    reference: {
      calls: entries.length,
      run() {
        for (const entry of entries) JSON.stringify(entry)
      },
    },
    ours: {
      calls: entries.length,
      run() {
        for (const entry of entries) lineOf(entry)
      },
    },
  }
}

/** Entries of calls in a browser's request, as a sink gets them. */
async function someEntries(count: number): Promise<readonly AuditEntry[]> {
  const { kms, sink } = await remembered('aes256-gcm96')
  sink.clear()
  const bound = kms.with(browser)
  for (let call = 0; call < count; call++) await bound.encrypt({ key: 'key', plaintext: kibibyte })
  const { entries } = sink
  await kms.close()
  return entries
}
