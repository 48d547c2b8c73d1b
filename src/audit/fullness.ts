/** Required sinks that had to refuse calls because they are full: looked at until they have room again. */
import type { AuditSink } from '../model/sink.ts'
import type { Deadlines } from './deadlines.ts'

export interface FullnessOptions {
  readonly deadlines: Deadlines
  /** A call was refused because of it, the first since it had room. */
  readonly onFull: (sink: AuditSink) => void
  readonly onRoom: (sink: AuditSink) => void
}

export interface Fullness {
  /** A call was refused because `sink` is full. */
  refused(sink: AuditSink): void
  stop(): void
}

const lookAgainMs = 1000

export function createFullness({ deadlines, onFull, onRoom }: FullnessOptions): Fullness {
  const full = new Set<AuditSink>()
  let cancel = () => {}

  return {
    refused(sink) {
      if (full.has(sink)) return
      full.add(sink)
      if (full.size === 1) look()
      onFull(sink)
    },
    stop() {
      cancel()
    },
  }

  function look(): void {
    cancel = deadlines.after(lookAgainMs, () => {
      const roomy = [...full].filter((sink) => sink.full === undefined)
      for (const sink of roomy) full.delete(sink)
      if (full.size > 0) look()
      for (const sink of roomy) onRoom(sink)
    })
  }
}
