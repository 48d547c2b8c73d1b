/**
 * What a campaign is: a function that tries many ways to break a promise and returns those that broke it.
 *
 * Each file `<name>.ts` here exports one, `all.ts` lists them, `<name>.test.ts` runs it short, and
 * `npm run campaign -- NAME [--seed S] [--count N] [--product DIR] [--only CASE]` runs it long. The same seed makes the
 * same cases; `--only` runs one of them, by the name that its violation gives.
 *
 * A campaign imports the modules that it tests from `product` and nothing of them at run time from the repository's own
 * `src`, so that it can be turned on a copy with a planted defect: see product.ts.
 */

export interface CampaignOptions {
  readonly seed: number
  /**
   * How many cases; campaigns that enumerate theirs take so many of them by chance, or all if there are fewer. With the same seed
   * the cases of a smaller number are the first of those of a larger one.
   */
  readonly count: number
  /** The folder that the modules come from; `defaultProduct` is the repository's `src`. */
  readonly product: string
  /** Only the case of this name. */
  readonly only?: string
  /** Stops at the first case that breaks a promise: for who asks only whether there is one. */
  readonly first?: boolean
  /** A line for people, now and then. */
  readonly say?: (line: string) => void
}

export interface Violation {
  /** The case, as `only` takes it. */
  readonly case: string
  /** What broke, in one sentence; it begins with the promise (`P1` … `P5`) where it is one of DESIGN.md §1. */
  readonly what: string
}

export type Campaign = (options: CampaignOptions) => Promise<readonly Violation[]>

/** For a test: fails with what broke and how to see it again. */
export function report(name: string, { seed, count }: CampaignOptions, violations: readonly Violation[]): void {
  if (violations.length === 0) return
  const lines = violations.slice(0, 10).map(({ case: at, what }) => `  ${at}: ${what}`)
  const again = `npm run campaign -- ${name} --seed ${seed} --count ${count} --only '${violations[0]?.case}'`
  throw new Error(`${violations.length} violations, such as\n${lines.join('\n')}\nsee it again: ${again}`)
}
