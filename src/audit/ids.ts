/** Event ids and times: UUIDv7 (RFC 9562 §5.7) that never go back, and RFC 3339 text made once a millisecond. */
import { v7 } from 'uuid'

/**
 * Makes UUIDv7s, each above the one before, even when the clock stands still or steps back: within one millisecond a
 * counter of 32 bits goes up (RFC 9562 §6.2, method 1), started at random in its lower half. Takes the time, ms since
 * the epoch, and 16 random bytes.
 */
export function eventIDs(): (now: number, random: Uint8Array) => string {
  let msecs = -1
  let seq = 0
  return (now, random) => {
    if (now > msecs) {
      msecs = now
      seq = (((random[0] ?? 0) & 0x7f) << 24) | ((random[1] ?? 0) << 16) | ((random[2] ?? 0) << 8) | (random[3] ?? 0)
    } else if (seq === 0xffff_ffff) {
      msecs += 1
      seq = 0
    } else seq += 1
    return v7({ msecs, seq, random })
  }
}

/** `createdAt` texts of a time, ms since the epoch. */
export function timestamps(): (now: number) => string {
  let at = Number.NaN
  let text = ''
  return (now) => {
    if (now !== at) {
      at = now
      text = new Date(now).toISOString()
    }
    return text
  }
}
