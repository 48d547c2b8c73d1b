/** Paths, values and policies, held to what the platform says of them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { askedPath, checkPath } from '../../../src/integrations/secrets-manager/path.ts'
import { type AccessPolicy, checkPolicy, refusingRule } from '../../../src/integrations/secrets-manager/policy.ts'
import { decodeValue, encodeValue } from '../../../src/integrations/secrets-manager/value.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { utf8Length } from '../../../src/model/text.ts'

describe('a path', () => {
  // The platform's words, one by one: begins with /, 1–512 characters of these, no //, no / at the end.
  const oracle = (path: string) =>
    /^\//.test(path) && /^[A-Za-z0-9/_.+-]{1,512}$/.test(path) && !path.includes('//') && !/\/$/.test(path)

  test('is one exactly when the platform says so', () => {
    const near = fc.string({ unit: fc.constantFrom(...'/a.Z9_+- é\n'), maxLength: 8 })
    const long = fc.integer({ min: 500, max: 520 }).map((length) => `/${'x'.repeat(length)}`)
    fc.assert(
      fc.property(
        fc.oneof(
          near,
          near.map((text) => `/${text}`),
          fc.string(),
          long,
        ),
        (path) => {
          assert.equal(isPath(path), oracle(path))
        },
      ),
      { numRuns: 3000 },
    )
    for (const path of ['', '/', '//', '/a/', 'a', '/a//b', `/${'x'.repeat(512)}`, '/a\n', '/ä', '/a b', '/a?b'])
      assert.equal(isPath(path), false, path)
    for (const path of ['/a', '/.', '/../..', `/${'x'.repeat(511)}`, '/A/b_c.d+e-f/0'])
      assert.equal(isPath(path), true, path)
  })

  test('that is none is told in an entry only if it looks like one', () => {
    assert.equal(askedPath('/a//b'), '/a//b')
    assert.equal(askedPath('/a/'), '/a/')
    assert.equal(askedPath('hunter2'), undefined)
    assert.equal(askedPath(17), undefined)
  })
})

describe('a value', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter((one) => utf8Length(one) > 0)
  const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,128}$/)

  test('comes back as it was', () => {
    fc.assert(
      fc.property(text, (secretString) => {
        assert.deepEqual(decodeValue(encodeValue({ secretString }) ?? assert.fail()), { secretString })
      }),
    )
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.oneof(name, fc.constantFrom('__proto__', 'constructor', '0')), text), { maxLength: 20 }),
        (pairs) => {
          const secretKeyValues = Object.fromEntries(pairs)
          const { secretKeyValues: back } = decodeValue(encodeValue({ secretKeyValues }) ?? assert.fail())
          assert.deepEqual(Object.entries(back ?? {}), Object.entries(secretKeyValues))
        },
      ),
    )
  })

  test('of the largest map takes 1,082,115 bytes', () => {
    const secretKeyValues = Object.fromEntries(
      Array.from({ length: 256 }, (_, at) => [`${at}`.padEnd(128, 'n'), 'v'.repeat(4096)]),
    )
    const bytes = encodeValue({ secretKeyValues }) ?? assert.fail()
    assert.equal(bytes.length, 1_082_115)
    assert.deepEqual(decodeValue(bytes), { secretKeyValues })
  })

  test('of other bytes is refused as INTERNAL, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decodeValue(bytes)
        } catch (error) {
          assert.ok(error instanceof KmsError)
          assert.equal(error.code, 'INTERNAL')
        }
      }),
    )
    const whole = encodeValue({ secretKeyValues: { a: 'b', c: 'd' } }) ?? assert.fail()
    for (let length = 0; length < whole.length; length++)
      assert.throws(() => decodeValue(whole.subarray(0, length)), { code: 'INTERNAL' })
    assert.throws(() => decodeValue(Uint8Array.of(...whole, 0)), { code: 'INTERNAL' })
  })

  test('says nothing of itself when it is refused', () => {
    const secret = 'hunter2'
    for (const given of [
      { secretString: secret.repeat(700) },
      { secretString: `${secret}\ud800` },
      { secretKeyValues: { [`${secret}!`]: 'x' } },
      { secretKeyValues: { a: secret.repeat(700) } },
      { secretKeyValues: [secret] },
      { secretKeyValues: new Map([['a', secret]]) },
      { generate: secret },
    ])
      assert.throws(
        () => encodeValue(given),
        (error: KmsError) => {
          assert.equal(error.code, 'INVALID_INPUT')
          assert.doesNotMatch(error.message, /hunter2/)
          return true
        },
      )
  })
})

describe('a policy', () => {
  const at = (time: string) => Date.parse(`2026-01-05T${time}:00Z`)
  const office = { type: 'ip', effect: 'allow', cidrs: ['192.0.2.0/24', '2001:db8::/32'] } as const
  const vpn = { type: 'ip', effect: 'allow', cidrs: ['10.8.0.0/16'] } as const
  const guest = { type: 'ip', effect: 'deny', cidrs: ['192.0.2.128/25'] } as const
  const night = { type: 'time', effect: 'deny', startHour: 22, endHour: 6, timezone: 'UTC' } as const
  const day = { type: 'time', effect: 'allow', startHour: 8, endHour: 18, timezone: 'UTC' } as const
  const amsterdam = { ...day, timezone: 'Europe/Amsterdam' } as const

  const rows: readonly (readonly [AccessPolicy['conditions'], string | undefined, string, string | undefined])[] = [
    [[], undefined, '03:00', undefined],
    [[office], '192.0.2.7', '03:00', undefined],
    [[office], '2001:db8::7', '03:00', undefined],
    [[office], '::ffff:192.0.2.7', '03:00', undefined],
    [[office], '198.51.100.1', '03:00', 'conditions'],
    [[office, vpn], '10.8.1.1', '03:00', undefined],
    // One that allows is enough.
    [[office, day], '198.51.100.1', '12:00', undefined],
    [[office, day], '198.51.100.1', '20:00', 'conditions'],
    // One that denies is enough, whatever allows.
    [[office, guest], '192.0.2.200', '12:00', 'conditions.1'],
    [[night, office, guest], '192.0.2.200', '23:00', 'conditions.0'],
    [[guest], '192.0.2.7', '12:00', undefined],
    [[guest], '192.0.2.200', '12:00', 'conditions.0'],
    // Over midnight; the hour of its end is not in it.
    [[night], '192.0.2.7', '21:59', undefined],
    [[night], '192.0.2.7', '22:00', 'conditions.0'],
    [[night], '192.0.2.7', '00:00', 'conditions.0'],
    [[night], '192.0.2.7', '05:59', 'conditions.0'],
    [[night], '192.0.2.7', '06:00', undefined],
    [[amsterdam], '192.0.2.7', '07:00', undefined],
    [[amsterdam], '192.0.2.7', '17:00', 'conditions'],
    // Nobody knows where the caller is: held against it.
    [[office], undefined, '12:00', 'conditions'],
    [[guest], undefined, '12:00', 'conditions.0'],
    [[office], 'unknown', '12:00', 'conditions'],
    [[guest], '192.0.2.07', '12:00', 'conditions.0'],
    [[day], undefined, '12:00', undefined],
  ]
  for (const [conditions, clientIp, time, rule] of rows)
    test(`${conditions.map(({ type, effect }) => `${effect} ${type}`).join(', ') || 'none'}: ${clientIp ?? 'no address'} at ${time} is ${rule ?? 'let in'}`, () => {
      assert.equal(refusingRule(checkPolicy({ conditions }), { clientIp, now: at(time) }), rule)
    })

  test('is a frozen copy, and refuses what nobody knows', () => {
    const cidrs = ['10.0.0.0/8']
    const policy = checkPolicy({ conditions: [{ type: 'ip', effect: 'allow', cidrs }] })
    cidrs[0] = '0.0.0.0/0'
    assert.deepEqual(policy, { conditions: [{ type: 'ip', effect: 'allow', cidrs: ['10.0.0.0/8'] }] })
    const many = Array.from({ length: 33 }, () => day)
    for (const wrong of [
      undefined,
      [],
      {},
      { conditions: 'x' },
      { conditions: many },
      { conditions: new Array(2) },
      { conditions: [], more: 1 },
      { conditions: [{ ...office, effect: 'permit' }] },
      { conditions: [{ ...office, type: 'country' }] },
      { conditions: [{ ...office, cidrs: [] }] },
      { conditions: [{ ...office, cidrs: ['10.1.2.3/8'] }] },
      { conditions: [{ ...office, cidrs: Array.from({ length: 101 }, () => '10.0.0.0/8') }] },
      { conditions: [{ ...office, startHour: 1 }] },
      { conditions: [{ ...day, cidrs: ['::/0'] }] },
      { conditions: [{ ...day, startHour: 24 }] },
      { conditions: [{ ...day, endHour: 8 }] },
      { conditions: [{ ...day, timezone: 'Mars' }] },
      { conditions: [{ type: 'time', effect: 'deny', startHour: 1, endHour: 2 }] },
    ])
      assert.throws(() => checkPolicy(wrong), { code: 'INVALID_INPUT' }, JSON.stringify(wrong))
  })
})

function isPath(path: string): boolean {
  try {
    return checkPath(path) === path
  } catch (error) {
    assert.ok(error instanceof KmsError)
    return false
  }
}
