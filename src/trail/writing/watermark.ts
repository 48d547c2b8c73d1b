/** @node The published checkpoint: how much of the trail was safe when it was last written. */
import { fromUtf8, utf8 } from '../../crypto/bytes.ts'
import type { Clock } from '../../model/clock.ts'
import { type FileSystem, readIfThere } from '../../storage/filesystem.ts'
import { replaceFile } from '../../storage/replace.ts'
import { type Checkpoint, parseCheckpoint } from '../checkpoint.ts'
import type { Layout } from '../layout.ts'
import type { NoteVerifier } from '../note.ts'

/** At most one publication in so many milliseconds. */
export const publishEveryMs = 50

export interface Watermark {
  /** Tells a checkpoint whose entries are synced; it is published within {@link publishEveryMs}. Never waits, never fails. */
  advance(note: string): void
  /** Resolves when the newest checkpoint told is published. Errors: as replaceFile. */
  publish(): Promise<void>
}

export interface WatermarkOptions {
  readonly fs: FileSystem
  readonly layout: Layout
  readonly clock: Clock
  /** The checkpoint that stands there now. */
  readonly published: string
  /** Throws when this process may no longer write. */
  readonly check: () => void
  /** A publication failed, and nobody waits for it. */
  readonly onProblem: (error: unknown) => void
  /** There is a new one. */
  readonly onPublished: (note: string) => void
}

export function openWatermark(options: WatermarkOptions): Watermark {
  const { fs, layout, clock, check, onProblem, onPublished } = options
  let newest = options.published
  let written = newest
  let planned = false
  let running: Promise<void> = Promise.resolve()

  function publish(): Promise<void> {
    const previous = running
    running = (async () => {
      await previous.catch(ignore)
      if (written === newest) return
      const note = newest
      check()
      await replaceFile(fs, layout.checkpoint, utf8(note))
      written = note
      onPublished(note)
    })()
    return running
  }

  return {
    advance(note) {
      newest = note
      if (planned) return
      planned = true
      clock.after(publishEveryMs, () => {
        planned = false
        // The entries are safe whether or not this succeeds, and the next batch, flush or close tries again.
        publish().catch(onProblem)
      })
    },
    publish,
  }
}

/** For a failure that the caller of an earlier publication has heard of already, or that the next attempt will meet. */
function ignore(): void {}

/** What the file says: nothing, or a checkpoint signed by the key, or why not. */
export type Published =
  | { readonly state: 'missing' }
  | { readonly state: 'wrong'; readonly problem: string }
  | { readonly state: 'good'; readonly note: string; readonly checkpoint: Checkpoint }

/** Errors: `PROVIDER_UNAVAILABLE` when the file cannot be read. */
export async function readWatermark(
  fs: FileSystem,
  layout: Layout,
  verifier: Pick<NoteVerifier, 'open'>,
): Promise<Published> {
  const bytes = await readIfThere(fs, layout.checkpoint)
  if (bytes === undefined) return { state: 'missing' }
  const note = fromUtf8(bytes)
  if (note === undefined) return { state: 'wrong', problem: 'the checkpoint file is not text' }
  const opened = verifier.open(note)
  if (!('text' in opened)) return { state: 'wrong', problem: problems[opened.problem] }
  const checkpoint = parseCheckpoint(opened.text)
  return checkpoint === undefined
    ? { state: 'wrong', problem: 'the checkpoint file holds no checkpoint' }
    : { state: 'good', note, checkpoint }
}

const problems = {
  malformed: 'the checkpoint file holds no signed note',
  unsigned: 'the checkpoint file is not signed by this key',
  'bad-signature': 'the signature of the checkpoint file is wrong',
} as const
