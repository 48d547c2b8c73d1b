/** @node The log itself: entries become lines, leaves, a root, and the one run of bytes that is appended. No files here. */
import { Buffer } from 'node:buffer'
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import { lineOf } from '../../model/line.ts'
import type { Receipt } from '../../model/sink.ts'
import { maxLine, newline } from '../blocks.ts'
import { formatCheckpoint } from '../checkpoint.ts'
import { formatCommit } from '../commit.ts'
import type { Tree } from '../tree/tree.ts'
import type { Keys } from './handover.ts'

/** What {@link Log.prepare} made, and the trail as it is once the bytes are safe. */
export interface Batch {
  /** Lines and commit line. Overwritten by the next `prepare`. */
  readonly bytes: Uint8Array
  readonly receipt: Receipt
  /** Signed checkpoint at `receipt.size`. */
  readonly note: string
  readonly tree: Tree
  /** Whether another key signs from here on. */
  readonly handsOver: boolean
}

export interface Log {
  readonly size: bigint
  /** Changes nothing: whoever fails to write the bytes prepares again. At least one entry. */
  prepare(entries: readonly AuditEntry[]): Batch
  /** The batch's bytes are on the disk. */
  accept(batch: Batch): void
  /** The trail as it was accepted. */
  receipt(): Receipt
  /** Signed checkpoint of the same, as it was written. */
  readonly checkpoint: string
}

export interface LogOptions {
  readonly origin: string
  readonly keys: Keys
  /** The trail so far, and the signed checkpoint over it. */
  readonly tree: Tree
  readonly checkpoint: string
}

const usualBytes = 64 * 1024
const keptBytes = 2 * 1024 * 1024
const commitBytes = 2048

export function openLog({ origin, keys, ...options }: LogOptions): Log {
  let { tree, checkpoint } = options
  let bytes = Buffer.allocUnsafeSlow(usualBytes)

  function reserve(used: number, more: number): void {
    if (used + more <= bytes.length) return
    const larger = Buffer.allocUnsafeSlow(2 * (used + more))
    bytes.copy(larger, 0, 0, used)
    bytes = larger
  }

  return {
    get size() {
      return tree.size
    },
    prepare(entries) {
      if (bytes.length > keptBytes) bytes = Buffer.allocUnsafeSlow(usualBytes)
      const next = tree.copy()
      // The first line starts at 1: hashing borrows the byte before a line.
      let at = 1
      for (const entry of entries) {
        const line = lineOf(entry)
        reserve(at, 3 * line.length + commitBytes)
        const end = at + bytes.write(line, at)
        if (end - at > maxLine)
          throw new KmsError('INVALID_INPUT', `an entry has ${end - at} bytes, at most ${maxLine} fit`)
        next.appendWithin(bytes, at, end)
        bytes[end] = newline
        at = end + 1
      }
      const receipt = receiptOf(origin, next)
      const handsOver = keys.hasHandover(entries)
      const note = keys.sign(formatCheckpoint(receipt), handsOver ? 'both' : 'one')
      const end = at + bytes.write(formatCommit({ from: tree.size, size: next.size, note }), at)
      bytes[end] = newline
      return { bytes: bytes.subarray(1, end + 1), receipt, note, tree: next, handsOver }
    },
    accept(batch) {
      tree = batch.tree
      checkpoint = batch.note
    },
    receipt: () => receiptOf(origin, tree),
    get checkpoint() {
      return checkpoint
    },
  }
}

function receiptOf(origin: string, tree: Tree): Receipt {
  return { origin, size: tree.size, root: tree.root() }
}
