/** What is due is looked at in whole seconds: in a flood, of which each entry is due at a moment of its own, not at each of them. */

/** The first whole second at or after `at`, ms. */
export function wholeSecond(at: number): number {
  return Math.ceil(at / 1000) * 1000
}
