/** @node What a verb works on: a file, or standard input. */
import { createReadStream } from 'node:fs'
import process from 'node:process'
import { concat } from '../crypto/bytes.ts'
import { KmsError } from '../model/errors.ts'
import { fileError } from '../storage/filesystem.ts'
import { say } from './output.ts'

/**
 * All of the file at `path`, or of standard input when it is absent or `-`.
 *
 * Errors: `INVALID_INPUT` beyond `most` bytes, `PROVIDER_UNAVAILABLE` if it cannot be read.
 */
export async function readInput(path: string | undefined, most: number): Promise<Uint8Array> {
  const isStandard = path === undefined || path === '-'
  if (isStandard && process.stdin.isTTY) say('reading from the terminal: end with Ctrl-D on a line of its own')
  const name = isStandard ? 'standard input' : path
  const stream = isStandard ? process.stdin : createReadStream(path)
  const parts: Uint8Array[] = []
  let length = 0
  try {
    // Without an encoding set, streams of bytes give Buffers.
    for await (const part of stream as AsyncIterable<Uint8Array>) {
      length += part.length
      if (length > most)
        throw new KmsError('INVALID_INPUT', `${name} holds more than ${most} bytes, the most there may be`)
      parts.push(part)
    }
  } catch (error) {
    throw fileError('read', name, error)
  }
  return concat(parts)
}
