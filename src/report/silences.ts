/** Silences: a log that is open tells at least its heartbeat, so that nothing for twice as long means that nobody wrote. */
import { countOf, type Fact, momentText } from './fact.ts'
import type { Silence } from './review.ts'
import { boundedRows, compareText, newestOf } from './rows.ts'

export interface Silences {
  take(fact: Fact): void
  /** `until`: up to when each trail was read, ms; undefined where it may have gone on elsewhere, as after an archive. */
  told(until: number | undefined): { readonly rows: readonly Silence[]; readonly others: number }
}

interface Told {
  lastAt: number
  isClosed: boolean
  /** The shortest idle time that a heartbeat told of. */
  beatMs: number | undefined
}

interface Gap {
  readonly instance: string
  readonly from: number
  readonly to: number
}

/** What `createAudit` does unless it is told otherwise. */
const defaultBeatMs = 3_600_000

export function collectSilences(from: number): Silences {
  const trails = boundedRows<Told>(() => ({ lastAt: Number.NaN, isClosed: true, beatMs: undefined }))
  // How long the heartbeat is may be learnt only after a gap.
  const gaps = newestOf<Gap>()

  return {
    take({ entry, instance, at, action }) {
      const told = trails.of(instance)
      if (told === undefined) return
      if (action === 'audit.heartbeat') {
        const idleMs = countOf(entry.details?.idleMs)
        if (idleMs !== undefined && idleMs > 0) told.beatMs = Math.min(told.beatMs ?? idleMs, idleMs)
      }
      if (!told.isClosed && isLong(told, at)) gaps.add({ instance, from: told.lastAt, to: at })
      told.lastAt = at
      told.isClosed = action === 'audit.closed'
    },
    told(until) {
      const open = until === undefined ? [] : trails.all().filter(([, told]) => !told.isClosed && isLong(told, until))
      const last = open.map(([instance, { lastAt }]) => ({ instance, from: lastAt, to: until ?? lastAt }))
      const found = [...gaps.items, ...last].filter((gap) => {
        return gap.to > from && gap.to - gap.from > longestOf(trails.get(gap.instance))
      })
      found.sort((a, b) => a.from - b.from || compareText(a.instance, b.instance))
      const rows = found.map((gap) => ({ ...gap, from: momentText(gap.from), to: momentText(gap.to) }))
      return { rows, others: gaps.others }
    },
  }
}

function isLong(told: Told, at: number): boolean {
  return at - told.lastAt > longestOf(told)
}

function longestOf(told: Told | undefined): number {
  return 2 * (told?.beatMs ?? defaultBeatMs)
}
