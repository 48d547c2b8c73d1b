/** @node A segment's bytes, in blocks of whole lines: constant memory, whatever the file holds. */
import { Buffer } from 'node:buffer'
import { type FileSystem, fileError } from '../storage/filesystem.ts'

export const newline = 0x0a

/** Longest line that is written or read, in bytes: far above the 16 KiB that an entry may have. */
export const maxLine: number = 1024 * 1024

const usualBytes = 256 * 1024

/** `bytes[start…end)` of a buffer that the next block overwrites. There is always a byte before `start` to borrow. */
export interface Block {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  /** True: whole lines, each with its newline. False: a piece without one, at the end of the file or too long for a line. */
  readonly whole: boolean
}

/** Reads to the end that the file has on arrival there. Errors: `PROVIDER_UNAVAILABLE`. */
export async function* blocksOf(fs: FileSystem, path: string): AsyncGenerator<Block, void, undefined> {
  let bytes = Buffer.allocUnsafeSlow(usualBytes)
  let filled = 1
  let position = 0
  const failed = (error: unknown) => {
    throw fileError('read', path, error)
  }
  const file = await fs.open(path, 'read').catch(failed)
  try {
    for (;;) {
      const got = await file.read(bytes.subarray(filled), position).catch(failed)
      if (got === 0) break
      position += got
      filled += got
      const end = bytes.lastIndexOf(newline, filled - 1) + 1
      if (end > 1) yield { bytes, start: 1, end, whole: true }
      const rest = Math.max(end, 1)
      if (filled - rest > maxLine) {
        yield { bytes, start: rest, end: filled, whole: false }
        filled = 1
      } else {
        // Only a long line leaves so much behind that the buffer must grow to hold its end.
        const larger = filled - rest > bytes.length / 2 ? Buffer.allocUnsafeSlow(2 * bytes.length) : bytes
        bytes.copy(larger, 1, rest, filled)
        bytes = larger
        filled = 1 + filled - rest
      }
    }
    if (filled > 1) yield { bytes, start: 1, end: filled, whole: false }
  } finally {
    await file.close()
  }
}
