/** @node What retention may drop: the oldest segments, whole, old enough, undamaged, and with no change left open in them. */
import { Buffer } from 'node:buffer'
import type { Engine } from '../../crypto/engine.ts'
import { KmsError } from '../../model/errors.ts'
import type { FileSystem } from '../../storage/filesystem.ts'
import type { About } from '../about.ts'
import { blocksOf } from '../blocks.ts'
import { isCommit } from '../commit.ts'
import { type Layout, listSegments, type Segment } from '../layout.ts'
import { noteVerifier } from '../note.ts'
import { createdAtIn, type Line, linesIn, mayHold, parseEntry } from '../reading/entry-line.ts'
import { replaySegment } from '../replay.ts'
import { openHashes, treeAt } from '../tree/hashes.ts'
import { emptyTree, type Tree } from '../tree/tree.ts'

export interface Droppable {
  /** Oldest first; at least one. */
  readonly segments: readonly Segment[]
  readonly from: bigint
  readonly below: bigint
  /** Of the lines, uncompressed. */
  readonly bytes: number
  /** `createdAt` of the newest entry, ms since the epoch. */
  readonly newestAt: number
  /** The tree at `from`. */
  readonly before: Tree
  /** The tree at `below`; its root was signed. */
  readonly tree: Tree
}

export interface FindOptions {
  readonly fs: FileSystem
  readonly engine: Engine
  readonly layout: Layout
  readonly about: About
  /** Every entry dropped is older than this moment, ms since the epoch. */
  readonly before: number
}

/**
 * Undefined when there is nothing that may go. The last segment stays, and so does everything from the first intent on that
 * has no result. Errors: `INTERNAL` when the entries are not as they were signed: dropping them would destroy the evidence.
 */
export async function findDroppable(options: FindOptions): Promise<Droppable | undefined> {
  const { fs, layout, before } = options
  const segments = await listSegments(fs, layout)
  const changes = trackChanges()
  const old: { readonly segment: Segment; readonly newestAt: number }[] = []
  for (const [number, segment] of segments.slice(0, -1).entries()) {
    const newestAt = await newestIn(options, segment, (line, bytes) => changes.see(bytes, line, number))
    if (newestAt >= before) break
    old.push({ segment, newestAt })
  }
  changes.forget(old.length)
  for (const segment of segments.slice(old.length)) {
    if (changes.open.length === 0) break
    await eachLine(fs, segment, (line, bytes) => changes.see(bytes, line, undefined))
  }
  const free = old.slice(0, Math.min(old.length, ...changes.open))
  if (free.length === 0) return undefined
  const newestAt = Math.max(...free.map((one) => one.newestAt))
  // The one after them is there: the last one is never free.
  return { ...(await replayed(options, segments.slice(0, free.length + 1))), newestAt }
}

/** `Infinity` for an entry whose time cannot be read, and from the first entry on that is not older than `before`. */
async function newestIn(
  { fs, before }: FindOptions,
  segment: Segment,
  see: (line: Line, bytes: Buffer) => void,
): Promise<number> {
  let newest = ''
  for await (const block of blocksOf(fs, segment.path)) {
    for (const line of linesIn(block)) {
      see(line, block.bytes)
      if (isCommit(block.bytes, line.start)) continue
      const createdAt = createdAtIn(block.bytes, line) ?? ''
      if (createdAt > newest) newest = createdAt
      else if (createdAt === '') return Number.POSITIVE_INFINITY
    }
    if (!(Date.parse(newest) < before)) return Number.POSITIVE_INFINITY
  }
  return newest === '' ? Number.NEGATIVE_INFINITY : Date.parse(newest)
}

async function eachLine(fs: FileSystem, { path }: Segment, see: (line: Line, bytes: Buffer) => void): Promise<void> {
  for await (const block of blocksOf(fs, path)) for (const line of linesIn(block)) see(line, block.bytes)
}

const operation = Buffer.from('"operationID":"')

interface Changes {
  /** A line of the segment with this number; undefined beyond those that may be dropped. */
  see(bytes: Buffer, line: Line, segment: number | undefined): void
  /** Leaves out intents of the segments from this number on. */
  forget(from: number): void
  /** The segments that hold an intent whose result was not seen in a batch that is committed. */
  readonly open: readonly number[]
}

function trackChanges(): Changes {
  const segmentOf = new Map<string, number>()
  let ended: string[] = []
  return {
    see(bytes, line, segment) {
      if (isCommit(bytes, line.start)) {
        for (const operationID of ended) segmentOf.delete(operationID)
        ended = []
        return
      }
      if (!mayHold(bytes, line, operation)) return
      const { operationID, phase } = parseEntry(bytes.toString('utf8', line.start, line.end)) ?? {}
      if (operationID === undefined) return
      if (phase === 'result') ended.push(operationID)
      else if (phase === 'intent' && segment !== undefined) segmentOf.set(operationID, segment)
    },
    forget(from) {
      for (const [operationID, segment] of segmentOf) if (segment >= from) segmentOf.delete(operationID)
    },
    get open() {
      return [...segmentOf.values()]
    },
  }
}

/**
 * Goes through all segments but the last of these once more, hash by hash, up to a root that a key of the trail has signed
 * and where the last one begins.
 */
async function replayed(
  { fs, engine, layout, about }: FindOptions,
  listed: readonly Segment[],
): Promise<Omit<Droppable, 'newestAt'>> {
  const segments = listed.slice(0, -1)
  const from = listed[0]?.first ?? 0n
  const before =
    from === 0n ? emptyTree(engine) : await treeAt(engine, await openHashes({ fs, engine, layout, size: from }), from)
  let tree = before
  let note = ''
  let bytes = 0
  for (const segment of listed) {
    if (segment.first !== tree.size) throw damaged(`a segment is missing before ${segment.name}`)
    if (segment === listed.at(-1)) break
    const read = await replaySegment({ fs, segment, origin: about.origin, tree })
    if (read.finding !== undefined)
      throw damaged(`${segment.name}, entry ${read.finding.index}: ${read.finding.problem}`)
    tree = read.tree
    note = read.note ?? note
    bytes += read.bytes
  }
  // Each root was compared with its commit line; the signature of the last one stands for all before it.
  const signed = about.vkeys.some(({ vkey }) => 'text' in noteVerifier(engine, vkey).open(note))
  if (!signed) throw damaged(`the root at ${tree.size} is not signed by a key of the trail`)
  return { segments, from, below: tree.size, bytes, before, tree }
}

function damaged(problem: string): KmsError {
  return new KmsError('INTERNAL', `the trail is damaged, and nothing of it is dropped: ${problem}`)
}
