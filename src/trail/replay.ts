/**
 * @node Goes through one segment again: every line into the tree, every commit line against it. What recovery and
 * verification both stand on; they differ in whether each signature is checked, and in what a finding means to them.
 */
import type { Buffer } from 'node:buffer'
import { equal } from '../crypto/bytes.ts'
import type { Engine } from '../crypto/engine.ts'
import type { FileSystem } from '../storage/filesystem.ts'
import { blocksOf, newline } from './blocks.ts'
import { parseCheckpoint } from './checkpoint.ts'
import { type Commit, isCommit, parseCommit } from './commit.ts'
import type { Segment } from './layout.ts'
import type { NoteVerifier } from './note.ts'
import { leafHashWithin, type Tree } from './tree.ts'

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

export interface ReplayOptions {
  readonly fs: FileSystem
  readonly engine: Engine
  readonly segment: Segment
  readonly origin: string
  /** The tree before this segment; it is left as it is. */
  readonly tree: Tree
  /** Checks each signature; without it only origin, sizes and roots are compared. */
  readonly verifier?: NoteVerifier
  /** Each entry's line, `bytes[start…end)`, good or not; the bytes are lent. */
  readonly onEntry?: (bytes: Buffer, start: number, end: number) => void
  /** Each good commit line: the entries since the one before are good. */
  readonly onCommit?: (size: bigint, root: Uint8Array) => void
  /** After each block: how many bytes of the segment were read. */
  readonly onBytes?: (read: number) => void
}

/** Errors: `PROVIDER_UNAVAILABLE` when the file cannot be read; whatever stands in it is a result, not an error. */
export async function replaySegment(options: ReplayOptions): Promise<Replayed> {
  const { fs, engine, segment, origin, verifier, onEntry, onCommit, onBytes } = options
  let good = { tree: options.tree, note: undefined as string | undefined, bytes: 0, line: 0 }
  let tree = options.tree.copy()
  let read = 0
  let line = 0
  let finding: Finding | undefined
  let commitsInTail = 0
  let lastIsPartOfOneBatch = true

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
      good = { tree, note: commit.note, bytes: read + end, line }
      tree = tree.copy()
      onCommit?.(commit.size, root)
      return
    }
    commitsInTail++
    lastIsPartOfOneBatch = commit === undefined || commit.from === good.tree.size
  }

  function wrongIn({ from, size, note }: Commit, root: Uint8Array): Finding | undefined {
    const text = note.slice(0, note.indexOf('\n\n') + 1)
    if (verifier !== undefined) {
      const opened = verifier.open(note)
      if (!('text' in opened)) return here(signatureProblem[opened.problem])
    }
    const checkpoint = parseCheckpoint(text)
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

  for await (const { bytes, start, end, whole } of blocksOf(fs, segment.path)) {
    for (let at = start; whole && at < end; ) {
      const stop = bytes.indexOf(newline, at)
      line++
      lastIsPartOfOneBatch = commitsInTail === 0
      if (isCommit(bytes, at)) commitLine(bytes.toString('utf8', at, stop), stop + 1 - start)
      else if (finding === undefined) {
        tree.append(leafHashWithin(engine, bytes, at, stop))
        onEntry?.(bytes, at, stop)
      }
      at = stop + 1
    }
    if (!whole) {
      line++
      lastIsPartOfOneBatch = commitsInTail === 0
      finding ??= here('the line has no end')
    }
    read += end - start
    onBytes?.(read)
  }

  const tailBytes = read - good.bytes
  if (tailBytes > 0) finding ??= between('entries without a commit line')
  const damaged = commitsInTail > 1 || !lastIsPartOfOneBatch
  return { tree: good.tree, note: good.note, bytes: good.bytes, tailBytes, finding, damaged }
}

const signatureProblem = {
  malformed: 'the commit line holds no signed note',
  unsigned: 'the commit line is not signed by this key',
  'bad-signature': 'the signature of the commit line is wrong',
} as const
