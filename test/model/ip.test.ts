import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { normalizeIp, prefixOf } from '../../src/model/ip.ts'

const one: readonly [string, string | undefined][] = [
  ['192.0.2.7', '192.0.2.7'],
  ['::1', '::1'],
  ['::', '::'],
  ['2001:DB8::0001', '2001:db8::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['::FFFF:c000:207', '192.0.2.7'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['fe80::1%eth0', undefined],
  ['[::1]', undefined],
  ['192.0.2.7:80', undefined],
  ['999.1.1.1', undefined],
  ['0x7f.1', undefined],
  ['010.0.0.1', undefined],
  ['1.2.3', undefined],
  ['', undefined],
  [' 192.0.2.7', undefined],
  ['1::2::3', undefined],
  ['1.2.3.4::', undefined],
  ['1:2:3:4:5:6:7:8:9', undefined],
  ['1:2:3:4:5:6:7:8::', undefined],
  [':1:2:3:4:5:6:7', undefined],
  ['12345::', undefined],
  ['x'.repeat(100_000), undefined],
]

test('an address has one spelling (RFC 5952), and what is not an address has none', () => {
  for (const [text, expected] of one) assert.equal(normalizeIp(text), expected, text.slice(0, 50))
})

test('it agrees with net.isIP on what is an address, zone ids aside', () => {
  const nearly = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.ipV4Extended(),
    fc.stringMatching(/^[0-9a-f:.]{0,40}$/),
    fc
      .tuple(fc.ipV6(), fc.nat(40), fc.constantFrom('', ':', '.', '0', 'g'))
      .map(([ip, at, by]) => ip.slice(0, at) + by + ip.slice(at + 1)),
  )
  fc.assert(
    fc.property(nearly, (text) => {
      assert.equal(normalizeIp(text) !== undefined, isIP(text) !== 0, text)
    }),
    { numRuns: 20_000 },
  )
})

test('the spelling is stable, and the same address however it was written', () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const once = normalizeIp(text) ?? assert.fail(text)
      assert.equal(normalizeIp(once), once)
      assert.equal(normalizeIp(text.toUpperCase()), once)
      if (!once.includes('.')) assert.equal(new URL(`http://[${text}]/`).hostname, `[${once}]`)
    }),
  )
})

test('prefixes are /24 and /48', () => {
  assert.equal(prefixOf('192.0.2.7'), '192.0.2.0/24')
  assert.equal(prefixOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1::/48')
  assert.equal(prefixOf('::1'), '::/48')
})
