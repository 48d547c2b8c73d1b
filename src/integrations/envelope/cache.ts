/**
 * Data keys that are used more than once: for a while, for so many messages and bytes, and never without these limits. Plaintext keys
 * are wiped when they leave it, for whatever reason.
 */
import type { Deadlines } from '../../audit/deadlines.ts'
import { copyOf, wipe } from '../../crypto/bytes.ts'
import type { Clock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import type { FetchedKey } from './record.ts'

/** Limits on each cached data key, and on their number. None can be switched off. */
export interface DataKeyCacheOptions {
  /** How long a data key is used after it was fetched, ms: 300,000 by default, 3,600,000 (an hour) at most. */
  readonly maxAgeMs?: number
  /** Messages sealed or opened with it, the one that it was fetched for included: 1,000 by default, 1,000,000 at most. */
  readonly maxMessages?: number
  /**
   * Bytes of plaintext, 1 GiB by default, 1 TiB at most. A stream's length is not known when it begins: it is counted as it goes and
   * sealed to its end, and no message begins with that key after it.
   */
  readonly maxBytes?: number
  /** Data keys held at once, 100 by default, 10,000 at most; the one that was used longest ago goes first. */
  readonly maxKeys?: number
}

export interface DataKeyCache {
  /** A key with room for one more message of `bytes`, which it counts; undefined if there is none. */
  take(id: string, bytes: number): Held | undefined
  /** Keeps a copy of `dataKey`, just fetched for a message of `bytes`; undefined if it may not be used for another. */
  keep(id: string, fetched: FetchedKey, dataKey: Uint8Array, bytes: number): Held | undefined
  /** Forgets everything; nothing is kept from here on. */
  close(): void
}

export interface Held {
  readonly fetched: FetchedKey
  /** Wiped when it leaves the cache: copy it at once. */
  readonly dataKey: Uint8Array
  /** Counts bytes of a message whose length was not known before. */
  count(bytes: number): void
  drop(): void
}

const ceilings = { maxAgeMs: 3_600_000, maxMessages: 1_000_000, maxBytes: 2 ** 40, maxKeys: 10_000 } as const
const defaults = { maxAgeMs: 300_000, maxMessages: 1000, maxBytes: 2 ** 30, maxKeys: 100 } as const

interface Slot extends Held {
  /** Monotonic clock: from then on it is not used. */
  readonly until: number
  messages: number
  bytes: number
}

export function dataKeyCache(
  options: DataKeyCacheOptions,
  { clock, deadlines }: { readonly clock: Clock; readonly deadlines: Deadlines },
): DataKeyCache {
  const { maxAgeMs, maxMessages, maxBytes, maxKeys } = checked(options)
  // In the order of their last use.
  const slots = new Map<string, Slot>()
  let closed = false

  function slotOf(id: string, fetched: FetchedKey, dataKey: Uint8Array, bytes: number): Slot {
    const forgetTimer = deadlines.after(maxAgeMs, drop)
    const slot: Slot = {
      fetched,
      dataKey: copyOf(dataKey),
      until: clock.monotonic() + maxAgeMs,
      messages: 1,
      bytes,
      count(more) {
        slot.bytes += more
        if (slot.bytes >= maxBytes) drop()
      },
      drop,
    }
    return slot

    function drop(): void {
      forgetTimer()
      wipe(slot.dataKey)
      if (slots.get(id) === slot) slots.delete(id)
    }
  }

  return {
    take(id, bytes) {
      const slot = slots.get(id)
      if (slot === undefined) return undefined
      // A timer may be late.
      if (clock.monotonic() >= slot.until) {
        slot.drop()
        return undefined
      }
      if (slot.messages >= maxMessages || slot.bytes + bytes > maxBytes) return undefined
      slot.messages += 1
      slot.bytes += bytes
      slots.delete(id)
      slots.set(id, slot)
      return slot
    },
    keep(id, fetched, dataKey, bytes) {
      if (closed || maxMessages === 1 || bytes >= maxBytes) return undefined
      slots.get(id)?.drop()
      const slot = slotOf(id, fetched, dataKey, bytes)
      slots.set(id, slot)
      const [oldest] = slots.values()
      if (slots.size > maxKeys) oldest?.drop()
      return slot
    },
    close() {
      closed = true
      for (const slot of [...slots.values()]) slot.drop()
    },
  }
}

function checked(options: DataKeyCacheOptions): Required<DataKeyCacheOptions> {
  if (typeof options !== 'object' || options === null)
    refuse("'cache' must be an object of limits, such as { maxMessages: 100 }")
  const unknown = Object.keys(options).find((name) => !(name in ceilings))
  if (unknown !== undefined) refuse(`'cache' takes ${Object.keys(ceilings).join(', ')}`)
  const limits = {
    maxAgeMs: options.maxAgeMs ?? defaults.maxAgeMs,
    maxMessages: options.maxMessages ?? defaults.maxMessages,
    maxBytes: options.maxBytes ?? defaults.maxBytes,
    maxKeys: options.maxKeys ?? defaults.maxKeys,
  }
  for (const name of ['maxAgeMs', 'maxMessages', 'maxBytes', 'maxKeys'] as const) {
    const limit = limits[name]
    if (!Number.isInteger(limit) || limit < 1 || limit > ceilings[name])
      refuse(
        `'cache.${name}' must be a whole number from 1 to ${ceilings[name]}: a data key is never kept without limits`,
      )
  }
  return limits
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
