/** A campaign as a test: short, and always the same. */
import { test } from 'node:test'
import { shareOf } from '../share.ts'
import { type Campaign, report } from './campaign.ts'
import { defaultProduct } from './product.ts'

export interface Short {
  /** Its name in all.ts. */
  readonly name: string
  readonly run: Campaign
  readonly count: number
  /** What holds. */
  readonly promise: string
}

const seed = 20_261_122

export function short({ name, run, count, promise }: Short): void {
  test(promise, async () => {
    const options = { seed, count: shareOf(count), product: defaultProduct }
    report(name, options, await run(options))
  })
}
