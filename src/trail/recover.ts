/** @node What openTrail finds: the trail so far, set in order after a crash, or refused when it is damaged. */
import { equal } from '../crypto/bytes.ts'
import type { Engine } from '../crypto/engine.ts'
import { KmsError } from '../model/errors.ts'
import { type FileSystem, fileError } from '../storage/filesystem.ts'
import { collectIntents, type Intents } from './intents.ts'
import { type Layout, listSegments, type Segment, statusOf } from './layout.ts'
import type { NoteVerifier } from './note.ts'
import { type Cut, cutSegment } from './quarantine.ts'
import { type Finding, type Replayed, replaySegment } from './replay.ts'
import { emptyTree, type Tree } from './tree.ts'
import { readWatermark } from './watermark.ts'

export interface Recovered {
  readonly tree: Tree
  /** The checkpoint that is published now. */
  readonly published: string | undefined
  /** The last segment, when the trail was closed in good order and it may go on. */
  readonly resume?: Segment
  readonly intents: Intents
  /** What was cut off. */
  readonly cut?: Cut
}

export interface RecoverOptions {
  readonly fs: FileSystem
  readonly engine: Engine
  readonly layout: Layout
  readonly origin: string
  readonly verifier: NoteVerifier
}

/**
 * Goes through all segments. A torn tail, which is what a crash leaves of one batch, is cut into `quarantine/`; anything
 * else that is not as it was signed is damage: `INTERNAL`, and nothing is changed.
 */
export async function recoverTrail(options: RecoverOptions): Promise<Recovered> {
  const { fs, engine, layout, origin, verifier } = options
  const segments = await listSegments(fs, layout)
  const watermark = await readWatermark(fs, layout, verifier)
  if (watermark.state === 'wrong') throw damage(watermark.problem)
  if (watermark.state === 'missing' && segments.length > 0) throw damage('the checkpoint file is missing')

  const published = watermark.state === 'good' ? watermark : undefined
  const reached = published?.checkpoint.size ?? 0n
  const intents = collectIntents()
  let tree = emptyTree(engine)
  let last: { readonly segment: Segment; readonly replayed: Replayed } | undefined
  let note: string | undefined
  for (const segment of segments) {
    if (last !== undefined && last.replayed.tailBytes > 0) throw found(last.replayed.finding)
    if (segment.first !== tree.size) throw damage(`a segment is missing before ${segment.name}`)
    const replayed = await replaySegment({
      fs,
      engine,
      segment,
      origin,
      tree,
      onEntry: intents.seen,
      onCommit(size, root) {
        intents.committed()
        if (size === reached && !equal(root, published?.checkpoint.root ?? root))
          throw damage('the checkpoint file is not of these entries')
      },
    })
    if (replayed.damaged) throw found(replayed.finding)
    last = { segment, replayed }
    tree = replayed.tree
    note = replayed.note ?? note
  }
  // A root is checked against each commit line; the signature of the last one stands for all before it.
  if (note !== undefined && !('text' in verifier.open(note)))
    throw damage('the last commit line is not signed by the key')
  if (tree.size < reached) throw found(last?.replayed.finding) ?? damage(`it ends before entry ${reached - 1n}`)

  if (last === undefined) return { tree, published: published?.note, intents }
  const { segment, replayed } = last
  const cut = await cutSegment({ fs, engine, layout, segment, keep: replayed.bytes })
  await settle(fs, layout, segment)
  const clean = cut === undefined && tree.size === reached
  return {
    tree,
    published: published?.note,
    intents,
    ...(clean && { resume: segment }),
    ...(cut !== undefined && { cut }),
  }
}

/** A killed writer's last batch may stand in memory only; it counts from here on, so it goes to the disk first. */
async function settle(fs: FileSystem, layout: Layout, segment: Segment): Promise<void> {
  if (statusOf(fs, segment.path) === undefined) return
  try {
    const file = await fs.open(segment.path, 'append')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    await fs.syncFolder(layout.segments)
  } catch (error) {
    throw fileError('sync', segment.path, error)
  }
}

function found(finding: Finding | undefined): KmsError {
  if (finding === undefined) return damage('entries are missing')
  const { segment, line, index, problem } = finding
  return damage(`${segment} line ${line}, entry ${index}: ${problem}`)
}

function damage(problem: string): KmsError {
  return new KmsError('INTERNAL', `the trail is damaged and not written to; it can be read and verified: ${problem}`)
}
