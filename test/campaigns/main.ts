/** @node Runs one campaign long: `npm run campaign -- NAME [--seed S] [--count N] [--product DIR] [--only CASE] [--first] [--verbose]`. */
import { randomInt } from 'node:crypto'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type CampaignName, campaigns } from './all.ts'
import { defaultProduct } from './product.ts'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    count: { type: 'string' },
    product: { type: 'string', default: defaultProduct },
    only: { type: 'string' },
    first: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
})
const [name = ''] = positionals
// Whoever types may name any.
const campaign = Object.hasOwn(campaigns, name) ? campaigns[name as CampaignName] : undefined
if (campaign === undefined) {
  process.stderr.write(`name one campaign: ${Object.keys(campaigns).join(', ')}\n`)
  process.exit(2)
}
const seed = Number(values.seed ?? randomInt(2 ** 31))
const count = Number(values.count ?? campaign.long)
say(`${name}, seed ${seed}, up to ${count} cases`)
const begun = Date.now()
const violations = await campaign.run({
  seed,
  count,
  product: resolve(values.product),
  ...(values.only !== undefined && { only: values.only }),
  first: values.first,
  ...(values.verbose && { say }),
})
for (const { case: at, what } of violations) say(`${at}: ${what}`)
const seconds = ((Date.now() - begun) / 1000).toFixed(1)
say(`${name}, seed ${seed}: ${violations.length} violations in ${seconds} s`)
process.exitCode = violations.length === 0 ? 0 : 1

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
