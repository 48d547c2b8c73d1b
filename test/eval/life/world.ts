/** What everybody in the company shares while life goes on: the time, the keys, the writers, and the order of what comes. */
import type { AuditEntry, EntryActor, EntryContext } from '../../../src/model/entry.ts'
import { type Agenda, openAgenda } from './agenda.ts'
import { day, lifeBegins, lifeDays } from './calendar.ts'
import { type KeyState, keysOf, type Project } from './keys.ts'
import type { Mark } from './mark.ts'
import { type Odds, oddsOf } from './odds.ts'
import { createWriter, heartbeatMs, type Writer } from './writer.ts'

/** Somebody or something that asks for keys to be used. */
export interface Persona {
  readonly actor: EntryActor & { readonly id: string }
  readonly project: Project
  /** Where its calls go: any of these that takes calls. */
  readonly route: readonly WriterName[]
  /** From where, and with what, it asks now, if it says. */
  context(odds: Odds): EntryContext | undefined
}

export const writerNames = ['kms-a', 'kms-b', 'secrets', 'batch', 'dr'] as const
export type WriterName = (typeof writerNames)[number]

export const region = 'nl-01'
export const retentionDays = 365

export interface World {
  readonly scale: number
  /** How busy people and pods are: 1, but less in a life that is small because a test lives it. */
  readonly pace: number
  readonly begins: number
  readonly ends: number
  readonly agenda: Agenda
  readonly keys: Map<string, KeyState>
  readonly writers: ReadonlyMap<WriterName, Writer>
  readonly marks: Mark[]
  /** For trifles of single calls. */
  readonly odds: Odds
  /** For who wants luck of their own. */
  fork(name: string): Odds
  key(slug: string): KeyState
  writer(name: WriterName): Writer
  /** One of the persona's writers that takes calls now. */
  writerFor(persona: Persona): Writer | undefined
  /** Generation of the keystore, one more with each change. */
  nextGeneration(): number
  readonly keystore: string
  /** What was written since the last time; empties it. */
  drain(): AuditEntry[]
}

export interface WorldOptions {
  readonly seed: number
  readonly scale: number
}

export function openWorld({ seed, scale }: WorldOptions): World {
  const root = oddsOf(seed)
  const agenda = openAgenda()
  const odds = root.fork('calls')
  const routing = root.fork('routing')
  let written: AuditEntry[] = []
  const emit = (entry: AuditEntry) => {
    written.push(entry)
  }
  const parts = { minRetentionDays: retentionDays, emit }
  const writers = new Map(
    writerNames.map((name) => [name, createWriter({ name, odds: root.fork(`writer ${name}`), ...parts })]),
  )
  const keys = keysOf(root.fork('keys'))
  const ends = lifeBegins + lifeDays * day
  const keystore = root.fork('keystore').text(26)
  let generation = root.fork('generation').whole(800, 1200)

  for (const writer of writers.values()) beat(writer)
  return {
    scale,
    pace: Math.min(1, 0.25 + 4 * scale),
    begins: lifeBegins,
    ends,
    agenda,
    keys,
    writers,
    marks: [],
    odds,
    fork: (name) => root.fork(name),
    key(slug) {
      const key = keys.get(slug)
      if (key === undefined) throw new Error(`the company has no key ${slug}`)
      return key
    },
    writer: writerNamed,
    writerFor({ route }) {
      const open = route.map(writerNamed).filter(({ isOpen }) => isOpen)
      return open.length < 2 ? open[0] : routing.pick(open)
    },
    nextGeneration() {
      generation += 1
      return generation
    },
    keystore,
    drain() {
      const drained = written
      written = []
      return drained
    },
  }

  function writerNamed(name: WriterName): Writer {
    // All names have one.
    return writers.get(name) as Writer
  }

  /** An hour after the last entry another one follows that says so. */
  function beat(writer: Writer): void {
    agenda.at(lifeBegins + heartbeatMs, look)

    function look(now: number): void {
      const idleMs = now - writer.lastAt
      if (writer.isOpen && idleMs >= heartbeatMs)
        writer.note('audit.heartbeat', { idleMs: Math.round(idleMs) }, { at: now })
      const last = Number.isFinite(writer.lastAt) ? writer.lastAt : now
      agenda.at(writer.isOpen ? Math.max(last + heartbeatMs, now + 1) : now + heartbeatMs / 60, look)
    }
  }
}
