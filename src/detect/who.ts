/** Who is behind an entry, as far as it tells: the actor, else the address it came from. */
import type { Subject } from './finding.ts'
import type { Seen } from './rule.ts'

/** Client address, where the entry has one. */
export function sourceOf({ entry }: Seen): string | undefined {
  const source: unknown = entry.context?.clientIp
  return typeof source === 'string' ? source : undefined
}

/** The actor, else the address; those of whom neither is known are one. */
export function whoOf(seen: Seen): string {
  return seen.actor ?? sourceOf(seen) ?? 'somebody unknown'
}

/** The same, as a subject. */
export function whoSubject(seen: Seen): Pick<Subject, 'actor' | 'source'> {
  if (seen.actor !== undefined) return { actor: seen.actor }
  const source = sourceOf(seen)
  return source === undefined ? {} : { source }
}
