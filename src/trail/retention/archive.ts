/**
 * @node Archives: the lines that retention dropped, in one file that reads and verifies without the trail they came from.
 * The first line is the header; what follows are the bytes of the segments as they were. Gzip when the name ends in `.gz`.
 */
import { fromBase64, toBase64 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import type { FileSystem } from '../../storage/filesystem.ts'
import type { TrailKey } from '../about.ts'
import { type Block, blocksOf, newline } from '../blocks.ts'
import { isCommit, originRule, parseCommit } from '../commit.ts'
import { linesIn, mayHold, needleFor, parseEntry } from '../reading/entry-line.ts'

export const archiveFormat = 'keytrail-archive/1'

export interface ArchiveHeader {
  /** Of the trail. */
  readonly origin: string
  /** Index of the first entry. */
  readonly from: bigint
  /** Index after the last entry. */
  readonly below: bigint
  /** Who signed, from which entry on; as in trail.json. */
  readonly vkeys: readonly TrailKey[]
  /** The tree before the first entry: its perfect subtrees, largest first. Nothing of it is proven but by a signed root. */
  readonly peaks: readonly Uint8Array[]
}

export interface Archive {
  readonly path: string
  readonly header: ArchiveHeader
  /** What follows the header, as `blocksOf` gives a segment. Anew at each call. */
  blocks(): AsyncGenerator<Block, void, undefined>
}

export function isCompressedName(path: string): boolean {
  return path.endsWith('.gz')
}

/** Without its newline. */
export function formatArchiveHeader({ origin, from, below, vkeys, peaks }: ArchiveHeader): string {
  const fields = { archive: archiveFormat, origin, from: String(from), below: String(below), vkeys }
  return JSON.stringify({ ...fields, peaks: peaks.map(toBase64) })
}

/** Errors: `INVALID_INPUT` when the file is no archive of this format, `PROVIDER_UNAVAILABLE` when it cannot be read. */
export async function openArchive(fs: FileSystem, path: string): Promise<Archive> {
  return { path, header: await headerOf(fs, path), blocks: () => blocksAfterHeader(fs, path) }
}

/**
 * The line of the entry with this id, and its place; undefined when the archive does not hold it. Nothing is verified.
 * Errors: `INTERNAL` when it does not unpack, `PROVIDER_UNAVAILABLE`.
 */
export async function archivedEntry(
  archive: Archive,
  eventID: string,
): Promise<{ readonly index: bigint; readonly line: Uint8Array } | undefined> {
  const needle = needleFor('"eventID":"', eventID)
  if (needle === undefined) return undefined
  let index = archive.header.from
  for await (const block of archive.blocks()) {
    const { bytes, damage } = block
    if (damage !== undefined) throw new KmsError('INTERNAL', `${archive.path} is damaged: ${damage}`)
    for (const line of linesIn(block)) {
      if (isCommit(bytes, line.start)) {
        index = parseCommit(bytes.toString('utf8', line.start, line.end))?.size ?? index
        continue
      }
      if (mayHold(bytes, line, needle) && parseEntry(bytes.toString('utf8', line.start, line.end))?.eventID === eventID)
        return { index, line: new Uint8Array(bytes.subarray(line.start, line.end)) }
      index++
    }
  }
  return undefined
}

async function headerOf(fs: FileSystem, path: string): Promise<ArchiveHeader> {
  for await (const { bytes, start, whole } of blocksOf(fs, path)) {
    const header = whole ? parseHeader(bytes.toString('utf8', start, bytes.indexOf(newline, start))) : undefined
    if (header !== undefined) return header
    break
  }
  throw new KmsError('INVALID_INPUT', `${path} is no archive of a trail: its first line should say ${archiveFormat}`)
}

async function* blocksAfterHeader(fs: FileSystem, path: string): AsyncGenerator<Block, void, undefined> {
  let skipped = false
  for await (const block of blocksOf(fs, path)) {
    const start = skipped ? block.start : block.bytes.indexOf(newline, block.start) + 1
    skipped = true
    if (start < block.end) yield { ...block, start }
  }
}

function parseHeader(line: string): ArchiveHeader | undefined {
  const fields = objectIn(line)
  if (fields?.['archive'] !== archiveFormat) return undefined
  const { origin, vkeys } = fields
  const from = indexIn(fields['from'])
  const below = indexIn(fields['below'])
  if (typeof origin !== 'string' || !originRule.test(origin)) return undefined
  if (from === undefined || below === undefined || from >= below) return undefined
  if (!Array.isArray(vkeys) || vkeys.length === 0 || !vkeys.every(isTrailKey)) return undefined
  const peaks = peaksIn(fields['peaks'])
  if (peaks?.length !== bitsIn(from)) return undefined
  return { origin, from, below, vkeys, peaks }
}

function indexIn(value: unknown): bigint | undefined {
  return typeof value === 'string' && /^(0|[1-9][0-9]{0,18})$/.test(value) ? BigInt(value) : undefined
}

function isTrailKey(value: unknown): value is TrailKey {
  if (typeof value !== 'object' || value === null) return false
  const { vkey, fromIndex } = value as Readonly<Record<string, unknown>> // an object: its fields are checked here
  return typeof vkey === 'string' && typeof fromIndex === 'number' && Number.isSafeInteger(fromIndex) && fromIndex >= 0
}

function peaksIn(value: unknown): readonly Uint8Array[] | undefined {
  if (!Array.isArray(value)) return undefined
  const peaks = value.map((text: unknown) => (typeof text === 'string' ? fromBase64(text) : undefined))
  return peaks.every((peak): peak is Uint8Array => peak?.length === 32) ? peaks : undefined
}

function bitsIn(size: bigint): number {
  return size.toString(2).replaceAll('0', '').length
}

function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    // An object's fields are checked one by one by the caller.
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
