/**
 * @node What lies beside a finished segment so that a search need not read it: `ranges/<20 digits>.jsonl`, the lowest and the
 * highest `createdAt` and `eventID` of it, and of each mebibyte or so of it. The clock is only told and may step, so nothing
 * here says that entries stand in order: what does not meet a range is left out, all else is read.
 *
 * Derived data, as tiles are: made from the segment, remade when it is gone, dropped with it. A reader believes only what
 * fits the segment as it is, and verifying goes through it again.
 */
import { join } from 'node:path'
import { equal, fromBase64, fromUtf8, toBase64, utf8 } from '../../crypto/bytes.ts'
import { type FileSystem, fileError, readIfThere, statusOf } from '../../storage/filesystem.ts'
import { parseCheckpoint } from '../checkpoint.ts'
import { parseCommit } from '../commit.ts'
import type { Layout, Segment } from '../layout.ts'

const rangesFormat = 'keytrail-ranges/1'

/** Lowest and highest text; undefined where one of them could not be told. */
export type TextRange = readonly [low: string, high: string] | undefined

export interface Range {
  readonly createdAt: TextRange
  readonly eventID: TextRange
}

/** A run of whole batches, from where the one before it ends. */
export interface Chunk extends Range {
  /** Where it ends, in the segment's bytes as they were written. */
  readonly bytes: number
  /** Entries in the trail up to there. */
  readonly size: bigint
}

export interface Ranges extends Range {
  /** Index of the segment's first entry. */
  readonly first: bigint
  readonly size: bigint
  readonly bytes: number
  /** RFC 6962 root over the first `size` entries: which entries these are the ranges of. */
  readonly root: Uint8Array
  /** At least one; the last ends where the segment does. */
  readonly chunks: readonly Chunk[]
}

export function rangesPath({ folder }: Layout, first: bigint): string {
  return join(folder, 'ranges', `${String(first).padStart(20, '0')}.jsonl`)
}

export function formatRanges({ first, size, bytes, root, chunks, ...range }: Ranges): Uint8Array {
  const head = { ranges: rangesFormat, first: String(first), size: String(size), bytes, root: toBase64(root), ...range }
  const rows = chunks.map(({ bytes, size, createdAt, eventID }) => ({ bytes, size: String(size), createdAt, eventID }))
  return utf8([head, ...rows].map((row) => `${JSON.stringify(row)}\n`).join(''))
}

/** Undefined when the bytes are not what {@link formatRanges} makes. */
export function parseRanges(bytes: Uint8Array): Ranges | undefined {
  const rows = (fromUtf8(bytes) ?? '').split('\n')
  if (rows.pop() !== '') return undefined
  const [head, ...others] = rows.map(objectIn)
  const whole = head && chunkIn(head)
  const [first, root] = [indexIn(head?.['first']), rootIn(head?.['root'])]
  if (head?.['ranges'] !== rangesFormat || whole === undefined || first === undefined || root === undefined)
    return undefined
  const chunks: Chunk[] = []
  let last: Pick<Chunk, 'bytes' | 'size'> = { bytes: 0, size: first }
  for (const row of others) {
    const chunk = row && chunkIn(row)
    if (chunk === undefined || chunk.bytes <= last.bytes || chunk.size <= last.size) return undefined
    chunks.push(chunk)
    last = chunk
  }
  if (last.bytes !== whole.bytes || last.size !== whole.size || chunks.length === 0) return undefined
  return { ...whole, first, root, chunks }
}

/**
 * What the file beside the segment says, if it is of this segment as it is now: of as many entries, up to `end`, where the
 * next one begins, and of a plain one with as many bytes and the same last root. Undefined otherwise.
 */
export async function believedRanges(
  fs: FileSystem,
  layout: Layout,
  { segment, end }: { readonly segment: Segment; readonly end: bigint },
): Promise<Ranges | undefined> {
  const bytes = await readIfThere(fs, rangesPath(layout, segment.first))
  const ranges = bytes && parseRanges(bytes)
  if (ranges?.first !== segment.first || ranges.size !== end) return undefined
  // What is compressed was compared when it was plain, and is not written to any more.
  return segment.compressed || (await isOf(fs, segment, ranges)) ? ranges : undefined
}

/** Two signatures and the longest name fit. */
const longestCommit = 2048

async function isOf(fs: FileSystem, { path }: Segment, { size, bytes, root }: Ranges): Promise<boolean> {
  if (statusOf(fs, path)?.size !== bytes) return false
  const tail = new Uint8Array(Math.min(bytes, longestCommit))
  const text = fromTail(await readAt(fs, path, { into: tail, position: bytes - tail.length }))
  const commit = parseCommit(text)
  const checkpoint = commit && parseCheckpoint(commit.note.slice(0, commit.note.indexOf('\n\n') + 1))
  return checkpoint?.size === size && equal(checkpoint.root, root)
}

/** The last whole line, without its newline; '' for none. */
function fromTail(tail: Uint8Array): string {
  const end = tail.length - 1
  const start = tail.lastIndexOf(0x0a, end - 1) + 1
  return tail[end] === 0x0a ? (fromUtf8(tail.subarray(start, end)) ?? '') : ''
}

async function readAt(
  fs: FileSystem,
  path: string,
  { into, position }: { readonly into: Uint8Array; readonly position: number },
): Promise<Uint8Array> {
  try {
    const file = await fs.open(path, 'read')
    try {
      return into.subarray(0, await file.read(into, position))
    } finally {
      await file.close()
    }
  } catch (error) {
    throw fileError('read', path, error)
  }
}

type Row = Readonly<Record<string, unknown>>

function chunkIn(row: Row): Chunk | undefined {
  const { bytes } = row
  const size = indexIn(row['size'])
  const createdAt = rangeIn(row['createdAt'], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  const eventID = rangeIn(row['eventID'], /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || size === undefined) return undefined
  return createdAt === 'wrong' || eventID === 'wrong' ? undefined : { bytes, size, createdAt, eventID }
}

function rangeIn(value: unknown, shape: RegExp): TextRange | 'wrong' {
  if (value === undefined) return undefined
  const [low, high]: readonly unknown[] = Array.isArray(value) && value.length === 2 ? value : []
  if (typeof low !== 'string' || typeof high !== 'string' || low > high) return 'wrong'
  return shape.test(low) && shape.test(high) ? [low, high] : 'wrong'
}

function indexIn(value: unknown): bigint | undefined {
  return typeof value === 'string' && /^(0|[1-9][0-9]{0,18})$/.test(value) ? BigInt(value) : undefined
}

function rootIn(value: unknown): Uint8Array | undefined {
  const root = typeof value === 'string' ? fromBase64(value) : undefined
  return root?.length === 32 ? root : undefined
}

function objectIn(text: string): Row | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    // An object's fields are checked one by one above.
    return typeof parsed === 'object' && parsed !== null ? (parsed as Row) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
