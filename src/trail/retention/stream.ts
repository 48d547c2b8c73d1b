/** @node Files too large for memory, written and read as a stream of pieces. */
import { Buffer } from 'node:buffer'
import { dirname } from 'node:path'
import { pipeline, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { sha256 } from '../../crypto/digest.ts'
import { KmsError } from '../../model/errors.ts'
import { closeFile, type FileSystem, fileError, removeIfThere, writeAll } from '../../storage/filesystem.ts'
import { temporaryOf } from '../../storage/replace.ts'
import { blocksOf } from '../blocks.ts'

/** A file whose bytes are on the disk, under a name that does not count yet. */
export interface Prepared {
  readonly bytes: number
  /** Of the file as it is, 32 bytes. */
  readonly sha256: Uint8Array
  /** Gives it its name in place of whatever had it, durably. Errors: `PROVIDER_UNAVAILABLE`. */
  place(): Promise<void>
  drop(): Promise<void>
}

export interface Preparing {
  readonly path: string
  /** Each is used up before the next is asked for. */
  readonly pieces: AsyncIterable<Uint8Array>
  readonly gzip: boolean
}

/** Writes `path` under a temporary name beside it. After a failure nothing is left. Errors: `PROVIDER_UNAVAILABLE`. */
export async function prepareFile(fs: FileSystem, { path, pieces, gzip }: Preparing): Promise<Prepared> {
  const temporary = temporaryOf(path)
  const drop = () => removeIfThere(fs, temporary)
  await drop()
  try {
    const digest = sha256()
    let bytes = 0
    const file = await fs.open(temporary, 'create')
    try {
      for await (const piece of gzip ? gzipOf(pieces) : pieces) {
        digest.update(piece)
        bytes += piece.length
        await writeAll(file, piece)
      }
      await file.sync()
    } finally {
      await file.close()
    }
    return { bytes, sha256: digest.digest(), place: () => place(fs, temporary, path), drop }
  } catch (error) {
    // The reason tells more than a failure to clear up after it, which the next attempt repeats.
    await drop().catch(() => undefined)
    throw fileError('write', temporary, error)
  }
}

async function place(fs: FileSystem, temporary: string, path: string): Promise<void> {
  try {
    await fs.rename(temporary, path)
    await fs.syncFolder(dirname(path))
  } catch (error) {
    throw fileError('replace', path, error)
  }
}

function gzipOf(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const gzip = createGzip()
  // A failure of either side destroys the other with it, so whoever reads `gzip` hears of it.
  pipeline(Readable.from(copiesOf(pieces)), gzip, () => undefined)
  return gzip
}

/** A stream reads ahead, and a piece lasts only until the next. */
async function* copiesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) yield Buffer.from(piece)
}

/**
 * The bytes that a segment or archive holds, uncompressed, in pieces that are lent until the next. Errors:
 * `PROVIDER_UNAVAILABLE`, also when they do not unpack.
 */
export async function* rawBytes(fs: FileSystem, path: string): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { bytes, start, end, damage } of blocksOf(fs, path)) {
    if (damage !== undefined) throw new KmsError('PROVIDER_UNAVAILABLE', `cannot unpack ${path}: ${damage}`)
    yield bytes.subarray(start, end)
  }
}

/** SHA-256 over pieces. */
export async function digestOf(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const digest = sha256()
  for await (const piece of pieces) digest.update(piece)
  return digest.digest()
}

/** The bytes of a file as they are, in pieces that are lent until the next. Errors: `PROVIDER_UNAVAILABLE`. */
export async function* fileBytes(fs: FileSystem, path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const failed = (error: unknown) => {
    throw fileError('read', path, error)
  }
  const piece = new Uint8Array(256 * 1024)
  const file = await fs.open(path, 'read').catch(failed)
  try {
    for (let position = 0; ; ) {
      const got = await file.read(piece, position).catch(failed)
      if (got === 0) return
      position += got
      yield piece.subarray(0, got)
    }
  } finally {
    await closeFile(file, path)
  }
}
