/** @node The campaigns can fail: each planted defect is caught by one, and what nobody changed by none. */
import { ok, strictEqual } from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { spread } from '../share.ts'
import { noShared } from '../shared.ts'
import { defects, type Run } from './defects.ts'
import { withFolder } from './house.ts'
import { plant, runOn } from './plant.ts'
import { copyProduct } from './product.ts'

const seed = 20_261_122
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
  for (const run of spread([...runs.values()])) {
    test(`${run[1]} cases of ${run[0]}`, { skip: isOfVectors(run) && noShared }, async () => {
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
