/** Chance that can be had again: the same seed, the same numbers. */

export interface Chance {
  /** From 0 up to 1, never 1. */
  next(): number
  /** A whole number from 0 up to `bound`, never `bound`. */
  below(bound: number): number
  /** One of them; there must be one at least. */
  pick<T>(choices: readonly T[]): T
}

/** Mulberry32. */
export function chance(seed: number): Chance {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (bound: number) => Math.floor(next() * bound)
  return {
    next,
    below,
    pick<T>(choices: readonly T[]): T {
      if (choices.length === 0) throw new Error('nothing to choose from')
      // The index is below the length.
      return choices[below(choices.length)] as T
    },
  }
}
