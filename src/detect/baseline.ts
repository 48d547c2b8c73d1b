/**
 * How often somebody does something in each hour of the week, learned hour by hour: what is usual, how far it varies, and the most
 * there was of late. Slow growth is learned; of what comes at once, little.
 */

/** Plain JSON: a part of a rule's cell. */
export interface Baseline {
  /** Hours learned, those without any included. */
  hours: number
  /** Mean of each hour of the week. */
  slots: number[]
  /** Mean of all hours. */
  mean: number
  /** Variance over mean, as it is found around the means of the slots: 1 were pure chance. */
  spread: number
  /** The most in an hour, fading by half in a month. */
  peak: number
  /** No hour teaches more than this before the day is over. */
  ceiling: number
}

export interface Usual {
  /** What an hour of the week usually has, at most. */
  readonly count: number
  /** By so much it varies: a standard deviation. */
  readonly deviation: number
  readonly peak: number
}

export interface LearningOptions {
  /** So many hours are taken as they are. */
  readonly hours: number
  /** What nobody wonders about: an hour may always teach so much. */
  readonly room: number
}

const week = 168
/** A slot follows its hours with this weight once it is a few weeks old. */
const weight = 0.3
/** What the hours beside a slot have counts for it as well: people and jobs are not on time. */
const beside = 0.75
const fade = 0.98

export function newBaseline(): Baseline {
  const slots = new Array<number>(week).fill(0)
  return { hours: 0, slots, mean: 0, spread: 4, peak: 0, ceiling: 0 }
}

/** What is usual in the hour `slot` of the week. */
export function usualOf(baseline: Baseline, slot: number): Usual {
  const { slots, hours, mean, spread, peak } = baseline
  const at = (hour: number) => slots[(hour + week) % week] ?? 0
  let count = Math.max(at(slot), beside * at(slot - 1), beside * at(slot + 1))
  // A young slot is backed by the days beside it, and by all hours together.
  if (hours < 3 * week) count = Math.max(count, at(slot - 24), at(slot + 24), mean)
  return { count, deviation: Math.sqrt(spread * (count + 1)), peak }
}

/** An hour that was counted, in hours since the epoch. */
export interface CountedHour {
  readonly hour: number
  readonly count: number
}

/** Learns such an hour, and those without any that follow it before `next`. `slotOf` tells which hour of the week an hour is. */
export function learnUntil(
  baseline: Baseline,
  next: number,
  { hour, count }: CountedHour,
  { slotOf, ...options }: LearningOptions & { readonly slotOf: (hour: number) => number },
): void {
  const from = slotOf(hour)
  // Of a long silence, or a clock set far ahead, no more than a week is learned; of one set back, nothing.
  const passed = Math.min(next - hour, week)
  for (let number = 0; number < passed; number++)
    learn(baseline, (from + number) % week, number === 0 ? count : 0, options)
}

function learn(baseline: Baseline, slot: number, count: number, { hours, room }: LearningOptions): void {
  const { slots } = baseline
  const known = slots[slot] ?? 0
  const rounds = Math.floor(baseline.hours / week)
  if (baseline.hours % 24 === 0) {
    baseline.peak = rounded(baseline.peak * fade)
    baseline.ceiling = Math.max(2 * baseline.peak, room)
  }
  const taught = baseline.hours < hours ? count : Math.min(count, baseline.ceiling)
  if (rounds > 0 && (taught > 0 || known >= 1)) {
    const off = (taught - known) ** 2 / (known + 1)
    baseline.spread = rounded(Math.max(1, baseline.spread + (off - baseline.spread) / week))
  }
  slots[slot] = rounded(known + (taught - known) * Math.max(1 / (rounds + 1), weight))
  baseline.mean = rounded(baseline.mean + (taught - baseline.mean) / Math.min(baseline.hours + 1, 2 * week), 1e4)
  baseline.peak = Math.max(baseline.peak, taught)
  baseline.hours += 1
}

/** Two decimals keep the state short. */
function rounded(value: number, parts = 100): number {
  return Math.round(value * parts) / parts
}
