import { test } from 'node:test'
import { shareOf } from '../share.ts'
import { noShared } from '../shared.ts'
import { report } from './campaign.ts'
import { hostile } from './hostile.ts'
import { defaultProduct } from './product.ts'

test('hostile text in any field leaves one line, which does nothing to whoever reads it', {
  skip: noShared,
}, async () => {
  const options = { seed: 20_261_122, count: shareOf(10_000), product: defaultProduct }
  report('hostile', options, await hostile(options))
})
