/** @node A budget of bytes for one instance's files: told before it is used up. */
import { join } from 'node:path'
import { type FileSystem, listIfThere, statusOf } from '../../storage/filesystem.ts'
import type { Layout } from '../layout.ts'
import { reserveName } from './reserve.ts'

export interface Budget {
  /** Why no further call should begin; undefined while there is room. */
  readonly full: string | undefined
  /** So many bytes were written. */
  add(bytes: number): void
  /** Counts again, after files came or went. Errors: `PROVIDER_UNAVAILABLE`. */
  recount(): Promise<void>
}

export interface BudgetOptions {
  readonly fs: FileSystem
  readonly layout: Layout
  readonly budgetBytes: number
  /** Four fifths are used; again only after it was less. */
  readonly onLow: (usedBytes: number) => void
}

/** Errors: `PROVIDER_UNAVAILABLE`. */
export async function openBudget({ fs, layout, budgetBytes, onLow }: BudgetOptions): Promise<Budget> {
  let used = 0
  let isLow = false

  function look(): void {
    const wasLow = isLow
    isLow = used >= 0.8 * budgetBytes
    if (isLow && !wasLow) onLow(used)
  }

  async function recount(): Promise<void> {
    used = await bytesBelow(fs, layout.folder, (name) => name !== reserveName)
    look()
  }

  await recount()
  return {
    get full() {
      if (used < budgetBytes) return undefined
      return `the trail has used up its budget of ${budgetBytes} bytes: prune it, or open it with a larger budgetBytes`
    },
    add(bytes) {
      used += bytes
      look()
    },
    recount,
  }
}

/** For a trail without a budget. */
export const unlimited: Budget = { full: undefined, add() {}, async recount() {} }

async function bytesBelow(fs: FileSystem, folder: string, counts: (name: string) => boolean): Promise<number> {
  let sum = 0
  for (const name of (await listIfThere(fs, folder)).filter(counts)) {
    const path = join(folder, name)
    const status = statusOf(fs, path)
    if (status?.kind === 'folder') sum += await bytesBelow(fs, path, () => true)
    else sum += status?.size ?? 0
  }
  return sum
}
