/** @node A segment's bytes, in blocks of whole lines: constant memory, whatever the file holds. */
import { Buffer } from 'node:buffer'
import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { closeFile, type FileSystem, fileError, type OpenFile, statusOf, systemCode } from '../storage/filesystem.ts'

export const newline = 0x0a

/** Longest line that is written or read, in bytes: far above the 16 KiB that an entry may have. */
export const maxLine: number = 1024 * 1024

const usualBytes = 256 * 1024

/** For who looks for few bytes in many: then reading is most of the work, and a mebibyte at a time costs a fifth less. */
export const searchedBytes: number = 1024 * 1024

/** `bytes[start…end)` of a buffer that the next block overwrites. There is always a byte before `start` to borrow. */
export interface Block {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  /** True: whole lines, each with its newline. False: a piece without one, at the end of the file or too long for a line. */
  readonly whole: boolean
  /** Why nothing follows, where that is not the end of the file: what is compressed does not unpack. */
  readonly damage?: string
  /** Bytes of the file read so far; fewer than were unpacked, where it is compressed. */
  readonly read: number
}

/**
 * Reads to the end that the file has on arrival there; unpacks it when its name ends in `.gz`. What comes next is read while
 * a block is looked at. Errors: `PROVIDER_UNAVAILABLE`.
 */
export async function* blocksOf(
  fs: FileSystem,
  path: string,
  /** How large blocks become in a file that is as large. */
  most: number = usualBytes,
): AsyncGenerator<Block, void, undefined> {
  const file = await fs.open(path, 'read').catch((error) => {
    throw fileError('read', path, error)
  })
  const source = path.endsWith('.gz') ? unpacked(file, path) : asItIs(file, path)
  let bytes = Buffer.allocUnsafeSlow(usualBytes)
  let spare = Buffer.allocUnsafeSlow(usualBytes)
  let filled = 1
  let filling = source.fill(bytes, filled)
  try {
    for (;;) {
      const got = await filling
      const { read } = source
      if (got === 0) break
      filled += got
      const end = bytes.lastIndexOf(newline, filled - 1) + 1
      const rest = Math.max(end, 1)
      const isTooLong = filled - rest > maxLine
      const kept = isTooLong ? 0 : filled - rest
      // Only a long line leaves so much behind that the buffer must grow to hold its end.
      const size = kept > bytes.length / 2 || (bytes.length < most && read >= most) ? 2 * bytes.length : bytes.length
      if (spare.length < size) spare = Buffer.allocUnsafeSlow(size)
      bytes.copy(spare, 1, rest, rest + kept)
      filling = source.fill(spare, 1 + kept)
      // Whoever takes the next block hears of its failure; who leaves before does not ask.
      filling.catch(heard)
      if (end > 1) yield { bytes, start: 1, end, whole: true, read }
      if (isTooLong) yield { bytes, start: rest, end: filled, whole: false, read }
      const used = bytes
      bytes = spare
      spare = used
      filled = 1 + kept
    }
    const { read, damage } = source
    if (damage !== undefined) yield { bytes, start: 1, end: filled, whole: false, damage, read }
    else if (filled > 1) yield { bytes, start: 1, end: filled, whole: false, read }
  } finally {
    await filling.catch(heard)
    await source.close()
  }
}

/** For a failure that another has heard of, or that nobody asks for any more. */
function heard(): void {}

/** As `blocksOf`, of a segment that may have been compressed since the folder was listed; one that is open already stays readable. */
export async function* segmentBlocks(fs: FileSystem, path: string): AsyncGenerator<Block, void, undefined> {
  const packed = `${path}.gz`
  let isOpen = false
  try {
    for await (const block of blocksOf(fs, path)) {
      isOpen = true
      yield block
    }
  } catch (error) {
    if (isOpen || statusOf(fs, path) !== undefined || statusOf(fs, packed) === undefined) throw error
    yield* blocksOf(fs, packed)
  }
}

interface Source {
  /** Puts what comes next into `bytes` from `at` on; resolves to how many, 0 at the end. */
  fill(bytes: Buffer, at: number): Promise<number>
  readonly read: number
  readonly damage: string | undefined
  close(): Promise<void>
}

function asItIs(file: OpenFile, path: string): Source {
  let read = 0
  return {
    async fill(bytes, at) {
      const got = await readAt(file, path, { into: bytes.subarray(at), position: read })
      read += got
      return got
    },
    get read() {
      return read
    },
    damage: undefined,
    close: () => closeFile(file, path),
  }
}

function unpacked(file: OpenFile, path: string): Source {
  let read = 0
  let damage: string | undefined
  async function* packed(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      // The stream keeps what it is given.
      const into = new Uint8Array(packedBytes)
      const got = await readAt(file, path, { into, position: read })
      if (got === 0) return
      read += got
      yield into.subarray(0, got)
    }
  }
  const pieces: AsyncIterator<Buffer> = pipeline(Readable.from(packed()), createGunzip(), told)[Symbol.asyncIterator]()
  let piece: Buffer = Buffer.alloc(0)

  async function next(): Promise<boolean> {
    try {
      const { done, value } = await pieces.next()
      if (done === true) return false
      piece = value
      return true
    } catch (error) {
      if (!systemCode(error)?.startsWith('Z_')) throw error
      damage = 'the compressed file is damaged'
      return false
    }
  }

  return {
    async fill(bytes, at) {
      while (piece.length === 0) if (!(await next())) return 0
      const got = Math.min(piece.length, bytes.length - at)
      bytes.set(piece.subarray(0, got), at)
      piece = piece.subarray(got)
      return got
    },
    get read() {
      return read
    },
    get damage() {
      return damage
    },
    async close() {
      await pieces.return?.()
      await closeFile(file, path)
    },
  }
}

const packedBytes = 64 * 1024

/** A failed pipeline is told to whoever reads its end. */
function told(): void {}

interface Reading {
  readonly into: Uint8Array
  readonly position: number
}

async function readAt(file: OpenFile, path: string, { into, position }: Reading): Promise<number> {
  try {
    return await file.read(into, position)
  } catch (error) {
    throw fileError('read', path, error)
  }
}
