/** @node Cutting what is not good off a segment, and keeping it. */
import { join } from 'node:path'
import { hex } from '../../crypto/bytes.ts'
import type { Engine } from '../../crypto/engine.ts'
import { KmsError } from '../../model/errors.ts'
import { openAppend } from '../../storage/append.ts'
import { type FileSystem, fileError, listIfThere, statusOf, systemCode } from '../../storage/filesystem.ts'
import { makePrivateFolder } from '../../storage/private.ts'
import { replaceFile, temporaryOf } from '../../storage/replace.ts'
import type { Layout, Segment } from '../layout.ts'

export interface Cut {
  readonly quarantinedBytes: number
  /** Below the trail's directory. */
  readonly file: string
}

export interface CutOptions {
  readonly fs: FileSystem
  readonly engine: Engine
  readonly layout: Layout
  readonly segment: Segment
  /** How much of the segment stays; 0 moves it away whole. */
  readonly keep: number
  /**
   * `shorten` truncates the file, and writes it anew if that fails; `rewrite` writes it anew at once: a file whose sync
   * failed is not synced again, because the kernel may call the second one a success without having written.
   */
  readonly how: 'shorten' | 'rewrite'
}

/**
 * Leaves `keep` bytes of the segment and puts the rest into `quarantine/`, durably, the copy before the cut; so a crash
 * in between repeats it. Undefined when there is nothing to cut. Errors: `PROVIDER_UNAVAILABLE`, `INTERNAL`.
 */
export async function cutSegment(options: CutOptions): Promise<Cut | undefined> {
  const { fs, layout, segment, keep } = options
  const size = statusOf(fs, segment.path)?.size ?? 0
  if (size <= keep) return undefined
  await makePrivateFolder(fs, layout.quarantine)
  const file = keep === 0 ? await moveWhole(options) : await moveTail(options)
  return { quarantinedBytes: size - keep, file }
}

/** What lies in `quarantine/` under names that `isTold` does not know, by name. Errors: `PROVIDER_UNAVAILABLE`. */
export async function untoldCuts(
  fs: FileSystem,
  layout: Layout,
  isTold: (file: string) => boolean,
): Promise<readonly Cut[]> {
  const names = await listIfThere(fs, layout.quarantine)
  return [...names]
    .sort()
    .filter((name) => !name.endsWith(temporaryOf('')) && !isTold(`quarantine/${name}`))
    .map((name) => ({
      quarantinedBytes: statusOf(fs, join(layout.quarantine, name))?.size ?? 0,
      file: `quarantine/${name}`,
    }))
}

/** Makes what the segment's file holds durable, in a file of its own: for a file whose sync failed. */
export async function rewriteSegment(fs: FileSystem, segment: Segment): Promise<void> {
  await replaceFile(fs, segment.path, await bytesOf(fs, segment))
}

async function bytesOf(fs: FileSystem, segment: Segment): Promise<Uint8Array> {
  try {
    return await fs.readFile(segment.path)
  } catch (error) {
    throw fileError('read', segment.path, error)
  }
}

async function moveTail({ fs, engine, layout, segment, keep, how }: CutOptions): Promise<string> {
  const bytes = await bytesOf(fs, segment)
  const tail = bytes.subarray(keep)
  // Named by its content: repeating after a crash overwrites it with itself.
  const name = `${segment.name}.${keep}.${hex(engine.hash('sha256', tail).subarray(0, 8))}`
  await replaceFile(fs, join(layout.quarantine, name), tail)
  if (how === 'rewrite' || !(await shorten(fs, segment, keep)))
    await replaceFile(fs, segment.path, bytes.subarray(0, keep))
  return `quarantine/${name}`
}

/** False when it failed, or may have. */
async function shorten(fs: FileSystem, segment: Segment, keep: number): Promise<boolean> {
  try {
    const file = await openAppend(fs, segment.path)
    try {
      await file.truncate(keep)
    } finally {
      await file.close()
    }
    return true
  } catch (error) {
    if (error instanceof KmsError || systemCode(error) !== undefined) return false
    throw error
  }
}

async function moveWhole({ fs, layout, segment }: CutOptions): Promise<string> {
  const name = freeName(fs, layout, segment)
  try {
    await fs.rename(segment.path, join(layout.quarantine, name))
    await fs.syncFolder(layout.quarantine)
    await fs.syncFolder(layout.segments)
  } catch (error) {
    throw fileError('move away', segment.path, error)
  }
  return `quarantine/${name}`
}

function freeName(fs: FileSystem, layout: Layout, segment: Segment): string {
  for (let count = 0; count < 1_000_000; count++) {
    const name = `${segment.name}.${count}`
    if (statusOf(fs, join(layout.quarantine, name)) === undefined) return name
  }
  throw new KmsError('INTERNAL', `${layout.quarantine} holds a million copies of ${segment.name}: clear it`)
}
