/**
 * @node How much of a long search a test makes: all of it, or the part that `KEYTRAIL_TEST_SHARE` says, such as 0.2. The gate
 * makes all of it on the oldest Node and a share on the others, where it looks for differences between them.
 */
import process from 'node:process'

const share = Number(process.env['KEYTRAIL_TEST_SHARE'] ?? 1)
if (!(share > 0 && share <= 1)) throw new Error('KEYTRAIL_TEST_SHARE must be above 0, and 1 at most')

export const isWhole: boolean = share === 1

/** So many of `count` cases; one at least. */
export function shareOf(count: number): number {
  return Math.ceil(count * share)
}

/** Every so many of `all`, from the first on. */
export function spread<T>(all: readonly T[]): readonly T[] {
  return all.filter((_, at) => Math.floor(at * share) !== Math.floor((at - 1) * share))
}
