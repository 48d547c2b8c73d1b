/** @node Making an archive: written, read back, and never in place of another file. */
import { dirname, resolve, sep } from 'node:path'
import { equal, hex, utf8 } from '../../crypto/bytes.ts'
import { sha256 } from '../../crypto/digest.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, fileError, removeIfThere, statusOf } from '../../storage/filesystem.ts'
import { checkPath, type Layout, type Segment } from '../layout.ts'
import { type ArchiveHeader, formatArchiveHeader, isCompressedName, openArchive } from './archive.ts'
import { digestOf, fileBytes, prepareFile, rawBytes } from './stream.ts'

export interface ArchiveOptions {
  readonly fs: FileSystem
  readonly path: string
  readonly header: ArchiveHeader
  /** Those with the entries from `header.from` to below `header.below`. */
  readonly segments: readonly Segment[]
}

/** Errors: `INVALID_INPUT` for a name within the trail, which an archive is to outlive. */
export function checkArchivePath(layout: Layout, path: string): void {
  checkPath(path)
  const trail = resolve(layout.folder, '..')
  if (`${resolve(path)}${sep}`.startsWith(trail + sep))
    throw new KmsError('INVALID_INPUT', `${path} lies inside the trail's folder: archive to a place of its own`)
}

/**
 * Writes the archive and resolves to the SHA-256 of the file, hex, once it is on the disk and was read back. A file of that
 * name that is this very archive, which an attempt that failed later may have left, is taken as it is.
 *
 * Errors: `INVALID_INPUT` (another file has the name), `PROVIDER_UNAVAILABLE`.
 */
export async function writeArchive({ fs, path, header, segments }: ArchiveOptions): Promise<string> {
  const taken = statusOf(fs, path) !== undefined
  if (taken) await checkSameArchive(fs, path, header)
  const raw = sha256()
  const pieces = piecesOf(fs, { header, segments, see: raw.update })
  const prepared = await prepareFile(fs, { path, pieces, gzip: isCompressedName(path) })
  const already = taken && equal(await digestOf(fileBytes(fs, path)), prepared.sha256)
  if (taken) await prepared.drop()
  if (taken && !already) throw inTheWay(path)
  if (!taken) await prepared.place()
  await syncFolderOf(fs, path)

  try {
    const [asFile, asLines] = [await digestOf(fileBytes(fs, path)), await digestOf(rawBytes(fs, path))]
    if (equal(asFile, prepared.sha256) && equal(asLines, raw.digest())) return hex(asFile)
    throw new KmsError('PROVIDER_UNAVAILABLE', `${path} does not read back as it was written: nothing is dropped`)
  } catch (error) {
    // Why it failed tells more than a failure to clear up, after which the file is in the way of the next attempt.
    if (!taken) await removeIfThere(fs, path).catch(() => undefined)
    throw error
  }
}

interface Pieces {
  readonly header: ArchiveHeader
  readonly segments: readonly Segment[]
  readonly see: (piece: Uint8Array) => void
}

async function* piecesOf(fs: FileSystem, { header, segments, see }: Pieces): AsyncGenerator<Uint8Array> {
  const first = utf8(`${formatArchiveHeader(header)}\n`)
  see(first)
  yield first
  for (const { path } of segments)
    for await (const piece of rawBytes(fs, path)) {
      see(piece)
      yield piece
    }
}

/** Said before the work of writing it, where that can be told. */
async function checkSameArchive(fs: FileSystem, path: string, wanted: ArchiveHeader): Promise<void> {
  const found = await openArchive(fs, path).catch((error) => {
    if (error instanceof KmsError && error.code === 'INVALID_INPUT') throw inTheWay(path)
    throw error
  })
  if (formatArchiveHeader(found.header) !== formatArchiveHeader(wanted)) throw inTheWay(path)
}

function inTheWay(path: string): KmsError {
  return new KmsError('INVALID_INPUT', `${path} exists, and is never written over: name another file`)
}

async function syncFolderOf(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.syncFolder(dirname(path))
  } catch (error) {
    throw fileError('sync', dirname(path), error)
  }
}
