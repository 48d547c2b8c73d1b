/** What is due among the keys that a client lists. */
import type { Key } from '../../model/key.ts'
import type { Input } from '../../model/operation.ts'
import { isDatedAhead, type RotationDates, rotationDueAt } from '../../model/rotation.ts'

/** What a run does by itself. */
export type DueOperation = 'rotateScheduled' | 'destroyKey'

export type Due = DueRotation | DueDestruction

export interface DueRotation {
  readonly operation: 'rotateScheduled'
  readonly key: Key
  /** The version is the one that was seen: of two that see the same, the second is refused. */
  readonly input: Input<'rotateScheduled'>
}

export interface DueDestruction {
  readonly operation: 'destroyKey'
  readonly key: Key
  readonly input: Input<'destroyKey'>
}

const dayMs = 86_400_000

/** One of each key at most, however many of its periods have passed. */
export function dueRotations(keys: readonly Key[], now: number): readonly DueRotation[] {
  return keys.flatMap((key) => {
    const dueAt = rotates(key) ? dueTimeOf(key, now) : undefined
    if (dueAt === undefined || !hasCome(dueAt, now)) return []
    const input = { key: key.identity, expectLatestVersion: key.latestVersion, dueAt }
    return [{ operation: 'rotateScheduled', key, input }]
  })
}

/** Keys whose pending window is over. */
export function dueDestructions(keys: readonly Key[], now: number): readonly DueDestruction[] {
  return keys.flatMap((key) => {
    const { identity, status, deletionScheduledAt: dueAt } = key
    if (status !== 'pending_deletion' || dueAt === undefined || !hasCome(dueAt, now)) return []
    return [{ operation: 'destroyKey', key, input: { key: identity, dueAt } }]
  })
}

/** Keys that rotate by a period, and whose newest version is dated more than one ahead. */
export function datedAhead(keys: readonly Key[], now: number): readonly Key[] {
  return keys.filter((key) => rotates(key) && isDatedAhead(datesOf(key), now))
}

function rotates({ status, keyRotationEnabled, nextRotationAt }: Key): boolean {
  return status === 'active' && keyRotationEnabled && nextRotationAt !== undefined
}

/** The time that the provider keeps, unless a clock that was wrong has made it meaningless. */
function dueTimeOf(key: Key, now: number): string | undefined {
  const dates = datesOf(key)
  if (!isDatedAhead(dates, now)) return key.nextRotationAt
  const at = rotationDueAt(dates, now)
  return at === undefined ? undefined : new Date(at).toISOString()
}

function datesOf({ versions, rotationPeriodInDays }: Key): RotationDates {
  // A provider that tells no period tells when it is due, and no more can be known.
  const periodMs = rotationPeriodInDays === undefined ? Number.POSITIVE_INFINITY : rotationPeriodInDays * dayMs
  return { createdAt: versions.map(({ createdAt }) => Date.parse(createdAt)), periodMs }
}

function hasCome(time: string, now: number): boolean {
  return Date.parse(time) <= now
}
