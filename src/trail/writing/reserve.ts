/**
 * @node Room kept for a full disk: a file of a mebibyte that is given up when the disk takes no more, so that what was
 * begun can be finished and the trail be closed. While it is gone no further call should begin.
 */
import { join } from 'node:path'
import type { Clock } from '../../model/clock.ts'
import { type FileSystem, removeIfThere, statusOf } from '../../storage/filesystem.ts'
import { replaceFile } from '../../storage/replace.ts'
import type { Layout } from '../layout.ts'

export interface Reserve {
  /** Why no further call should begin; undefined while the reserve is there. */
  readonly full: string | undefined
  /**
   * True: `error` says that the disk is full, and the reserve was there to be given up, so trying again may succeed. From
   * then on it is made again as soon as there is room for it. Errors: `PROVIDER_UNAVAILABLE`.
   */
  spend(error: unknown): Promise<boolean>
  /** Stops making it again; waits for an attempt under way. */
  close(): Promise<void>
}

export interface ReserveOptions {
  readonly fs: FileSystem
  readonly layout: Layout
  readonly clock: Clock
  /** Throws when this process may no longer write. */
  readonly check: () => void
}

export const reserveName = 'reserve'
const reserveBytes = 1024 * 1024

const firstDelayMs = 1000
const longestDelayMs = 30_000

/** Errors: `PROVIDER_UNAVAILABLE` for a disk that fails otherwise than by being full. */
export async function openReserve({ fs, layout, clock, check }: ReserveOptions): Promise<Reserve> {
  const path = join(layout.folder, reserveName)
  let state: 'kept' | 'spent' | 'closed' = 'kept'
  let cancel = () => {}
  let making: Promise<void> = Promise.resolve()

  async function make(): Promise<void> {
    check()
    // Written out, because a file with holes reserves nothing.
    await replaceFile(fs, path, new Uint8Array(reserveBytes))
  }

  function makeLater(delayMs: number): void {
    state = 'spent'
    cancel = clock.after(delayMs, () => {
      making = make().then(
        () => {
          if (state === 'spent') state = 'kept'
        },
        () => {
          // Most likely there is no room yet; whatever it is, calls stay refused until an attempt succeeds.
          if (state === 'spent') makeLater(Math.min(2 * delayMs, longestDelayMs))
        },
      )
    })
  }

  if (statusOf(fs, path)?.size !== reserveBytes) {
    await make().catch((error: unknown) => {
      if (!isFullDisk(error)) throw error
      makeLater(firstDelayMs)
    })
  }

  return {
    get full() {
      return state === 'kept' ? undefined : 'the disk is full: make room, and the trail goes on by itself'
    },
    async spend(error) {
      if (state !== 'kept' || !isFullDisk(error)) return false
      makeLater(firstDelayMs)
      await removeIfThere(fs, path)
      return true
    },
    close() {
      state = 'closed'
      cancel()
      return making
    },
  }
}

/** Whether a failure of storage/ came of a disk, or a quota, that has no room. */
export function isFullDisk(error: unknown): boolean {
  // fileError keeps the system's code at the end of its message, and in the name that stands for the foreign error.
  const cause = error instanceof Error ? error.cause : undefined
  const texts = [error, cause].map((one) => (one instanceof Error ? one.message : ''))
  return texts.some((text) => /(?:^|[: ])(?:ENOSPC|EDQUOT)\b/.test(text))
}
