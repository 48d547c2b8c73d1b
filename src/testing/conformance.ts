/** What the conformance kits share: a case, and how one says what is wrong. */

/** Passes when `run` resolves; rejects with an error that says what the contract asks and what was found. */
export interface ConformanceCase {
  readonly name: string
  readonly run: () => Promise<void>
}

/** The kit's verdict, not an error of the library: a test runner shows its message. */
export function demand(met: boolean, demanded: string): asserts met {
  if (!met) throw new Error(demanded)
}

export function demandEqual(found: readonly string[], expected: readonly string[], what: string): void {
  const at = expected.findIndex((line, index) => line !== found[index])
  demand(at === -1, `${what}: number ${at} must be\n${expected[at]}\nand is\n${found[at]}`)
  demand(found.length === expected.length, `${what}: ${expected.length} expected, ${found.length} found`)
}

/** What `run` throws or rejects with; fails if it does neither. */
export async function refusalOf(run: () => unknown): Promise<unknown> {
  let answer: unknown
  try {
    answer = await run()
  } catch (refusal) {
    return refusal
  }
  throw new Error(`must be refused, and answered ${typeof answer}`)
}
