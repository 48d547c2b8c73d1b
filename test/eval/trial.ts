/** One detector through one life: its findings, how long it took without the making of entries, and the judgement. */
import type { AuditEntry } from '../../src/model/entry.ts'
import { attacks } from './attacks.ts'
import { type Detect, judge } from './evaluate.ts'
import { expected } from './expected.ts'
import { lifeDays } from './life/calendar.ts'
import { liveOn } from './ordinary.ts'
import type { Trial } from './score.ts'

export interface TrialOptions {
  readonly seed: number
  readonly scale: number
  readonly life: Trial['life']
  readonly detect: Detect
}

/** Throws what the detector throws, and if it did not go through all entries: an attack at the end would never be played. */
export async function tryOut({ seed, scale, life, detect }: TrialOptions): Promise<Trial> {
  const lived = liveOn({ seed, scale, attacks: life === 'attacked' ? attacks : [] })
  const made = inChunks(lived.entries)
  const begunAt = performance.now()
  const findings = await detect(made.entries, lived.company)
  const seconds = (performance.now() - begunAt) / 1000 - made.seconds()
  if (!made.isOver()) throw new Error('the detector stopped before the last entry')
  const judgement = judge(findings, { truths: lived.truths(), expected })
  return { seed, life, days: lifeDays, entries: made.count(), seconds, judgement }
}

const chunkSize = 10_000

/** Entries are made in chunks, and the time that this takes is kept apart. */
function inChunks(source: Iterator<AuditEntry>) {
  let count = 0
  let spentMs = 0
  let isOver = false

  return { entries: handOut(), seconds: () => spentMs / 1000, count: () => count, isOver: () => isOver }

  function* handOut(): Generator<AuditEntry, void, undefined> {
    while (!isOver) yield* next()
  }

  function next(): readonly AuditEntry[] {
    const begunAt = performance.now()
    const chunk: AuditEntry[] = []
    while (chunk.length < chunkSize) {
      const { done, value } = source.next()
      if (done === true) {
        isOver = true
        break
      }
      chunk.push(value)
    }
    count += chunk.length
    spentMs += performance.now() - begunAt
    return chunk
  }
}
