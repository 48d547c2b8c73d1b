/** @node Proofs that one checkpoint of a trail continues another: nothing before it was changed or taken away. */
import { engine } from '#engine'
import { equal, toBase64 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, nodeFileSystem } from '../../storage/filesystem.ts'
import { blocksOf, newline } from '../blocks.ts'
import { isCommit, parseCommit } from '../commit.ts'
import { findInstances, type Instance, type Layout, listSegments } from '../layout.ts'
import { type Hashes, openHashes, rootAt } from '../tree/hashes.ts'
import { consistencyProof, verifyConsistency } from '../tree/proofs.ts'
import { emptyTree } from '../tree/tree.ts'
import {
  keysOf,
  openCheckpoint,
  readPublished,
  type SignedCheckpoint,
  type TrailKeys,
  type Vkeys,
  verifiersFor,
} from './signed-checkpoint.ts'
import { hashesIn } from './tlog-proof.ts'

/** A checkpoint: its size, at which the trail signed one, or the signed note itself, such as a pin's. */
export type CheckpointRef = bigint | string

export interface ProveConsistencyOptions {
  readonly from: CheckpointRef
  /** The published one by default. */
  readonly to?: CheckpointRef
  /** Who must have signed both; whoever trail.json names, if it is left out. */
  readonly vkey?: Vkeys
  readonly fs?: FileSystem
}

export interface ConsistencyProof {
  readonly instance: string
  /** Signed checkpoints. */
  readonly old: string
  readonly new: string
  /** RFC 6962 §2.1.2, hashes of 32 bytes; empty where `old` is of the empty trail, which anything continues. */
  readonly proof: readonly Uint8Array[]
  /** Old size, proof and new checkpoint as a file: the body of an `add-checkpoint` request (c2sp.org/tlog-witness). */
  readonly text: string
}

/**
 * Proves that the trail at `path` only grew from one checkpoint to another. Checked before it is returned.
 *
 * Errors: `INVALID_INPUT` (no trail there, or several and no note to tell which; no checkpoint at that size; notes that the
 * trail's keys did not sign; `from` above `to`), `ROLLED_BACK` (a checkpoint is ahead of the trail or of other entries: it
 * was rolled back or forked), `INTERNAL` (damage), `PROVIDER_UNAVAILABLE` (disk).
 */
export async function proveConsistency(path: string, options: ProveConsistencyOptions): Promise<ConsistencyProof> {
  const { fs = nodeFileSystem, from, to, vkey } = options
  const { instance, keys } = await instanceFor({ fs, path, refs: [from, to], vkey })
  const published = await readPublished(fs, instance.layout, keys)
  const finding = { fs, layout: instance.layout, keys, published }
  const newer = to === undefined ? published : await checkpointFor(finding, to)
  const older = await checkpointFor(finding, from)
  if (older.size > newer.size)
    throw new KmsError('INVALID_INPUT', `the old checkpoint has ${older.size} entries, the new one ${newer.size}`)
  const hashes = await openHashes({ fs, engine, layout: instance.layout, size: newer.size })
  for (const one of [older, newer]) await checkIsOurs(hashes, one)
  const proof = older.size === 0n ? [] : await consistencyProof(engine, hashes, { from: older.size, to: newer.size })
  if (!continues(older, newer, proof)) throw new KmsError('INTERNAL', 'the proof does not hold: verify the trail')
  const text = formatConsistency({ size: older.size, proof, note: newer.note })
  return { instance: instance.name, old: older.note, new: newer.note, proof, text }
}

export interface CheckConsistencyOptions {
  /** Signed checkpoints. */
  readonly old: string
  readonly new: string
  readonly proof: readonly Uint8Array[]
  /** The trail's key, kept elsewhere; several where it was rotated. */
  readonly vkey: Vkeys
}

export type CheckedConsistency =
  | { readonly valid: true; readonly origin: string; readonly from: bigint; readonly to: bigint }
  | { readonly valid: false; readonly problem: string }

/**
 * Checks offline that checkpoint `new` continues checkpoint `old`. That anything continues an empty trail needs no proof.
 * Errors: `INVALID_INPUT` for a `vkey` that is no key; all else is an answer.
 */
export async function checkConsistency(given: CheckConsistencyOptions): Promise<CheckedConsistency> {
  const verifiers = verifiersFor(given.vkey)
  const older = openCheckpoint(given.old, verifiers)
  const newer = openCheckpoint(given.new, verifiers)
  if (older === undefined)
    return { valid: false, problem: 'the old checkpoint is not signed by the key that was given' }
  if (newer === undefined)
    return { valid: false, problem: 'the new checkpoint is not signed by the key that was given' }
  if (older.origin !== newer.origin) return { valid: false, problem: 'the checkpoints are of different trails' }
  if (!continues(older, newer, given.proof))
    return { valid: false, problem: 'the new checkpoint is not proven to continue the old one' }
  return { valid: true, origin: newer.origin, from: older.size, to: newer.size }
}

/** What stands in the file of a {@link ConsistencyProof}; nothing of it is verified. */
export interface ConsistencyText {
  /** Of the old checkpoint. */
  readonly size: bigint
  readonly proof: readonly Uint8Array[]
  /** The new checkpoint. */
  readonly note: string
}

export function formatConsistency({ size, proof, note }: ConsistencyText): string {
  return `old ${size}\n${proof.map((hash) => `${toBase64(hash)}\n`).join('')}\n${note}`
}

/** Undefined when it is not what {@link formatConsistency} makes. */
export function parseConsistency(text: string): ConsistencyText | undefined {
  const end = text.indexOf('\n\n')
  const [first = '', ...lines] = text.slice(0, Math.max(0, end)).split('\n')
  const [, digits] = /^old (0|[1-9][0-9]{0,18})$/.exec(first) ?? []
  const proof = hashesIn(lines)
  if (digits === undefined || proof === undefined) return undefined
  return { size: BigInt(digits), proof, note: text.slice(end + 2) }
}

function continues(older: SignedCheckpoint, newer: SignedCheckpoint, proof: readonly Uint8Array[]): boolean {
  const { size: from, root: fromRoot } = older
  const { size: to, root: toRoot } = newer
  if (from === 0n && to > 0n) return proof.length === 0 && equal(fromRoot, emptyTree(engine).root())
  return verifyConsistency(engine, { from, fromRoot, to, toRoot, proof })
}

async function checkIsOurs(hashes: Hashes, { size, root }: SignedCheckpoint): Promise<void> {
  if (equal(await rootAt(engine, hashes, size), root)) return
  throw new KmsError('ROLLED_BACK', `the trail's first ${size} entries are not those of this checkpoint: verify it`)
}

interface Choosing {
  readonly fs: FileSystem
  readonly path: string
  readonly refs: readonly (CheckpointRef | undefined)[]
  readonly vkey: Vkeys | undefined
}

/** The trail that a note is of, or the only one. */
async function instanceFor({ fs, path, refs, vkey }: Choosing): Promise<{ instance: Instance; keys: TrailKeys }> {
  const instances = await findInstances(fs, path)
  const notes = refs.filter((ref) => typeof ref === 'string')
  for (const instance of instances) {
    const own = await keysOf(fs, instance.layout)
    const isMeant = instances.length === 1 || notes.some((note) => note.startsWith(`${own.origin}\n`))
    if (isMeant) return { instance, keys: vkey === undefined ? own : await keysOf(fs, instance.layout, vkey) }
  }
  throw new KmsError('INVALID_INPUT', `there are several trails at ${path}: name one of them, or a checkpoint of one`)
}

interface Finding {
  readonly fs: FileSystem
  readonly layout: Layout
  readonly keys: TrailKeys
  readonly published: SignedCheckpoint
}

async function checkpointFor(finding: Finding, ref: CheckpointRef): Promise<SignedCheckpoint> {
  const { keys, published } = finding
  const note = typeof ref === 'string' ? ref : await noteAt(finding, ref)
  const checkpoint = note === undefined ? undefined : openCheckpoint(note, keys.verifiers)
  if (checkpoint === undefined)
    throw new KmsError(
      'INVALID_INPUT',
      `${spell(ref)} that a key of ${keys.origin} signed: take one of its checkpoints`,
    )
  if (checkpoint.size <= published.size) return checkpoint
  throw new KmsError(
    'ROLLED_BACK',
    `the checkpoint has ${checkpoint.size} entries and ${published.size} are published: flush the trail, or verify it`,
  )
}

function spell(ref: CheckpointRef): string {
  return typeof ref === 'bigint' ? `there is no checkpoint of ${ref} entries` : 'this is no checkpoint'
}

/** The signed note of the commit line that ends at this size: one stands after each batch. */
async function noteAt({ fs, layout, published }: Finding, size: bigint): Promise<string | undefined> {
  if (size === published.size) return published.note
  const segments = await listSegments(fs, layout)
  const segment = segments.findLast(({ first }) => first < size)
  if (segment === undefined) return undefined
  for await (const { bytes, start, end, whole } of blocksOf(fs, segment.path)) {
    for (let at = start; whole && at < end; at = bytes.indexOf(newline, at) + 1) {
      if (!isCommit(bytes, at)) continue
      const commit = parseCommit(bytes.toString('utf8', at, bytes.indexOf(newline, at)))
      if (commit?.size === size) return commit.note
    }
  }
  return undefined
}
