import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isDatedAhead, rotationDueAt } from '../../src/model/rotation.ts'

test('a rotation falls due one period after the newest version, unless that is dated more than a period ahead', () => {
  const dates = { createdAt: [1_000, 2_000], periodMs: 100 }
  assert.equal(rotationDueAt(dates, 5_000), 2_100)
  assert.equal(rotationDueAt(dates, 1_900), 2_100)
  assert.equal(rotationDueAt(dates, 1_899), 1_100)
  assert.equal(isDatedAhead(dates, 1_900), false)
  assert.equal(isDatedAhead(dates, 1_899), true)
})

test('of a key with no version but such ahead the newest counts after all, and without versions nothing is due', () => {
  assert.equal(rotationDueAt({ createdAt: [1_000, 2_000], periodMs: 100 }, 0), 2_100)
  assert.equal(rotationDueAt({ createdAt: [], periodMs: 100 }, 0), undefined)
  assert.equal(isDatedAhead({ createdAt: [], periodMs: 100 }, 0), false)
})

test('however the clock is set, a key that rotates when it is due rotates once for each setting at most', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1_000_000, max: 1_000_000 }), { maxLength: 20 }), (steps) => {
      const periodMs = 1_000
      const createdAt = [0]
      let now = 0
      for (const step of steps) {
        now += step
        const due = () => (rotationDueAt({ createdAt, periodMs }, now) ?? now) <= now
        if (due()) createdAt.push(now)
        assert.ok(!due())
      }
    }),
  )
})
