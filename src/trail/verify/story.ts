/** What a trail's entries say about the trail itself, held against trail.json: what was pruned, and what was restored. */
import type { AuditEntry, EntryDetails } from '../../model/entry.ts'
import type { ChainKey } from './keys.ts'

/** An entry about the log itself, and its place. */
export interface LogEntry {
  readonly index: bigint
  readonly entry: AuditEntry
}

export interface Story {
  hear(told: LogEntry): void
  /** What contradicts trail.json or the dropping of entries below `prunedBelow`, in the first `size` entries. */
  contradiction(told: StoryOptions): { readonly problem: string; readonly index?: bigint } | undefined
  /** The newest entry that tells of a restore to fewer than `anchored` entries. */
  restoreBefore(anchored: bigint, size: bigint): Restore | undefined
}

export interface StoryOptions {
  readonly size: bigint
  /** 0 when the trail begins at its beginning; undefined when that part was not read. */
  readonly prunedBelow: bigint | undefined
  /** As trail.json says. */
  readonly minRetentionDays: number | undefined
  readonly keys: readonly ChainKey[]
}

export interface Restore {
  readonly index: bigint
  /** Entries that the trail had when it was restored. */
  readonly size: bigint
  readonly reason: string | undefined
}

interface Minimum {
  readonly index: bigint
  readonly vkey: string
  readonly days: number
}

interface Dropping {
  readonly index: bigint
  readonly createdAt: string
  readonly details: EntryDetails
}

const dayMs = 86_400_000

export function collectStory(): Story {
  const minimums: Minimum[] = []
  const droppings: Dropping[] = []
  const restores: Restore[] = []

  /** The newest audit names its trail by the key; one entry for each distinct claim is enough. */
  function minimum(said: Minimum): void {
    const known = minimums.some(({ vkey, days }) => vkey === said.vkey && days === said.days)
    if (!known) minimums.push(said)
  }

  return {
    hear({ index, entry: { action, createdAt, details: told, reason } }) {
      // Heard before its root is known to be right: what was tampered with may hold anything.
      const details = told ?? {}
      if (action === 'audit.opened')
        for (const sink of Array.isArray(details.sinks) ? details.sinks : []) {
          const { vkey, minRetentionDays: days } = sink ?? {}
          if (vkey !== undefined && days !== undefined) minimum({ index, vkey, days })
        }
      if (action === 'audit.pruned') droppings.push({ index, createdAt, details })
      if (action !== 'audit.restored') return
      const size = indexIn(details.trailSize)
      if (size !== undefined) restores.push({ index, size, reason: reason?.code })
    },

    contradiction({ size, prunedBelow, minRetentionDays, keys }) {
      const ours = new Set(keys.map(({ verifier }) => verifier.vkey))
      const lied = minimums.find(({ index, vkey, days }) => index < size && ours.has(vkey) && days !== minRetentionDays)
      if (lied !== undefined)
        return {
          index: lied.index,
          problem: `trail.json says that entries are kept for ${minRetentionDays ?? 0} days, this entry says ${lied.days}`,
        }
      const told = droppings.filter(
        ({ index, details: { vkey } }) => index < size && (vkey === undefined || ours.has(vkey)),
      )
      for (const { index, createdAt, details } of told) {
        const problem = tooYoung(createdAt, details, minRetentionDays ?? 0)
        if (problem !== undefined) return { index, problem }
      }
      if (prunedBelow === undefined || prunedBelow === 0n) return undefined
      if (told.some(({ details }) => (indexIn(details.prunedBelow) ?? 0n) >= prunedBelow)) return undefined
      return { index: 0n, problem: `entries below ${prunedBelow} are gone, and no entry says that they were pruned` }
    },

    restoreBefore: (anchored, size) =>
      restores.findLast((restore) => restore.index < size && restore.size < anchored && restore.size <= restore.index),
  }
}

function tooYoung(createdAt: string, { newestAt, minRetentionDays }: EntryDetails, least: number): string | undefined {
  if (minRetentionDays !== undefined && minRetentionDays !== least)
    return `trail.json says that entries are kept for ${least} days, this entry says ${minRetentionDays}`
  const age = Date.parse(createdAt) - Date.parse(typeof newestAt === 'string' ? newestAt : '')
  // Not a number, where the entry does not say: then nothing shows that they were old enough.
  if (least === 0 || age >= least * dayMs) return undefined
  return `entries were pruned that were not yet ${least} days old`
}

function indexIn(digits: string | undefined): bigint | undefined {
  return typeof digits === 'string' && /^(0|[1-9][0-9]{0,18})$/.test(digits) ? BigInt(digits) : undefined
}
