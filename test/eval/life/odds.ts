/** Chance with the shapes that life has: waiting times, sizes that are mostly small, now and then something rare. */
import { type Chance, chance } from '../../campaigns/chance.ts'

export interface Odds extends Chance {
  /** Real, from `low` up to `high`. */
  between(low: number, high: number): number
  /** A whole number, both ends included. */
  whole(low: number, high: number): number
  /** True so often, 0 to 1. */
  happens(probability: number): boolean
  /** Waiting time until the next of things that come independently. */
  wait(mean: number): number
  /** Around `median`, with a long tail upwards; `spread` 0.5 is modest, 1 is wide. */
  skewed(median: number, spread: number): number
  /** `count` different ones, or all in another order. */
  some<T>(choices: readonly T[], count?: number): T[]
  /** 32 random bits. */
  bits(): number
  /** Letters of `alphabet`. */
  text(length: number, alphabet?: string): string
  /** Other odds, that depend on the seed and on `name` alone: who uses them disturbs nobody. */
  fork(name: string): Odds
}

/** The same seed, the same odds. */
export function oddsOf(seed: number): Odds {
  const { next, below, pick } = chance(seed)
  const odds: Odds = {
    next,
    below,
    pick,
    between: (low, high) => low + next() * (high - low),
    whole: (low, high) => low + below(high - low + 1),
    happens: (probability) => next() < probability,
    wait: (mean) => -Math.log(1 - next()) * mean,
    skewed: (median, spread) => median * Math.exp(spread * normal(next)),
    some(choices, count = choices.length) {
      const left = [...choices]
      const taken: typeof left = []
      while (taken.length < count && left.length > 0) taken.push(...left.splice(below(left.length), 1))
      return taken
    },
    bits: () => Math.floor(next() * 2 ** 32),
    text(length, alphabet = 'abcdefghijklmnopqrstuvwxyz234567') {
      let text = ''
      for (let at = 0; at < length; at++) text += alphabet[below(alphabet.length)]
      return text
    },
    fork: (name) => oddsOf(mixed(seed, name)),
  }
  return odds
}

/** Box and Muller. */
function normal(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
}

/** FNV-1a over the seed and the name. */
function mixed(seed: number, name: string): number {
  let hash = 0x811c9dc5 ^ seed
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0
}
