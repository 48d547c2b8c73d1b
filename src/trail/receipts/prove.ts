/** @node Receipts: one entry, proven offline with nothing but the trail's key. */
import { engine } from '#engine'
import { fromUtf8, utf8 } from '../../crypto/bytes.ts'
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, nodeFileSystem, readIfThere } from '../../storage/filesystem.ts'
import { witnessedFile } from '../anchors/anchoring.ts'
import { cosignatureVerifier } from '../anchors/cosignature.ts'
import { findInstances, type Layout, listSegments } from '../layout.ts'
import { parseEntry } from '../reading/entry-line.ts'
import { archivedEntry, openArchive } from '../retention/archive.ts'
import { type Hashes, openHashes } from '../tree/hashes.ts'
import { inclusionProof, verifyInclusion } from '../tree/proofs.ts'
import { leafHash } from '../tree/tree.ts'
import { type FoundEntry, findEntry, isUncovered, type Looking } from './find-entry.ts'
import {
  keysOf,
  openCheckpoint,
  readPublished,
  type SignedCheckpoint,
  type TrailKeys,
  type Vkeys,
  verifiersFor,
} from './signed-checkpoint.ts'
import { formatTlogProof, parseTlogProof } from './tlog-proof.ts'

export interface ProveOptions {
  /** Who must have signed the checkpoint; whoever trail.json names, if it is left out. */
  readonly vkey?: Vkeys
  /** File with pruned entries of the trail, where the entry is one of them. */
  readonly archive?: string
  readonly fs?: FileSystem
}

/** An entry, its place, and the proof of both. */
export interface EntryProof {
  /** Directory name of the trail that holds the entry. */
  readonly instance: string
  /** Position in that trail, from 0. */
  readonly index: bigint
  /** The entry's exact line. */
  readonly line: string
  /** The signed checkpoint that covers it. */
  readonly checkpoint: string
  /** The key that signed `checkpoint`, and that checks the receipt. */
  readonly vkey: string
  /** The receipt, a tlog-proof file (c2sp.org/tlog-proof) with the entry's line as its `extra`. */
  readonly text: string
}

/**
 * Makes a receipt for the entry with this `eventID`, which is looked for in all trails under `path` (one instance, or the
 * parent of many). It rests on the newest cosigned checkpoint that covers the entry, else on the published one, and was
 * checked before it is returned.
 *
 * Errors: `INVALID_INPUT` (no trail there; no such entry, or it was pruned and `archive` does not hold it; `vkey` is not
 * the trail's), `PROVIDER_UNAVAILABLE` (the entry is not published yet: flush the trail; the disk), `INTERNAL` (damage).
 *
 * @example
 * ```ts
 * const { text, vkey } = await proveEntry('./audit', eventID)
 * const checked = await checkProof(text, { vkey })          // offline
 * ```
 */
export async function proveEntry(path: string, eventID: string, options: ProveOptions = {}): Promise<EntryProof> {
  const { fs = nodeFileSystem, vkey, archive } = options
  const instances = await findInstances(fs, path)
  let pruned = false
  for (const { name, layout } of instances) {
    const own = await keysOf(fs, layout)
    const { size } = await readPublished(fs, layout, own)
    const looking = { fs, layout, eventID, size }
    const found = (await findEntry(looking)) ?? (await findArchived(looking, own.origin, archive))
    if (found !== undefined) {
      const keys = vkey === undefined ? own : await keysOf(fs, layout, vkey)
      return { instance: name, ...(await proverOf({ fs, layout, keys })(found)) }
    }
    if (await isUncovered(looking))
      throw new KmsError('PROVIDER_UNAVAILABLE', 'the entry is not yet published: flush the trail, and prove it then')
    pruned ||= ((await listSegments(fs, layout))[0]?.first ?? 0n) > 0n
  }
  const where = archive === undefined ? 'name the archive of what was pruned' : `nor does ${archive} hold it`
  throw new KmsError('INVALID_INPUT', `there is no entry ${eventID} in ${path}${pruned ? `: ${where}` : ''}`)
}

async function findArchived(
  { fs, eventID, size }: Looking,
  origin: string,
  path: string | undefined,
): Promise<FoundEntry | undefined> {
  if (path === undefined) return undefined
  const archive = await openArchive(fs, path)
  const found = archive.header.origin === origin ? await archivedEntry(archive, eventID) : undefined
  return found !== undefined && found.index < size ? found : undefined
}

/** Makes receipts of one trail's entries; hashes are read once for all of them. */
type Prover = (found: FoundEntry) => Promise<Omit<EntryProof, 'instance'>>

function proverOf({ fs, layout, keys }: ProvenTrail): Prover {
  const opened = new Map<bigint, Promise<Hashes>>()
  return async ({ index, line }) => {
    const { size, root, note, vkey } = await checkpointOver(fs, layout, { keys, index })
    const hashes = opened.get(size) ?? openHashes({ fs, engine, layout, size })
    opened.set(size, hashes)
    const proof = await inclusionProof(engine, await hashes, { index, size })
    if (!verifyInclusion(engine, { index, size, root, proof, leafHash: leafHash(engine, line) }))
      throw new KmsError(
        'INTERNAL',
        `entry ${index} is not what was signed, or a tile is damaged: verify the trail; if it is valid, remove its tile folder`,
      )
    const text = formatTlogProof({ index, extra: line, proof, checkpoint: note })
    return { index, line: fromUtf8(line) ?? '', checkpoint: note, vkey, text }
  }
}

interface ProvenTrail {
  readonly fs: FileSystem
  readonly layout: Layout
  readonly keys: TrailKeys
}

/** An entry whose place is known, as `readTrail` gives it. */
export interface PlacedLine {
  /** Directory name of the trail that holds it. */
  readonly instance: string
  readonly index: bigint
  /** Its exact line: `lineOf` of the entry. */
  readonly line: string
}

/**
 * Receipts for many entries of the trails under `path`, in their order; each trail's hashes are read once. Of an entry that no
 * published checkpoint covers yet there is none: undefined.
 *
 * Errors: as {@link proveEntry}, and `INVALID_INPUT` for an instance that is not there.
 */
export async function* proveEntries(
  path: string,
  wanted: Iterable<PlacedLine> | AsyncIterable<PlacedLine>,
  { fs = nodeFileSystem, vkey }: Omit<ProveOptions, 'archive'> = {},
): AsyncGenerator<EntryProof | undefined, void, undefined> {
  const instances = await findInstances(fs, path)
  const trails = new Map<string, Promise<{ readonly size: bigint; readonly prove: Prover }>>()
  async function open(name: string) {
    const layout = instances.find((one) => one.name === name)?.layout
    if (layout === undefined) throw new KmsError('INVALID_INPUT', `there is no trail of that name in ${path}`)
    const own = await keysOf(fs, layout)
    const { size } = await readPublished(fs, layout, own)
    const keys = vkey === undefined ? own : await keysOf(fs, layout, vkey)
    return { size, prove: proverOf({ fs, layout, keys }) }
  }
  for await (const { instance, index, line } of wanted) {
    const opened = trails.get(instance) ?? open(instance)
    trails.set(instance, opened)
    const { size, prove } = await opened
    yield index < size ? { instance, ...(await prove({ index, line: utf8(line) })) } : undefined
  }
}

/** What a witness has cosigned is worth more than what is newer. */
async function checkpointOver(
  fs: FileSystem,
  layout: Layout,
  { keys, index }: { readonly keys: TrailKeys; readonly index: bigint },
): Promise<SignedCheckpoint> {
  const bytes = await readIfThere(fs, witnessedFile(layout))
  const witnessed = bytes && openCheckpoint(fromUtf8(bytes) ?? '', keys.verifiers)
  return witnessed !== undefined && witnessed.size > index ? witnessed : readPublished(fs, layout, keys)
}

export interface CheckOptions {
  /** The trail's key, kept elsewhere; several where it was rotated. */
  readonly vkey: Vkeys
  /** Witnesses that must have cosigned the checkpoint. */
  readonly witness?: Vkeys
}

/** What a receipt proves, or why it proves nothing. */
export type CheckedProof =
  | {
      readonly valid: true
      /** Of the trail. */
      readonly origin: string
      readonly index: bigint
      /** Entries that the checkpoint covers. */
      readonly size: bigint
      /** Who signed it. */
      readonly vkey: string
      readonly entry: AuditEntry
      /** The entry's exact line. */
      readonly line: string
      /** When each witness asked for cosigned the checkpoint, ms since the epoch. */
      readonly witnesses: readonly { readonly vkey: string; readonly time: number }[]
    }
  | { readonly valid: false; readonly problem: string }

/**
 * Checks a receipt with nothing but the trail's key: that this entry stood at this place in a tree whose root the key
 * signed, and the witnesses cosigned. It does not tell whether entries followed.
 *
 * Errors: `INVALID_INPUT` for a `vkey` or `witness` that is no key. Whatever `text` holds is an answer.
 */
export async function checkProof(text: string, { vkey, witness = [] }: CheckOptions): Promise<CheckedProof> {
  const verifiers = verifiersFor(vkey)
  const witnesses = [witness].flat().map((one) => cosignatureVerifier(engine, one))
  const receipt = typeof text === 'string' ? parseTlogProof(text) : undefined
  if (receipt === undefined) return invalid('this is no tlog-proof file')
  const { index, extra, proof, checkpoint: note } = receipt
  const checkpoint = openCheckpoint(note, verifiers)
  if (checkpoint === undefined) return invalid('the checkpoint is not signed by the key that was given')
  const line = extra && fromUtf8(extra)
  const entry = line === undefined ? undefined : parseEntry(line)
  if (extra === undefined || line === undefined || entry === undefined) return invalid('it holds no audit entry')
  const { origin, size, root } = checkpoint
  if (!verifyInclusion(engine, { index, size, root, proof, leafHash: leafHash(engine, extra) }))
    return invalid('the entry is not at this place in what was signed')
  const times: { vkey: string; time: number }[] = []
  for (const one of witnesses) {
    const cosigned = one.open(note)
    if (cosigned === undefined) return invalid(`the checkpoint is not cosigned by ${one.name}`)
    times.push({ vkey: one.vkey, time: cosigned.time })
  }
  return { valid: true, origin, index, size, vkey: checkpoint.vkey, entry, line, witnesses: times }
}

function invalid(problem: string): CheckedProof {
  return { valid: false, problem }
}
