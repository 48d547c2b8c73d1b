import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { prepareContext } from '../../../src/audit/context.ts'
import { compileFields } from '../../../src/audit/fields.ts'
import { traceparentOf } from '../../../src/integrations/context/index.ts'

const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
const parent = '00f067aa0ba902b7'
const good = `00-${trace}-${parent}-01`

/** As an entry has it. */
function kept(header: string | readonly string[] | null | undefined) {
  const traceparent = traceparentOf(header)
  const { context, flags } = prepareContext(compileFields(), traceparent === undefined ? {} : { traceparent })
  return { traceparent: context?.traceparent, flags }
}

test('no header is nothing, and no flag', () => {
  for (const header of [undefined, null]) assert.deepEqual(kept(header), { traceparent: undefined, flags: [] })
})

test('a header of version 00 is kept as it is, whatever its flags', () => {
  for (const flags of ['00', '01', '02', '03', 'ff'])
    assert.equal(kept(`00-${trace}-${parent}-${flags}`).traceparent, `00-${trace}-${parent}-${flags}`)
  assert.equal(kept([good]).traceparent, good)
})

describe('a higher version becomes 00 with the flags that are known', () => {
  const headers = {
    [`01-${trace}-${parent}-01`]: '01',
    [`cc-${trace}-${parent}-02`]: '02',
    [`cc-${trace}-${parent}-ff`]: '03',
    [`cc-${trace}-${parent}-fc`]: '00',
    [`fe-${trace}-${parent}-01-what-the-future-will-be-like`]: '01',
    [`01-${trace}-${parent}-01-`]: '01',
  }
  for (const [header, flags] of Object.entries(headers))
    test(header, () => assert.equal(kept(header).traceparent, `00-${trace}-${parent}-${flags}`))
})

describe('what is no traceparent is dropped and flagged', () => {
  const headers: readonly (string | readonly string[])[] = [
    '',
    'x',
    good.toUpperCase(),
    ` ${good}`,
    `${good} `,
    `${good}-`,
    `${good}-more`,
    `${good}1`,
    good.slice(0, -1),
    good.slice(0, -3),
    `ff-${trace}-${parent}-01`,
    `FF-${trace}-${parent}-01`,
    `0-${trace}-${parent}-01`,
    `000-${trace}-${parent}-01`,
    `.0-${trace}-${parent}-01`,
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `cc-${'0'.repeat(32)}-${parent}-01`,
    `00-${trace.slice(1)}-${parent}-01`,
    `00-${trace}0-${parent}-01`,
    `00-${trace.slice(1)}.-${parent}-01`,
    `00-${trace}-${parent.slice(1)}-01`,
    `00-${trace}-${parent}0-01`,
    `00-${trace}-${parent}-0x`,
    `00-${trace}-${parent}-0`,
    `cc-${trace}-${parent}-01.what-the-future-will-not-be-like`,
    `cc-${trace}-${parent}-010`,
    `00_${trace}_${parent}_01`,
    `${good}\n`,
    [good, good],
    [],
    `${good}, ${good}`,
    `cc-${trace}-${parent}-01-more, cc-${trace}-${parent}-01-more`,
    'a'.repeat(100_000),
  ]
  for (const header of headers)
    test(JSON.stringify(header).slice(0, 90), () =>
      assert.deepEqual(kept(header), { traceparent: undefined, flags: ['traceparent_invalid'] }),
    )
})

test('whatever the header, an entry has a traceparent of version 00 or none', () => {
  const near = fc
    .tuple(fc.nat(good.length), fc.constantFrom('', '0', 'f', 'G', '-', ' ', ','), fc.nat(2))
    .map(([at, put, gone]) => good.slice(0, at) + put + good.slice(at + gone))
  fc.assert(
    fc.property(fc.oneof(near, fc.string(), fc.array(near, { maxLength: 3 })), (header) => {
      const { traceparent, flags } = kept(header)
      if (traceparent === undefined) assert.deepEqual(flags, ['traceparent_invalid'])
      else assert.match(traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)
    }),
    { numRuns: 2000 },
  )
})
