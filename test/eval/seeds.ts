/** @node Seeds that nobody chose: drawn from the id of the commit at which the thresholds were fixed. */
import { createHash } from 'node:crypto'

/** As many numbers of 32 bits as asked for, at most eight: the SHA-256 of `text`, four bytes at a time, most significant first. */
export function seedsFrom(text: string, count: number): readonly number[] {
  const digest = createHash('sha256').update(text).digest()
  return Array.from({ length: Math.min(count, digest.length / 4) }, (_, at) => digest.readUInt32BE(4 * at))
}
