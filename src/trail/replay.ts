/**
 * @node Goes through one segment again: every line into the tree, every commit line against it. What recovery and
 * verification both stand on; they differ in whether each signature is checked, and in what a finding means to them.
 */
import { Buffer } from 'node:buffer'
import { equal } from '../crypto/bytes.ts'
import type { FileSystem } from '../storage/filesystem.ts'
import { type Block, blocksOf, newline } from './blocks.ts'
import { parseCheckpoint } from './checkpoint.ts'
import { type Commit, isCommit, parseCommit } from './commit.ts'
import type { Segment } from './layout.ts'
import type { Tree } from './tree/tree.ts'

/** The first thing that is not as it was signed. */
export interface Finding {
  /** First entry that it may concern. */
  readonly index: bigint
  /** Last entry that it may concern, where that is not `index`: a root tells which batch, not which line of it. */
  readonly lastIndex?: bigint
  /** File name. */
  readonly segment: string
  /** In the file, from 1. */
  readonly line: number
  readonly problem: string
}

/** A segment up to its last good commit line, and what lies behind. */
export interface Replayed {
  readonly tree: Tree
  /** Signed checkpoint of the last good commit line; undefined if there is none. */
  readonly note: string | undefined
  /** Up to the last good commit line, inclusive. */
  readonly bytes: number
  readonly tailBytes: number
  /** Why the tail is not good, if it is not empty. */
  readonly finding: Finding | undefined
  /**
   * A crash leaves at most a part of one batch, because none is written before the one before it is synced. True when the
   * tail holds more than that.
   */
  readonly damaged: boolean
}

/** Hears what a segment tells, in its order. A commit line that is found wrong later takes back what was heard from it on. */
export interface Listener {
  /** An entry about the log itself, most likely: its line holds `"action":"audit.`. Not yet committed. */
  logEntry?(line: string, index: bigint): void
  /**
   * Checks the signatures of a commit line, all of whose entries were heard. Resolves to what is wrong with them, and may
   * take its time: others are asked meanwhile. Without it only origins, sizes and roots are compared.
   */
  signatures?(commit: Commit): string | undefined | Promise<string | undefined>
  /** How many entries after `size` the root is wanted; at least 1, or Infinity. */
  untilMark?(size: bigint): number
  mark?(size: bigint, root: Uint8Array): void
}

export interface ReplayOptions {
  readonly fs: FileSystem
  readonly segment: Segment
  /** The segment's bytes, where they are not those of its file. */
  readonly blocks?: AsyncIterable<Block>
  readonly origin: string
  /** The tree before this segment; it is left as it is. */
  readonly tree: Tree
  readonly listener?: Listener
  /** Each entry's line, `bytes[start…end)`, good or not; the bytes are lent. */
  readonly onEntry?: (bytes: Buffer, start: number, end: number) => void
  /** Each good commit line: the entries since the one before are good. */
  readonly onCommit?: (size: bigint, root: Uint8Array, note: string) => void
  /** After each block: how many bytes of the file were read. */
  readonly onBytes?: (read: number) => void
}

/** Where the last good commit line stands. */
interface Good {
  readonly tree: Tree
  readonly note: string | undefined
  readonly bytes: number
  readonly line: number
}

/** A commit line whose signatures are not yet checked. */
interface Doubt {
  readonly problem: Promise<string | undefined>
  readonly before: Good
  readonly line: number
}

const manyDoubts = 256

const aboutTheLog = Buffer.from('"action":"audit.')

/** Errors: `PROVIDER_UNAVAILABLE` when the file cannot be read; whatever stands in it is a result, not an error. */
export async function replaySegment(options: ReplayOptions): Promise<Replayed> {
  const {
    fs,
    segment,
    blocks = blocksOf(fs, segment.path),
    origin,
    listener = {},
    onEntry,
    onCommit,
    onBytes,
  } = options
  let good: Good = { tree: options.tree, note: undefined, bytes: 0, line: 0 }
  let tree = options.tree.copy()
  let untilMark = listener.untilMark?.(tree.size) ?? Number.POSITIVE_INFINITY
  let total = 0
  let line = 0
  let finding: Finding | undefined
  let commitsInTail = 0
  let lastIsPartOfOneBatch = true
  let unpacks = true
  const doubts: Doubt[] = []
  let forged: (Omit<Doubt, 'problem'> & { readonly problem: string }) | undefined

  const between = (problem: string): Finding => {
    const lastIndex = tree.size - 1n
    const index = good.tree.size
    return { index, ...(lastIndex > index && { lastIndex }), segment: segment.name, line: good.line + 1, problem }
  }
  const here = (problem: string): Finding => ({ index: good.tree.size, segment: segment.name, line, problem })

  function commitLine(text: string, end: number): void {
    const commit = parseCommit(text)
    const root = tree.root()
    finding ??= commit === undefined ? here('the commit line is malformed') : wrongIn(commit, root)
    if (finding === undefined && commit !== undefined) {
      good = { tree, note: commit.note, bytes: total + end, line }
      tree = tree.copy()
      onCommit?.(commit.size, root, commit.note)
      return
    }
    commitsInTail++
    lastIsPartOfOneBatch = commit === undefined || commit.from === good.tree.size
  }

  function wrongIn(commit: Commit, root: Uint8Array): Finding | undefined {
    const { from, size, note } = commit
    const problem = listener.signatures?.(commit)
    if (typeof problem === 'string') return here(problem)
    if (problem !== undefined) doubts.push({ problem, before: good, line })
    const checkpoint = parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))
    if (checkpoint === undefined) return here('the commit line holds no checkpoint')
    if (checkpoint.origin !== origin) return here(`the commit line is of another trail, ${checkpoint.origin}`)
    if (checkpoint.size !== size) return here('the commit line and its checkpoint name different sizes')
    if (from !== good.tree.size)
      return here(`a commit line is missing, added or moved: this one follows ${from} entries, not ${good.tree.size}`)
    if (size <= from) return here('the commit line covers no entry')
    const found = tree.size - from
    if (size !== tree.size) return between(`${size - from} entries were signed here, but there are ${found}`)
    if (!equal(checkpoint.root, root)) return between('entries are not what was signed')
    return undefined
  }

  function entryLine(bytes: Buffer, start: number, end: number): void {
    tree.appendWithin(bytes, start, end)
    onEntry?.(bytes, start, end)
    if (--untilMark > 0) return
    listener.mark?.(tree.size, tree.root())
    untilMark = listener.untilMark?.(tree.size) ?? Number.POSITIVE_INFINITY
  }

  /** Waits until at most `most` are left. In their order, so the first one found is the first there is. */
  async function settle(most: number): Promise<void> {
    while (doubts.length > most && forged === undefined) {
      const doubt = doubts.shift()
      const problem = await doubt?.problem
      if (doubt !== undefined && problem !== undefined) forged = { ...doubt, problem }
    }
  }

  for await (const { bytes, start, end, whole, damage, read } of blocks) {
    let told = listener.logEntry === undefined ? -1 : bytes.indexOf(aboutTheLog, start)
    for (let at = start; whole && at < end; ) {
      const stop = bytes.indexOf(newline, at)
      line++
      lastIsPartOfOneBatch = commitsInTail === 0
      if (isCommit(bytes, at)) commitLine(bytes.toString('utf8', at, stop), stop + 1 - start)
      else if (finding === undefined) {
        if (told >= 0 && told < stop) {
          listener.logEntry?.(bytes.toString('utf8', at, stop), tree.size)
          told = bytes.indexOf(aboutTheLog, stop)
        }
        entryLine(bytes, at, stop)
      }
      at = stop + 1
    }
    if (!whole) {
      line++
      lastIsPartOfOneBatch = commitsInTail === 0
      unpacks = damage === undefined
      finding ??= here(damage ?? 'the line has no end')
    }
    total += end - start
    onBytes?.(read)
    await settle(manyDoubts)
  }
  await settle(0)

  const damaged = commitsInTail > 1 || !lastIsPartOfOneBatch || !unpacks
  if (forged !== undefined) {
    // Not checked in time to stop there: what was taken for good behind it is not.
    const { before, line: at, problem } = forged
    const wrong: Finding = { index: before.tree.size, segment: segment.name, line: at, problem }
    const { tree, note, bytes } = before
    return { tree, note, bytes, tailBytes: total - bytes, finding: wrong, damaged: damaged || at < line }
  }
  const tailBytes = total - good.bytes
  if (tailBytes > 0) finding ??= between('entries without a commit line')
  return { tree: good.tree, note: good.note, bytes: good.bytes, tailBytes, finding, damaged }
}
