/** What a rule found: who or what it is about, the entries that show it, and what to do about it. */
import { engine } from '#engine'
import { hex, utf8 } from '../crypto/bytes.ts'

/** From what is good to know to what must not wait. `medium` and above are alarms; what lies below is for the review. */
export const levels = ['informational', 'low', 'medium', 'high', 'critical'] as const

export type Level = (typeof levels)[number]

/** Whether `level` is `least` or above it. */
export function isAtLeast(level: Level, least: Level): boolean {
  return levels.indexOf(level) >= levels.indexOf(least)
}

/** What a finding is about; what it names is as in the entries. */
export interface Subject {
  /** Slug of a key, or its identity where no slug is known. */
  readonly key?: string
  /** Type and id, as in `serviceAccount:billing`. */
  readonly actor?: string
  /** Client address, or the network that it is in. */
  readonly source?: string
  /** Path of a secret. */
  readonly secret?: string
  /** Of the log itself: the name of a sink. */
  readonly sink?: string
  /** Of the log itself: which start of which writer. */
  readonly instance?: string
}

export interface Finding {
  /** The same for the same finding, also when an old trail is gone through again: 32 hexadecimal digits. */
  readonly id: string
  /** Id of the rule. */
  readonly rule: string
  readonly title: string
  readonly level: Level
  /** MITRE ATT&CK techniques. */
  readonly attack: readonly string[]
  /** When it was plain, by the time of the entries; RFC 3339, UTC. */
  readonly at: string
  readonly subject: Subject
  /** What was looked at: RFC 3339, UTC, both included. */
  readonly window: { readonly from: string; readonly to: string }
  /** How many entries led to it. */
  readonly count: number
  /** `eventID`s of entries that show it, oldest first; at most {@link mostEvidence}, the first and the last of them. */
  readonly evidence: readonly string[]
  /** One sentence. Holds text from entries: show it as text, never as markup. */
  readonly says: string
  readonly whatToDo: string
}

export const mostEvidence = 20

/** What a rule tells; the detector makes a {@link Finding} of it. */
export interface Sighting {
  /** The rule's own level by default. */
  readonly level?: Level
  readonly subject: Subject
  /** `eventID`s, oldest first. */
  readonly evidence: readonly string[]
  /** As many as there is evidence, by default. */
  readonly count?: number
  /** ms since the epoch; the moment of the finding by default. */
  readonly from?: number
  readonly to?: number
  readonly says: string
}

/** The first and the last ones, if there are too many. */
export function keptEvidence(evidence: readonly string[]): readonly string[] {
  if (evidence.length <= mostEvidence) return [...evidence]
  return [...evidence.slice(0, mostEvidence / 2), ...evidence.slice(-mostEvidence / 2)]
}

/** Names a finding by what it is about: its rule, subject, moment and evidence. */
export function findingID(rule: string, at: string, { subject, evidence }: Sighting): string {
  const { key, actor, source, secret, sink, instance } = subject
  const about = [key, actor, source, secret, sink, instance].map((part) => part ?? null)
  return hex(engine.hash('sha256', utf8(JSON.stringify([rule, at, about, evidence[0] ?? null])))).slice(0, 32)
}
