/** @node Goes through segments with every check that needs nothing but the segments and the first key. */
import { engine } from '#engine'
import type { FileSystem } from '../../storage/filesystem.ts'
import type { Block } from '../blocks.ts'
import type { Segment } from '../layout.ts'
import { parseEntry } from '../reading/entry-line.ts'
import { type Finding, type Listener, replaySegment } from '../replay.ts'
import type { Tree } from '../tree/tree.ts'
import { type ChainKey, followKeys } from './keys.ts'
import { type Marks, marksAt } from './marks.ts'
import { collectStory, type LogEntry, type Story } from './story.ts'
import type { Problem } from './verdict.ts'

export interface WalkOptions {
  readonly fs: FileSystem
  readonly origin: string
  /** Before the first segment; left as it is. */
  readonly tree: Tree
  readonly segments: readonly Segment[]
  /** Their bytes, where they are not those of their files. */
  readonly blocksIn?: (segment: Segment) => AsyncIterable<Block>
  /** Signs the first commit. */
  readonly firstKey: ChainKey
  /** Sizes at which the root is wanted. */
  readonly sizes: readonly bigint[]
  /** How many bytes of the files were read, after each block. */
  readonly onBytes: (read: number) => void
}

export interface Walk {
  /** The entries that are as they were signed. */
  readonly tree: Tree
  /** Who signed them. */
  readonly keys: readonly ChainKey[]
  readonly story: Story
  readonly rootAt: Marks['rootAt']
  /** What is wrong for sure. */
  readonly finding?: Problem
  /** What would be wrong, were it not the end of the last segment, where a crash may have torn a batch. */
  readonly torn?: Finding
  readonly unsignedTail?: { readonly bytes: number; readonly segment: string }
  /** Of files, read. */
  readonly bytes: number
}

/** Errors: `PROVIDER_UNAVAILABLE` when a file cannot be read. */
export async function walk(options: WalkOptions): Promise<Walk> {
  const { fs, origin, segments, blocksIn, firstKey, sizes, onBytes } = options
  const chain = followKeys(engine, firstKey)
  const story = collectStory()
  const marks = marksAt(sizes)
  let batch: LogEntry[] = []
  const listener: Listener = {
    logEntry(line, index) {
      const entry = parseEntry(line)
      if (entry?.action.startsWith('audit.')) batch.push({ index, entry })
    },
    signatures(commit) {
      const told = batch
      batch = []
      for (const entry of told) story.hear(entry)
      return chain.check(
        commit,
        told.map(({ entry }) => entry),
      )
    },
    untilMark: marks.until,
    mark: marks.reached,
  }

  let { tree } = options
  let bytes = 0
  let torn: Finding | undefined
  let unsignedTail: Walk['unsignedTail']
  marks.reached(tree.size, tree.root())
  const ended = (finding?: Problem): Walk => ({
    tree,
    keys: chain.keys(tree.size),
    story,
    rootAt: (size) => (size > tree.size ? undefined : marks.rootAt(size)),
    ...(finding && { finding }),
    ...(torn && { torn }),
    ...(unsignedTail && { unsignedTail }),
    bytes,
  })

  for (const segment of segments) {
    if (torn !== undefined) return ended(torn)
    if (segment.first !== tree.size) {
      const problem = segment.first > tree.size ? 'a segment is missing before this one' : 'the segment is out of place'
      return ended({ index: tree.size, segment: segment.name, line: 1, problem })
    }
    const before = bytes
    const replayed = await replaySegment({
      fs,
      segment,
      ...(blocksIn && { blocks: blocksIn(segment) }),
      origin,
      tree,
      listener,
      onCommit: chain.committed,
      onBytes(read) {
        bytes = before + read
        onBytes(bytes)
      },
    })
    tree = replayed.tree
    if (replayed.damaged) return ended(replayed.finding)
    torn = replayed.finding
    if (replayed.tailBytes > 0) unsignedTail = { bytes: replayed.tailBytes, segment: segment.name }
  }
  return ended()
}
