/** @node An archive's file: entries that retention dropped, verified without the trail they came from. */
import { basename } from 'node:path'
import { engine } from '#engine'
import { type FileSystem, statusOf } from '../../storage/filesystem.ts'
import type { Segment } from '../layout.ts'
import type { NoteVerifier } from '../note.ts'
import { type Archive, openArchive } from '../retention/archive.ts'
import { treeFrom } from '../tree/tree.ts'
import { anchorOf, claimsOn, type Given, strongest } from './anchors.ts'
import { conclude, type Judging, signsNow, weighAll } from './conclusion.ts'
import type { VerifyProgress } from './instance.ts'
import { type ChainKey, keyAt, namedKeys } from './keys.ts'
import { type Conclusion, type InstanceVerdict, nothing, type Problem, tampered, unverifiable } from './verdict.ts'
import { type Walk, walk } from './walk.ts'

export interface ArchiveVerifying {
  readonly fs: FileSystem
  readonly path: string
  /** The keys given. */
  readonly keys: readonly NoteVerifier[]
  readonly anchors: Given
  readonly onProgress: (progress: VerifyProgress) => void
}

/** Anchors count that cover a size within the archive. Errors: as openArchive. */
export async function verifyArchive(verifying: ArchiveVerifying): Promise<InstanceVerdict> {
  const { fs, path, keys } = verifying
  const archive = await openArchive(fs, path)
  const { header } = archive
  const { origin } = header
  const known = { instance: basename(path), origin, ...nothing } as const
  const named = namedKeys(engine, header)
  if (named === undefined) return { ...known, ...tampered({ line: 1, problem: 'the header names no keys in order' }) }
  if (keys.length > 0 && keys.every(({ name }) => name !== origin)) {
    const note = 'give the vkey of the trail that it is of, or none to check it against its own'
    return { ...known, ...unverifiable(`no key was given for ${origin}`, note) }
  }
  return { ...known, ...(await verifyEntries(verifying, { archive, named })) }
}

interface Opened {
  readonly archive: Archive
  readonly named: readonly [ChainKey, ...ChainKey[]]
}

async function verifyEntries(
  { fs, path, keys, anchors: given, onProgress }: ArchiveVerifying,
  { archive, named }: Opened,
): Promise<Conclusion & Partial<InstanceVerdict>> {
  const { origin, from, below, peaks } = archive.header
  const segment: Segment = { name: basename(path), path, first: from, compressed: path.endsWith('.gz') }
  const notes = given.notes.filter(({ checkpoint: { size } }) => size > from && size <= below)
  const claims = await claimsOn(fs, { ...given, notes }, { origin })
  const start = { tree: treeFrom(engine, from, peaks), segments: [segment] }
  const totalBytes = statusOf(fs, path)?.size ?? 0
  const walked = await walk({
    fs,
    origin,
    tree: start.tree,
    segments: start.segments,
    blocksIn: () => archive.blocks(),
    firstKey: keyAt(named, from),
    sizes: claims.claims.map(({ size }) => size),
    onBytes: (bytes) => onProgress({ instance: segment.name, bytes, totalBytes }),
  })
  const reached = {
    size: walked.tree.size,
    root: walked.tree.root(),
    vkey: signsNow(walked),
    read: { from, bytes: walked.bytes },
  }
  const problem = walked.finding ?? walked.torn ?? againstHeader(archive, { named, walked })
  // The header is the first line.
  if (problem !== undefined) return { ...reached, ...tampered({ ...problem, line: (problem.line ?? 0) + 1 }) }
  const judging: Judging = { keys, claims, named, namedIn: 'the header', start, walked }
  const weighed = await weighAll(judging)
  const anchors = weighed.map(anchorOf)
  return { ...reached, anchor: strongest(anchors), anchors, ...conclude(judging, weighed) }
}

function againstHeader(
  { header: { from, below } }: Archive,
  { named, walked }: { readonly named: readonly ChainKey[]; readonly walked: Walk },
): Problem | undefined {
  const { tree, keys } = walked
  if (tree.size !== below) return { problem: `the archive holds entries below ${tree.size}, its header says ${below}` }
  // It was written when later keys may have signed already.
  const expected = named.filter(({ fromIndex }) => fromIndex > from && fromIndex <= below)
  const followed = keys.slice(1)
  const isSame =
    expected.length === followed.length &&
    expected.every(({ verifier, fromIndex }, at) => {
      const other = followed[at]
      return fromIndex === other?.fromIndex && verifier.vkey === other.verifier.vkey
    })
  return isSame
    ? undefined
    : { problem: 'the header names other keys, or from other entries on, than those that signed' }
}
