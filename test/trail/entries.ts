/** @node Entries as a client would hand them in, a signer, a folder, and a trail with all of them. */
import { match, ok, rejects, strictEqual } from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { engine } from '#engine'
import { ed25519Key } from '../../src/crypto/ed25519.ts'
import type { Clock } from '../../src/model/clock.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError, type KmsErrorCode } from '../../src/model/errors.ts'
import type { Signer } from '../../src/model/signer.ts'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { readTrail, type TrailEntry, type TrailFilter } from '../../src/trail/index.ts'

const firstMoment = Date.UTC(2026, 0, 31, 12, 0, 0, 0)

/** The entry with this running number: same number, same bytes. One second lies between two of them. */
export function entryAt(sequence: number, fields: Partial<AuditEntry> = {}): AuditEntry {
  const moment = firstMoment + sequence * 1000
  return {
    schema: 'keytrail/1',
    eventID: idAt(moment, sequence),
    createdAt: new Date(moment).toISOString(),
    instance: 'billing-Zm9vYmFyYmF6cXV1eA',
    sequence,
    action: 'kms.encrypt',
    phase: 'result',
    resourceType: 'kms_key',
    resourceIdentity: 'kms-7f3k2m9q4w8x1z5c',
    outcome: 'success',
    statusCode: 200,
    region: 'nl-01',
    project: 'billing',
    keySlug: 'orders',
    keyType: 'aes256-gcm96',
    keyVersion: 3,
    payloadSizes: { plaintext: 1024, ciphertext: 1089, encryptionContext: 21 },
    actor: { type: 'serviceAccount', id: 'sa-orders', source: 'context' },
    context: { clientIp: '192.0.2.7', userAgent: 'orders/4.2', requestId: `req-${sequence}` },
    provider: { name: 'local', durationMs: 0.04 },
    encryptionContext: { order: String(sequence) },
    durationMs: 0.21,
    salt: 'AAAAAAAAAAAAAAAAAAAAAA',
    ...fields,
  }
}

export function entriesFrom(first: number, count: number, fields: Partial<AuditEntry> = {}): AuditEntry[] {
  return Array.from({ length: count }, (_, at) => entryAt(first + at, fields))
}

/** A UUIDv7 (RFC 9562 §5.7) with counted bits for its random ones. */
export function idAt(moment: number, sequence: number): string {
  const time = moment.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${sequence.toString(16).padStart(12, '0')}`
}

/** An Ed25519 key made of one repeated byte. */
export function signerOf(byte: number): Signer {
  const { publicKey, sign } = ed25519Key(engine, new Uint8Array(32).fill(byte))
  return { publicKey, sign }
}

interface Cleaning {
  after(run: () => void): void
}

/** A folder of its own on the disk, gone after the test. */
export function folderFor(test: Cleaning): string {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-trail-'))
  test.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A clock turned by hand: timers run when `pass` reaches them. */
export function handClock(): Clock & { pass(ms: number): void } {
  let now = 0
  let timers: { readonly at: number; readonly run: () => void }[] = []
  return {
    now: () => firstMoment + now,
    monotonic: () => now,
    after(ms, run) {
      const timer = { at: now + ms, run }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    pass(ms) {
      now += ms
      const due = timers.filter(({ at }) => at <= now)
      timers = timers.filter(({ at }) => at > now)
      for (const { run } of due) run()
    },
  }
}

/** The file system without its waits: for tests of what stands in files, not of what survives a power cut. */
export const hastyFileSystem: FileSystem = {
  ...nodeFileSystem,
  async open(path, how, mode) {
    const file = await nodeFileSystem.open(path, how, mode)
    return { ...file, sync: async () => {} }
  },
  syncFolder: async () => {},
}

/** The files of an instance: segment names and bytes, in order. */
export function segmentsIn(folder: string): { readonly name: string; readonly path: string; readonly bytes: Buffer }[] {
  const segments = join(folder, 'segments')
  return readdirSync(segments)
    .sort()
    .map((name) => ({ name, path: join(segments, name), bytes: readFileSync(join(segments, name)) }))
}

export async function collect(path: string, filter: TrailFilter = {}): Promise<TrailEntry[]> {
  const found: TrailEntry[] = []
  for await (const entry of readTrail(path, filter)) found.push(entry)
  return found
}

/** Asserts that `run` fails with a `KmsError` of this code whose message matches. */
export async function refused(run: () => Promise<unknown>, code: KmsErrorCode, message: RegExp): Promise<void> {
  await rejects(run, (error) => {
    ok(error instanceof KmsError, String(error))
    strictEqual(error.code, code, error.message)
    match(error.message, message)
    return true
  })
}
