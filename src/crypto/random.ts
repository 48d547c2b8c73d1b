/**
 * Random bytes from a pool: a system call for every nonce costs more than a small encryption. The pool is filled only
 * when bytes are wanted, each byte is wiped from it when used, and a block is thrown away 50 ms after it was filled:
 * two copies of a cloned or restored machine must not draw the same nonces from one copied pool.
 */
import { engine } from '#engine'
import { type Clock, systemClock } from '../model/clock.ts'
import { toBase64url, wipe } from './bytes.ts'
import type { Engine } from './engine.ts'

const blockLength = 4096
const blockLifetimeMs = 50
/** Longer wishes go to the engine directly. */
const pooledLength = 64

export interface RandomPool {
  /** Overwrites `out` with random bytes. */
  fill(out: Uint8Array): void
}

/** A pool of its own; the library uses the one behind `randomBytes`. */
export function randomPool(options: { readonly engine: Engine; readonly clock: Clock }): RandomPool {
  const { engine, clock } = options
  const block = new Uint8Array(blockLength)
  let used = blockLength
  let filledAt = 0
  let watched = false

  function refill(): void {
    engine.randomFill(block)
    used = 0
    filledAt = clock.now()
    watch()
  }

  // One timer at a time, so that a block nobody asks for again does not stay in memory.
  function watch(): void {
    if (watched) return
    watched = true
    clock.after(blockLifetimeMs, () => {
      watched = false
      if (used === blockLength) return
      if (stale()) discard()
      else watch()
    })
  }

  // The wall clock, because that is the one which jumps when a machine is restored; in either direction.
  function stale(): boolean {
    return Math.abs(clock.now() - filledAt) >= blockLifetimeMs
  }

  function discard(): void {
    wipe(block)
    used = blockLength
  }

  return {
    fill(out) {
      if (out.length > pooledLength) {
        engine.randomFill(out)
        return
      }
      if (blockLength - used < out.length || stale()) refill()
      for (let at = 0; at < out.length; at++) {
        // `used` stays below the block's length: checked above.
        out[at] = block[used] ?? 0
        block[used++] = 0
      }
    },
  }
}

const pool = randomPool({ engine, clock: systemClock })

/** `length` random bytes in an array of their own. */
export function randomBytes(length: number): Uint8Array {
  const out = new Uint8Array(length)
  pool.fill(out)
  return out
}

/** Overwrites `out` with random bytes: for those who have the array already. */
export function randomInto(out: Uint8Array): void {
  pool.fill(out)
}

const token = new Uint8Array(16)

/** 128 random bits as 22 base64url characters, for salts and ids. */
export function randomToken(): string {
  pool.fill(token)
  return toBase64url(token)
}
