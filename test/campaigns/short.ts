/** A campaign as a test: short, and always the same. */
import { test } from 'node:test'
import { shareOf } from '../share.ts'
import { type CampaignName, campaigns } from './all.ts'
import { report } from './campaign.ts'
import { defaultProduct } from './product.ts'

export interface Short {
  readonly name: CampaignName
  /** What holds. */
  readonly promise: string
  readonly skip?: string | false
}

/** Also that of the planted defects, whose cases are thereby among these. */
export const seed = 20_261_122

export function short({ name, promise, skip = false }: Short): void {
  test(promise, { skip }, async () => {
    const { run, short: count } = campaigns[name]
    const options = { seed, count: shareOf(count), product: defaultProduct }
    report(name, options, await run(options))
  })
}
