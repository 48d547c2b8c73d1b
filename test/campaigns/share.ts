/**
 * @node How much of a campaign its test runs: all of it, or the part that `KEYTRAIL_CAMPAIGN_SHARE` says, such as 0.2. The
 * gate runs all of it on the oldest Node and a share on the others, where it looks for differences between them.
 */
import process from 'node:process'

const share = Number(process.env['KEYTRAIL_CAMPAIGN_SHARE'] ?? 1)
if (!(share > 0 && share <= 1)) throw new Error('KEYTRAIL_CAMPAIGN_SHARE must be above 0, and 1 at most')

/** So many of `count` cases; one at least. */
export function shareOf(count: number): number {
  return Math.ceil(count * share)
}

/** Every so many of `all`, from the first on. */
export function spread<T>(all: readonly T[]): readonly T[] {
  return all.filter((_, at) => Math.floor(at * share) !== Math.floor((at - 1) * share))
}
