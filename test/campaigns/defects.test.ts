/** @node The campaigns can fail: each planted defect is caught by one, and what nobody changed by none. */
import { ok, strictEqual } from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { spread } from '../share.ts'
import { noShared } from '../shared.ts'
import { campaigns } from './all.ts'
import { defects, type Run } from './defects.ts'
import { withFolder } from './house.ts'
import { plant, runOn } from './plant.ts'
import { copyProduct } from './product.ts'
import { seed } from './short.ts'

/** Of any campaign: enough to see that it goes through all that it does. */
const few = 2
const planted = spread(defects)

describe('a planted defect is caught', { concurrency: 2 }, () => {
  for (const { name, edits, campaigns } of planted) {
    test(name, { skip: campaigns.some(isOfVectors) && noShared }, async (t) => {
      await withFolder(async (folder) => {
        const product = copyProduct(join(folder, 'copy'))
        plant(product, edits)
        let caught: string | undefined
        for (const [campaign, count] of campaigns) {
          const { violations, such } = await runOn(product, [campaign, count], { seed, stop: 'at the first' })
          if (violations > 0) {
            caught = `caught by ${campaign}: ${such}`
            break
          }
        }
        ok(caught, `nothing was found by ${campaigns.join(', ')}`)
        t.diagnostic(caught)
      })
    })
  }
})

describe('what nobody changed is caught by none', { concurrency: 2 }, () => {
  const runs = new Map<string, Run>(planted.flatMap(({ campaigns }) => campaigns).map((run) => [run.join(), run]))
  for (const [campaign, count] of runs.values())
    test(`${count} cases of ${campaign}: they are the first of those that its own test tries`, () => {
      ok(count <= campaigns[campaign].short)
    })

  for (const campaign of new Set([...runs.values()].map(([name]) => name))) {
    const run = [campaign, few] as const
    test(`to ${campaign} a copy and a process of its own add nothing`, {
      skip: isOfVectors(run) && noShared,
    }, async () => {
      await withFolder(async (folder) => {
        const { violations, such } = await runOn(copyProduct(join(folder, 'copy')), run, { seed, stop: 'at the end' })
        strictEqual(violations, 0, such)
      })
    })
  }
})

/** Its strings are those of ../shared. */
function isOfVectors([campaign]: Run): boolean {
  return campaign === 'hostile'
}
