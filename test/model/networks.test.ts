import assert from 'node:assert/strict'
import { BlockList, isIPv6 } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { holdsSource, inNetworks, parseNetworks } from '../../src/model/networks.ts'

const within = (network: string, ip: string) => inNetworks(parseNetworks('networks', [network]), ip)

test('an address is in a network or not, whatever its spelling', () => {
  assert.equal(within('10.0.0.0/8', '10.255.0.1'), true)
  assert.equal(within('10.0.0.0/8', '11.0.0.1'), false)
  assert.equal(within('10.0.0.0/8', '::ffff:10.1.2.3'), true)
  assert.equal(within('192.0.2.7', '192.0.2.7'), true)
  assert.equal(within('192.0.2.7', '192.0.2.8'), false)
  assert.equal(within('192.0.2.128/25', '192.0.2.127'), false)
  assert.equal(within('2001:db8::/32', '2001:DB8:1::1'), true)
  assert.equal(within('2001:db8::/33', '2001:db8:8000::'), false)
  assert.equal(within('0.0.0.0/0', '203.0.113.9'), true)
  assert.equal(within('0.0.0.0/0', '2001:db8::1'), false)
  assert.equal(within('::/0', '2001:db8::1'), true)
  assert.equal(inNetworks([], '10.0.0.1'), false)
})

test('what is no address is in no network', () => {
  for (const ip of ['', '10.0.0', '010.0.0.1', '10.0.0.1:80', '[::1]', 'fe80::1%eth0', 'localhost'])
    assert.equal(within('0.0.0.0/0', ip) || within('::/0', ip), false, ip)
})

test('what is no network is refused, and so is one with bits beyond its prefix', () => {
  const wrong = [
    '10.1.2.3/8',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '::/129',
    '2001:db8::1/32',
    '/8',
    'all',
  ]
  // Wrong on purpose, as JavaScript callers can be.
  for (const text of [...wrong, 17, null, undefined, {}])
    assert.throws(
      () => parseNetworks('cidrs', ['::1', text as string]),
      { code: 'INVALID_INPUT', message: /'cidrs'/ },
      String(text),
    )
  assert.throws(() => parseNetworks('cidrs', '10.0.0.0/8' as never), { code: 'INVALID_INPUT' })
})

test('it agrees with net.BlockList', () => {
  const text = fc.oneof(
    fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })),
    fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })),
  )
  fc.assert(
    fc.property(text, fc.oneof(fc.ipV4(), fc.ipV6()), ([address, prefix], other) => {
      const family = isIPv6(address) ? 'ipv6' : 'ipv4'
      // An IPv4 address is in an IPv6 network there, as the one it is mapped to; here families do not mix.
      fc.pre(isIPv6(address) === isIPv6(other) && !/ffff/i.test(address + other))
      const list = new BlockList()
      list.addSubnet(address, prefix, family)
      const networks = networkOf(address, prefix)
      fc.pre(networks !== undefined)
      for (const ip of [other, address])
        assert.equal(
          inNetworks(networks ?? [], ip),
          list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4'),
          `${ip} in ${address}/${prefix}`,
        )
    }),
  )
})

/** With the bits beyond the prefix cleared, as `parseNetworks` wants it. */
function networkOf(address: string, prefix: number) {
  const [single] = parseNetworks('networks', [address])
  if (single === undefined) return undefined
  const width = single.groups.length === 4 ? 8 : 16
  const groups = single.groups.map((group, at) => {
    const bits = Math.min(width, Math.max(0, prefix - at * width))
    return Math.floor(group / 2 ** (width - bits)) * 2 ** (width - bits)
  })
  const text = width === 8 ? groups.join('.') : groups.map((group) => group.toString(16)).join(':')
  return parseNetworks('networks', [`${text}/${prefix}`])
}

test('a network is in those that hold the whole of it', () => {
  const holds = (network: string, source: string) => holdsSource(parseNetworks('source', [network]), source)
  assert.equal(holds('192.0.0.0/16', '192.0.2.0/24'), true)
  assert.equal(holds('192.0.2.0/24', '192.0.2.0/24'), true)
  assert.equal(holds('192.0.2.0/25', '192.0.2.0/24'), false)
  assert.equal(holds('192.0.2.7', '192.0.2.0/24'), false)
  assert.equal(holds('2001:db8::/32', '2001:db8:1::/48'), true)
  assert.equal(holds('0.0.0.0/0', '2001:db8:1::/48'), false)
  assert.equal(holds('192.0.0.0/16', '192.0.2.7'), true)
  for (const source of ['h:AAAA', '', '/', '192.0.2.0/', '192.0.2.0/24/7'])
    assert.equal(holds('0.0.0.0/0', source), false)
})
