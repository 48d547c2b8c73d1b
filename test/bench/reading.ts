/** @node What the auditor waits for: verifying a trail, and making a line. */
import { strictEqual } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readdirSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditEntry } from '../../src/model/entry.ts'
import { lineOf } from '../../src/model/line.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { openTrail, verifyTrail } from '../../src/trail/index.ts'
import { kibibyte } from './bare.ts'
import { remembered, temporaryFolder, unsyncedFileSystem } from './clients.ts'
import { type Contest, type Effort, type Figure, type Measured, spread } from './figure.ts'
import { browser } from './requests.ts'

export const readingFigures: readonly Figure[] = [
  { name: 'verify', text: 'verifyTrail ÷ SHA-256 of the same files', of: 'time', open: verify },
  { name: 'verify-rate', text: 'verifyTrail, entries a second', unit: '/s', count: verifyRate },
  { name: 'line', text: 'lineOf ÷ JSON.stringify', of: 'time', open: line },
]

const trailSize = { quick: 5000, full: 200_000 } as const
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
  readonly size: number
  readonly remove: () => Promise<void>
}

async function writtenTrail(size: number): Promise<WrittenTrail> {
  const path = temporaryFolder()
  const provider = memoryKms()
  const entries = await someEntries(batch)
  const signer = provider.auditSigner()
  const trail = await openTrail({ path, signer, fs: unsyncedFileSystem, allowFilesystem: ['tmpfs'] })
  for (let written = 0; written < size; written += batch) await trail.write(entries)
  await trail.close()
  const folder = join(trail.path, 'segments')
  return {
    path,
    segments: readdirSync(folder).map((name) => join(folder, name)),
    size,
    remove: async () => rmSync(path, { recursive: true, force: true }),
  }
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
