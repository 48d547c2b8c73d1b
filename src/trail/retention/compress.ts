/** @node Compressing a sealed segment in its place: `<first>.jsonl` becomes `<first>.jsonl.gz`. */
import { equal } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, fileError, removeIfThere } from '../../storage/filesystem.ts'
import { compressedAt, type Layout, type Segment } from '../layout.ts'
import { digestOf, prepareFile, rawBytes } from './stream.ts'

export interface CompressOptions {
  readonly fs: FileSystem
  readonly layout: Layout
  /** Sealed: nothing is appended to it any more. */
  readonly segment: Segment
  /** Throws when this process may no longer write. */
  readonly check: () => void
}

/**
 * The segment, compressed. The plain file goes only when the compressed one is on the disk and was read back: after a crash
 * in between both are there, the plain one counts, and the next call repeats it. One at a time, and not while pruning.
 * Errors: `PROVIDER_UNAVAILABLE`, and the plain file is still there; those of `check`.
 */
export async function compressSegment({ fs, layout, segment, check }: CompressOptions): Promise<Segment> {
  if (segment.compressed) return segment
  const compressed = compressedAt(layout, segment.first)
  const { path } = compressed
  await (await prepareFile(fs, { path, pieces: rawBytes(fs, segment.path), gzip: true })).place()
  const [plain, readBack] = await Promise.all([digestOf(rawBytes(fs, segment.path)), digestOf(rawBytes(fs, path))])
  check()
  if (!equal(plain, readBack)) {
    await removeIfThere(fs, path)
    throw new KmsError('PROVIDER_UNAVAILABLE', `${path} does not read back as it was written: the plain file stays`)
  }
  await removeIfThere(fs, segment.path)
  await fs.syncFolder(layout.segments).catch((error) => {
    throw fileError('sync', layout.segments, error)
  })
  return compressed
}
