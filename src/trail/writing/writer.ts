/** @node The writing: a batch onto the disk, its checkpoint published behind it, and what a full disk makes of both. */
import { engine } from '#engine'
import type { Clock } from '../../model/clock.ts'
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import type { Receipt } from '../../model/sink.ts'
import type { FileSystem } from '../../storage/filesystem.ts'
import type { Layout, Segment } from '../layout.ts'
import type { Tree } from '../tree/tree.ts'
import type { Keys } from './handover.ts'
import { openLog } from './log.ts'
import { problemOf } from './problem.ts'
import type { Cut } from './quarantine.ts'
import { openReserve } from './reserve.ts'
import { openSegments } from './segments.ts'
import { openWatermark } from './watermark.ts'

export interface Writer {
  readonly size: bigint
  /** One batch, which is not empty; see `Trail.write`. */
  write(entries: readonly AuditEntry[]): Promise<Receipt>
  /** The trail as it was accepted. */
  receipt(): Receipt
  /** Has the next batch begin another segment. */
  seal(): void
  /** Publishes the newest checkpoint. Errors: as replaceFile. */
  publish(): Promise<void>
  /** The disk is full. */
  readonly full: string | undefined
  /** Why the checkpoint could not be published. */
  readonly problem: string | undefined
  /** Throws `CLOSED` once it is. */
  checkOpen(): void
  /** Nothing is written any more; resolves when what is under way has ended. */
  finish(): Promise<void>
  /** Lets go of the reserve; nothing is published any more. */
  close(): Promise<void>
}

export interface WriterOptions {
  readonly fs: FileSystem
  readonly layout: Layout
  readonly clock: Clock
  readonly origin: string
  readonly keys: Keys
  readonly tree: Tree
  /** Signed, over `tree`. */
  readonly checkpoint: string
  /** The one that is published now. */
  readonly published: string
  readonly segmentBytes: number
  /** The last segment, if it may go on. */
  readonly resume: Segment | undefined
  /** Throws when this process may no longer write. */
  readonly check: () => void
  /** These entries, which took so many bytes, are safe. */
  readonly onWritten: (entries: readonly AuditEntry[], bytes: number) => void
  /** The segments below entry `size` are finished. */
  readonly onSeal: (size: bigint) => void
  readonly onCut: (cut: Cut) => void
  readonly onPublished: (note: string) => void
}

/** Errors: `PROVIDER_UNAVAILABLE` (disk), with nothing left open. */
export async function openWriter(options: WriterOptions): Promise<Writer> {
  const { fs, layout, clock, keys, check, onWritten, onSeal, onCut, onPublished } = options
  const log = openLog(options)
  const reserve = await openReserve({ fs, layout, clock, check })
  let problem: string | undefined
  const watermark = openWatermark({
    fs,
    layout,
    clock,
    published: options.published,
    check,
    onPublished(note) {
      problem = undefined
      onPublished(note)
    },
    onProblem(error) {
      problem = problemOf(error)
      reserve.spend(error).catch(heard)
    },
  })
  const segments = await openSegments({
    fs,
    engine,
    layout,
    clock,
    segmentBytes: options.segmentBytes,
    ...(options.resume && { resume: options.resume }),
    onSeal() {
      watermark.advance(log.checkpoint)
      onSeal(log.size)
    },
    onCut,
  }).catch(async (error) => {
    await reserve.close()
    throw error
  })
  watermark.advance(log.checkpoint)

  let state: 'idle' | 'writing' | 'closed' = 'idle'
  let writing: Promise<unknown> = Promise.resolve()

  function begin(): void {
    checkOpen()
    if (state === 'writing') throw new KmsError('INTERNAL', 'the trail is being written: one batch at a time')
    check()
    state = 'writing'
  }

  function checkOpen(): void {
    if (state === 'closed') throw new KmsError('CLOSED', 'the trail is closed')
  }

  async function append(entries: readonly AuditEntry[]): Promise<Receipt> {
    if (keys.isBehind) await keys.catchUp()
    const batch = log.prepare(entries)
    try {
      await segments.append(batch.bytes, log.size)
    } catch (error) {
      if (!(await reserve.spend(error))) throw error
      await segments.append(batch.bytes, log.size)
    }
    log.accept(batch)
    watermark.advance(batch.note)
    onWritten(entries, batch.bytes.length)
    if (batch.handsOver) await handOver()
    return batch.receipt
  }

  /** The entries are safe whether or not trail.json can be written at once; if not, the next batch waits for it. */
  async function handOver(): Promise<void> {
    keys.handedOver(log.size)
    await keys.catchUp().catch(heard)
  }

  return {
    get size() {
      return log.size
    },
    async write(entries) {
      begin()
      const appending = append(entries)
      writing = appending
      try {
        return await appending
      } finally {
        if (state === 'writing') state = 'idle'
      }
    },
    receipt: log.receipt,
    seal: segments.end,
    async publish() {
      try {
        await watermark.publish()
      } catch (error) {
        if (!(await reserve.spend(error))) throw error
        await watermark.publish()
      }
    },
    get full() {
      return reserve.full
    },
    get problem() {
      return problem
    },
    checkOpen,
    async finish() {
      state = 'closed'
      await writing.catch(heard)
      await segments.close()
    },
    close: reserve.close,
  }
}

/** For a failure that somebody else has heard of, or meets again. */
function heard(): void {}
