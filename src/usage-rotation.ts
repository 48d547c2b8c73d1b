/** Keys that the client rotates by itself, because a version of theirs nears the limit of its usage. */
import type { Clock } from './model/clock.ts'
import { KmsError } from './model/errors.ts'
import type { KeyRef } from './model/key.ts'
import type { Operation, Output } from './model/operation.ts'

export interface UsageRotationOptions {
  readonly clock: Clock
  /** Rotates `key` if `version` is its latest; undefined when nothing may begin any more. */
  readonly rotate: (key: KeyRef, version: number) => Promise<void> | undefined
}

interface Attempt {
  readonly version: number
  /** Monotonic clock: not before. Never, for one that is under way or done. */
  again: number
}

/** A rotation that failed is not tried again before this: each attempt is two entries. */
const retryMs = 60_000

/**
 * A function that is shown every output, and starts one rotation of a key whose newest version it warns of. Whatever becomes
 * of it stands in its entries; a caller hears nothing of it.
 */
export function usageRotation({ clock, rotate }: UsageRotationOptions): (output: Output<Operation>) => void {
  const attempts = new Map<string, Attempt>()

  function warned(key: KeyRef, version: number): void {
    // An older version was asked for by its number: a rotation would change nothing for it.
    if (key.latestVersion !== undefined && key.latestVersion !== version) return
    const last = attempts.get(key.identity)
    if (last !== undefined && version <= last.version && clock.monotonic() < last.again) return
    const begunAt = clock.monotonic()
    const attempt: Attempt = { version, again: Number.POSITIVE_INFINITY }
    const rotated = rotate(key, version)
    if (rotated === undefined) return
    attempts.set(key.identity, attempt)
    rotated.catch((error: unknown) => {
      // Another client, or a person, has rotated it.
      const isDone = error instanceof KmsError && error.code === 'VERSION_CONFLICT'
      if (!isDone) attempt.again = begunAt + retryMs
    })
  }

  return (output) => {
    if (output.usage === undefined) return
    // What was sealed was sealed by the destination.
    const [key, version] =
      'destinationKey' in output
        ? [output.destinationKey, output.destinationKeyVersion]
        : [output.key, output.keyVersion]
    if (key !== undefined && version !== undefined) warned(key, version)
  }
}
