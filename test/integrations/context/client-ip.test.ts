import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { prepareContext } from '../../../src/audit/context.ts'
import { compileFields } from '../../../src/audit/fields.ts'
import { clientIpOf, type ForwardedRequest } from '../../../src/integrations/context/index.ts'
import { normalizeIp } from '../../../src/model/ip.ts'

const proxies = ['10.0.0.0/8', '2001:db8:ffff::/48', '127.0.0.1']
const flag = { clientIp: undefined, flags: ['client_ip_invalid'] }

/** As an entry has it. */
function kept(request: ForwardedRequest, trusted: readonly string[] = proxies) {
  const { context, flags } = prepareContext(compileFields(), clientIpOf(request, trusted))
  return { clientIp: context?.clientIp, ...(context?.peerIp && { peerIp: context.peerIp }), flags }
}

const viaX = (xForwardedFor: string | readonly string[], peer = '10.0.0.7') => kept({ peer, xForwardedFor })
const via = (forwarded: string | readonly string[], peer = '10.0.0.7') => kept({ peer, forwarded })

describe('who connects', () => {
  test('is the client where there are no proxies', () => {
    assert.deepEqual(kept({ peer: '203.0.113.9' }, []), { clientIp: '203.0.113.9', flags: [] })
    assert.deepEqual(kept({ peer: '::ffff:203.0.113.9' }, []), { clientIp: '203.0.113.9', flags: [] })
    assert.deepEqual(kept({ peer: '2001:DB8:0::9' }, []), { clientIp: '2001:db8::9', flags: [] })
  })

  test('is the client whatever it says of itself, unless it is a trusted proxy', () => {
    for (const peer of ['203.0.113.9', '11.0.0.1', '::ffff:203.0.113.9', '2001:db8:fffe::1'])
      for (const claim of ['6.6.6.6', '127.0.0.1', '10.0.0.1, 10.0.0.2', 'junk', '"'])
        assert.deepEqual(kept({ peer, xForwardedFor: claim, forwarded: `for=${claim}` }), {
          clientIp: normalizeIp(peer),
          flags: [],
        })
  })

  test('is the client when it is a proxy that tells nobody', () => {
    for (const nothing of [undefined, null, '', ' ', ' , ,', []])
      assert.deepEqual(kept({ peer: '10.0.0.7', xForwardedFor: nothing, forwarded: nothing }), {
        clientIp: '10.0.0.7',
        flags: [],
      })
  })

  test("is told with its link's zone taken off: the operating system's own word", () => {
    assert.deepEqual(kept({ peer: 'fe80::1%eth0' }), { clientIp: 'fe80::1', flags: [] })
  })

  test('unknown, vouches for nobody', () => {
    assert.deepEqual(kept({ peer: undefined, xForwardedFor: '6.6.6.6' }), { clientIp: undefined, flags: [] })
  })
})

describe('behind trusted proxies', () => {
  test('the client is the first address from the right that is not one of them, and the peer stands beside it', () => {
    const client = { clientIp: '203.0.113.9', peerIp: '10.0.0.7', flags: [] }
    assert.deepEqual(viaX('203.0.113.9'), client)
    assert.deepEqual(viaX('203.0.113.9, 10.1.1.1,10.2.2.2'), client)
    assert.deepEqual(viaX('6.6.6.6, 203.0.113.9, 10.1.1.1'), client)
    assert.deepEqual(viaX(['6.6.6.6, 203.0.113.9', '10.1.1.1']), client)
    assert.deepEqual(viaX('10.9.9.9, 203.0.113.9, ::ffff:10.1.1.1'), client)
    assert.deepEqual(via('for=203.0.113.9'), client)
    assert.deepEqual(via('for=6.6.6.6, for=203.0.113.9;by=10.0.0.7;proto=https, For="10.1.1.1:8080"'), client)
    assert.deepEqual(via(['for=6.6.6.6', 'proto=http;for=203.0.113.9']), client)
  })

  test('it is the last that is told where all are', () => {
    assert.deepEqual(viaX('10.3.3.3, 10.2.2.2'), { clientIp: '10.3.3.3', peerIp: '10.0.0.7', flags: [] })
  })

  test('ports, brackets and ::ffff: are taken off', () => {
    for (const [text, clientIp] of [
      ['203.0.113.9:443', '203.0.113.9'],
      ['[2001:DB8::9]', '2001:db8::9'],
      ['[2001:db8::9]:65535', '2001:db8::9'],
      ['2001:db8::9', '2001:db8::9'],
      ['::ffff:203.0.113.9', '203.0.113.9'],
      ['[::ffff:203.0.113.9]:80', '203.0.113.9'],
    ] as const)
      assert.deepEqual(viaX(text), { clientIp, peerIp: '10.0.0.7', flags: [] }, text)
    for (const [text, clientIp] of [
      ['"203.0.113.9:443"', '203.0.113.9'],
      ['"203.0.113.9:_port"', '203.0.113.9'],
      ['"203\\.0.113.9"', '203.0.113.9'],
      ['"[2001:DB8::9]"', '2001:db8::9'],
      ['"[2001:db8::9]:4711"', '2001:db8::9'],
      ['"[2001:db8::9]:_a.b-c"', '2001:db8::9'],
      ['"[::ffff:203.0.113.9]"', '203.0.113.9'],
    ] as const)
      assert.deepEqual(via(`for=${text}`), { clientIp, peerIp: '10.0.0.7', flags: [] }, text)
  })

  describe('what is no address is refused and flagged, and nothing left of it is believed', () => {
    const junk = [
      'unknown',
      '_hidden',
      'localhost',
      '010.0.0.1',
      '0xa.0.0.1',
      '167772161',
      '10.1',
      '1.2.3.4.5',
      '1.2.3.256',
      '1.2.3.4:',
      '1.2.3.4:65536',
      '1.2.3.4:123456',
      '1.2.3.4:http',
      'fe80::1%eth0',
      '[fe80::1%25eth0]',
      '[1.2.3.4]',
      '[2001:db8::9',
      '2001:db8::9]:80',
      '[2001:db8::9]80',
      '2001:db8:::9',
      '1.2.3.4/32',
      '1.2.3.4 5.6.7.8',
      '1.2.3.4\u00a0',
      '1.2.3.4\0',
      '\u0661.2.3.4',
      'x'.repeat(100_000),
      `${' '.repeat(3000)}1.2.3.4 x`,
    ]
    for (const text of junk)
      test(JSON.stringify(text).slice(0, 60), () => {
        const expected = { ...flag, peerIp: '10.0.0.7' }
        assert.deepEqual(viaX(`203.0.113.9, ${text}`), expected)
        assert.deepEqual(via(`for=203.0.113.9, for="${text}"`), expected)
        assert.deepEqual(viaX(`${text}, 203.0.113.9`).clientIp, '203.0.113.9')
      })
  })

  describe('what is no element of Forwarded is refused and flagged', () => {
    for (const element of [
      'for',
      'for=',
      'for=""',
      '=1.2.3.4',
      'by=1.2.3.4',
      'for=1.2.3.4;for=5.6.7.8',
      'for=1.2.3.4;FOR=1.2.3.4',
      'for=1.2.3.4:80',
      'for=[2001:db8::9]',
      'for="2001:db8::9"',
      'for="::ffff:1.2.3.4"',
      'for=2001:db8::9',
      'for = 1.2.3.4',
      'for=1.2.3.4 by=5.6.7.8',
      'for="1.2.3.4',
      'for=1.2.3.4"',
      'for="1.2.3.4"x',
      "for='1.2.3.4'",
      'for=1.2.3.4;by',
      'for="1.2.3.4\u0001"',
      `for=1.2.3.4;host="${'x'.repeat(3000)}"`,
    ])
      test(element.slice(0, 60), () => assert.deepEqual(via(element), { ...flag, peerIp: '10.0.0.7' }))
  })

  test('what a client writes cannot change how an appended element is read', () => {
    for (const claim of [
      'for="',
      'for="\\',
      '"',
      'for="a, for=b',
      'for=6.6.6.6;host="',
      '\\"',
      ',,,',
      '"\\\\"',
      'for=6.6.6.6',
    ])
      assert.deepEqual(via(`${claim}, for=203.0.113.9`).clientIp, '203.0.113.9', claim)
    // What a proxy repeats of the client, in quotes.
    for (const host of ['a, for=6.6.6.6', 'a\\", for=6.6.6.6;x=\\"', '\\\\', 'a;for=6.6.6.6'])
      assert.deepEqual(via(`for=203.0.113.9;host="${host}"`).clientIp, '203.0.113.9', host)
  })

  test('two headers that disagree are flagged, and two that agree are one', () => {
    const peer = '10.0.0.7'
    const both = (xForwardedFor: string, forwarded: string) => kept({ peer, xForwardedFor, forwarded })
    assert.deepEqual(both('203.0.113.9', 'for=6.6.6.6'), { ...flag, peerIp: peer })
    assert.deepEqual(both('203.0.113.9', 'for=unknown'), { ...flag, peerIp: peer })
    assert.deepEqual(both('203.0.113.9', 'for=10.0.0.7'), { ...flag, peerIp: peer })
    assert.deepEqual(both('10.0.0.7', 'for=203.0.113.9'), { ...flag, peerIp: peer })
    assert.deepEqual(both('[2001:DB8::9]', 'for="[2001:db8:0::9]:80"').clientIp, '2001:db8::9')
  })

  test('more than 32 of them are flagged', () => {
    const chain = (count: number) => `203.0.113.9${', 10.1.1.1'.repeat(count)}`
    assert.equal(viaX(chain(31)).clientIp, '203.0.113.9')
    assert.deepEqual(viaX(chain(32)), { ...flag, peerIp: '10.0.0.7' })
  })
})

test('networks that are none are INVALID_INPUT', () => {
  for (const trusted of [
    ['10.1.2.3/8'],
    ['localhost'],
    '10.0.0.0/8' as unknown as string[],
    [undefined as unknown as string],
  ])
    assert.throws(() => clientIpOf({ peer: '10.0.0.7' }, trusted), { name: 'KmsError', code: 'INVALID_INPUT' })
})

describe('hostile headers', () => {
  const sizes = 1_000_000
  for (const [name, text] of Object.entries({
    commas: ','.repeat(sizes),
    quotes: '"'.repeat(sizes),
    backslashes: `for="${'\\'.repeat(sizes)}"`,
    'backslashes before quotes': '\\\\\\\\"'.repeat(sizes / 5),
    blanks: `${' '.repeat(sizes)}x`,
    'blanks between semicolons': `for=10.1.1.1${' ;'.repeat(sizes / 2)}`,
    'trusted addresses': '10.1.1.1, '.repeat(sizes / 10),
    'open quote': `for="${'a'.repeat(sizes)}`,
    'escaped pairs': `for="${'\\a'.repeat(sizes / 2)}`,
    pairs: 'a=b;'.repeat(sizes / 4),
  }))
    test(`a megabyte of ${name} takes no time to speak of`, () => {
      const start = performance.now()
      const { clientIp } = kept({ peer: '10.0.0.7', xForwardedFor: text, forwarded: text })
      assert.ok(performance.now() - start < 2000)
      assert.ok(clientIp === undefined || normalizeIp(clientIp) === clientIp)
    })
})

describe('properties', () => {
  const untrusted = fc.oneof(fc.ipV4(), fc.ipV6()).filter((ip) => {
    const spelled = normalizeIp(ip)
    return spelled !== undefined && !/^(?:10\.|127\.0\.0\.1$|2001:db8:ffff:)/.test(spelled)
  })
  const trusted = fc.oneof(
    fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255)).map((rest) => `10.${rest.join('.')}`),
    fc.nat(0xffff).map((last) => `2001:db8:ffff::${last.toString(16)}`),
  )
  const anything = fc.oneof(
    fc.string(),
    fc.ipV4(),
    fc.string({ unit: fc.constantFrom('"', '\\', ',', ';', '=', 'for', ' ', '1.2.3.4') }),
  )

  test('whatever the client wrote, what the nearest trusted proxies appended decides', () => {
    fc.assert(
      fc.property(anything, untrusted, fc.array(trusted, { maxLength: 5 }), trusted, (claim, client, via, peer) => {
        const expected = normalizeIp(client)
        const xForwardedFor = [claim, client, ...via].join(', ')
        assert.equal(kept({ peer, xForwardedFor }).clientIp, expected)
        const forwarded = [claim, ...[client, ...via].map(elementOf)].join(', ')
        assert.equal(kept({ peer, forwarded }).clientIp, expected)
      }),
      { numRuns: 2000 },
    )
  })

  test('whatever the headers, who is not trusted is the client', () => {
    fc.assert(
      fc.property(untrusted, anything, anything, (peer, xForwardedFor, forwarded) => {
        assert.deepEqual(kept({ peer, xForwardedFor, forwarded }), { clientIp: normalizeIp(peer), flags: [] })
      }),
      { numRuns: 1000 },
    )
  })

  function elementOf(ip: string): string {
    return ip.includes(':') ? `for="[${ip}]"` : `for=${ip}`
  }
})
