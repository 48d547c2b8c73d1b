/** @node Trails of twenty entries to be tampered with, each in the way that time leaves one. */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import type { AuditEntry } from '../../src/model/entry.ts'
import type { Signer } from '../../src/model/signer.ts'
import type { Notice } from '../../src/model/sink.ts'
import type { FileSystem } from '../../src/storage/filesystem.ts'
import type { Trail, VerifyOptions } from '../../src/trail/index.ts'
import type { Files } from './held-files.ts'
import { withFolder } from './house.ts'
import type { Product } from './product.ts'
import { quickClock } from './quick-clock.ts'

export interface MadeTrail {
  readonly name: string
  readonly files: Files
  /** What is verified, below the folder. */
  readonly path: string
  /** What its owner knows of it: keys, and the witness's. */
  readonly known: Pick<VerifyOptions, 'vkey' | 'witness'>
  /** The newest checkpoint, kept elsewhere. */
  readonly pin: string
}

export const origin = 'keytrail/twenty'
const began = Date.UTC(2026, 0, 31, 12)
const dayMs = 86_400_000
const minRetentionDays = 30

/** Two segments of four and three batches; the third batch hands the trail over to another key. */
const batches = [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9, 10], [11, 12, 13, 14], [15], [16, 17, 18, 19]] as const
const handoverAt = 6

export interface MakeOptions {
  /** From this entry on they are others. */
  readonly otherFrom?: number
  /** Of the first signing key; the second one has the next. */
  readonly key?: number
  readonly compressSealed?: boolean
}

/** Closed in good order, with a cosignature beside it. */
export async function makePlain(product: Product, name: string, options: MakeOptions = {}): Promise<MadeTrail> {
  const { otherFrom = Number.POSITIVE_INFINITY, key = 7, compressSealed = false } = options
  return withFolder(async (folder) => {
    const trail = await openAt(product, folder, {
      signer: signerOf(key),
      compressSealed,
      segmentBytes: 5200,
      minRetentionDays,
    })
    const first = trail.vkey
    const entry = (index: number) =>
      entryOf(index, { ...(index === 0 && openedBy(trail)), ...(index >= otherFrom && { durationMs: 9.75 }) })
    connect(trail, (notice) => [noted(notice, handoverAt), entry(handoverAt + 1)])
    for (const batch of batches) {
      if (batch[0] === handoverAt) await trail.rotateSigner(signerOf(key + 1))
      else await trail.write(batch.map(entry))
    }
    const vkey = [first, trail.vkey]
    await trail.close()
    const files = new Map(filesIn(folder))
    const pin = textOf(files, 'main/checkpoint')
    files.set('main/witnessed', bytesOf(`${pin}${cosignature(pin)}`))
    checkLaid(files, ['00000000000000000000', '00000000000000000011'])
    return { name, files, path: 'main', known: { vkey, witness: witness.vkey }, pin }
  })
}

export interface MadePruned {
  readonly pruned: MadeTrail
  /** As it was when the tiles were there and no segment was removed yet. */
  readonly tiled: MadeTrail
  readonly archive: MadeTrail
}

/** Three segments, of which the first is pruned and archived; it held the handover. */
export async function makePruned(product: Product): Promise<MadePruned> {
  return withFolder(async (folder) => {
    const clock = quickClock(began + 400 * dayMs)
    const signer = signerOf(7)
    const audit = join(folder, 'audit')
    const trail = await openAt(product, audit, { signer, clock, segmentBytes: 2600, minRetentionDays })
    const createdAt = new Date(clock.now()).toISOString()
    connect(trail, (notice) => [
      noted(notice, Number(trail.size), notice.action === 'audit.pruned' ? { createdAt } : {}),
    ])
    for (const batch of [[0, 1], [2], [3, 4, 5], [6, 7, 8, 9], [10], [11, 12], [13, 14, 15], [16, 17, 18]]) {
      if (batch[0] === 2) await trail.rotateSigner(signerOf(8))
      else await trail.write(batch.map((index) => entryOf(index)))
    }
    const before = filesIn(audit)
    const archive = join(folder, 'old.jsonl')
    await trail.prune({ olderThan: '300d', archive })
    const { vkey } = trail
    await trail.close()
    const files = filesIn(audit)
    const left = segmentNames(files).length
    if (left === 0 || left === segmentNames(before).length) throw new Error('nothing was pruned')
    const pin = textOf(files, 'main/checkpoint')
    const known = { vkey }
    const archived = new Map([['old.jsonl', new Uint8Array(readFileSync(archive))]])
    return {
      pruned: { name: 'pruned', files, path: 'main', known, pin },
      tiled: { name: 'tiled', files: new Map([...before, ...files]), path: 'main', known, pin },
      archive: { name: 'archive', files: archived, path: 'old.jsonl', known, pin },
    }
  })
}

interface OpenOptions {
  readonly signer: Signer
  readonly segmentBytes: number
  readonly compressSealed?: boolean
  readonly minRetentionDays?: number
  readonly clock?: ReturnType<typeof quickClock>
}

export function openAt(product: Product, folder: string, options: OpenOptions): Promise<Trail> {
  // What survives a power cut is another campaign's question.
  const fs: FileSystem = {
    ...product.nodeFileSystem,
    async open(path, how, mode) {
      const file = await product.nodeFileSystem.open(path, how, mode)
      return { ...file, sync: async () => {} }
    },
    syncFolder: async () => {},
  }
  return product.openTrail({ path: folder, origin, fs, allowFilesystem: ['tmpfs'], ...options })
}

function connect(trail: Trail, entriesFor: (notice: Notice) => readonly AuditEntry[]): void {
  trail.connect({
    async note(notice) {
      await trail.write(entriesFor(notice))
    },
  })
}

/** Small, and the same each time. */
export function entryOf(index: number, fields: Partial<AuditEntry> = {}): AuditEntry {
  const moment = began + index * 1000
  const time = moment.toString(16).padStart(12, '0')
  return {
    schema: 'keytrail/1',
    eventID: `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${index.toString(16).padStart(12, '0')}`,
    createdAt: new Date(moment).toISOString(),
    instance: 'billing-Zm9vYmFyYmF6cXV1eA',
    sequence: index,
    action: 'kms.encrypt',
    phase: 'result',
    resourceType: 'kms_key',
    resourceIdentity: 'kms-7f3k2m9q4w8x1z5c',
    outcome: 'success',
    statusCode: 200,
    keySlug: 'orders',
    actor: { type: 'user', id: 'zoë', source: 'call' },
    durationMs: 0.25,
    salt: 'AAAAAAAAAAAAAAAAAAAAAA',
    ...fields,
  }
}

/** As an audit tells it in its first entry. */
function openedBy({ vkey }: Trail): Partial<AuditEntry> {
  const sink = { name: 'trail', durability: 'synced', required: true, vkey, minRetentionDays } as const
  return { action: 'audit.opened', resourceType: 'audit_log', details: { sinks: [sink] } }
}

function noted({ action, details }: Notice, index: number, fields: Partial<AuditEntry> = {}): AuditEntry {
  return entryOf(index, { action, resourceType: 'audit_log', details: { sink: 'trail', ...details }, ...fields })
}

/** RFC 8410 §7: what stands before the 32 bytes of an Ed25519 private key in PKCS #8. */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** An Ed25519 key made of one repeated byte. */
export function signerOf(byte: number): Signer {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, Buffer.alloc(32, byte)]), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return {
    publicKey: Uint8Array.from(spki.subarray(-32)),
    sign: (message) => Uint8Array.from(sign(null, message, key)),
  }
}

const witness = await witnessOf('witness.example/w1')

/** c2sp.org/tlog-cosignature: a key of type 4, its hash the first four bytes of SHA-256(name ‖ 0A ‖ 04 ‖ public key). */
async function witnessOf(
  name: string,
): Promise<{ readonly vkey: string; readonly name: string; readonly hash: Buffer }> {
  const typed = Buffer.concat([Buffer.of(4), signerOf(77).publicKey])
  const digest = await crypto.subtle.digest('SHA-256', Buffer.concat([Buffer.from(`${name}\n`), typed]))
  const hash = Buffer.from(digest).subarray(0, 4)
  return { name, hash, vkey: `${name}+${hash.toString('hex')}+${typed.toString('base64')}` }
}

function cosignature(note: string): string {
  const seconds = 1_780_000_000
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(BigInt(seconds))
  const text = note.slice(0, note.lastIndexOf('\n\n') + 1)
  const signature = signerOf(77).sign(bytesOf(`cosignature/v1\ntime ${seconds}\n${text}`))
  return `— ${witness.name} ${Buffer.concat([witness.hash, time, signature]).toString('base64')}\n`
}

/** What its writer leaves that nobody reads: locks, and room for a full disk. */
const notRead = /\/(?:lock\.[^/]*|reserve)$/

function filesIn(folder: string): Files {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name))
    .filter((path) => !notRead.test(path))
    .sort()
  return new Map(found.map((path) => [relative(folder, path).split(sep).join('/'), new Uint8Array(readFileSync(path))]))
}

function checkLaid(files: Files, segments: readonly string[]): void {
  const found = segmentNames(files).map((path) => path.split(/[/.]/)[2])
  if (found.join() !== segments.join()) throw new Error(`the segments are ${found}, not ${segments}`)
}

/** Paths, in order. */
export function segmentNames(files: Files): readonly string[] {
  return [...files.keys()].filter((path) => path.startsWith('main/segments/')).sort()
}

export function read(files: Files, path: string): Uint8Array {
  const bytes = files.get(path)
  if (bytes === undefined) throw new Error(`there is no ${path}`)
  return bytes
}

export function textOf(files: Files, path: string): string {
  return Buffer.from(read(files, path)).toString('utf8')
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
