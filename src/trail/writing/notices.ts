/** Entries of the trail about itself: as notices until an audit takes it, through that audit's log from then on. */
import type { Notice, SinkLog } from '../../model/sink.ts'

export interface Notices {
  readonly early: readonly Notice[]
  readonly log: SinkLog | undefined
  connect(log: SinkLog): void
  /** Nobody waits for it. */
  tell(notice: Notice): void
}

export function collectNotices(first: readonly Notice[]): Notices {
  const early = [...first]
  let log: SinkLog | undefined
  return {
    early,
    get log() {
      return log
    },
    connect(given) {
      log = given
    },
    tell(notice) {
      // An entry that is refused stays queued, and whoever refused it is told of.
      if (log !== undefined) log.note(notice).catch(ignore)
      else early.push(notice)
    },
  }
}

function ignore(): void {}
