/** The pool of random bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Engine } from '../../src/crypto/engine.ts'
import { randomBytes, randomInto, randomPool, randomToken } from '../../src/crypto/random.ts'
import type { Clock } from '../../src/model/clock.ts'
import { assertOwned, engines, node } from './engines.ts'

/** Counts what is asked of it, and hands out 1, 2, 3 … so that a repeated byte is seen. */
function counting(): { engine: Engine; fills: Uint8Array[] } {
  const fills: Uint8Array[] = []
  let next = 0
  const engine: Engine = {
    ...node,
    randomFill(out) {
      fills.push(out)
      for (let at = 0; at < out.length; at++) out[at] = 1 + (next++ % 255)
    },
  }
  return { engine, fills }
}

function handTurned(): Clock & { set(now: number): void; fire(): void; timers: number } {
  let time = 1000
  let pending: (() => void) | undefined
  return {
    timers: 0,
    now: () => time,
    monotonic: () => time,
    after(ms, run) {
      assert.equal(ms, 50)
      assert.equal(pending, undefined, 'one timer at a time')
      this.timers++
      pending = run
      return () => {
        pending = undefined
      }
    },
    set(now) {
      time = now
    },
    fire() {
      const run = pending
      pending = undefined
      run?.()
    },
  }
}

function take(pool: { fill(out: Uint8Array): void }, length: number): number[] {
  const out = new Uint8Array(length)
  pool.fill(out)
  return [...out]
}

test('nothing is drawn before it is wanted, and then a whole block', () => {
  const { engine, fills } = counting()
  const pool = randomPool({ engine, clock: handTurned() })
  assert.equal(fills.length, 0)
  assert.deepEqual(take(pool, 3), [1, 2, 3])
  assert.deepEqual(take(pool, 2), [4, 5])
  assert.deepEqual(
    fills.map(({ length }) => length),
    [4096],
  )
})

test('a byte is wiped from the pool when it is used', () => {
  const { engine, fills } = counting()
  const pool = randomPool({ engine, clock: handTurned() })
  take(pool, 12)
  assert.deepEqual([...(fills[0] ?? []).slice(0, 14)], [...new Array(12).fill(0), 13, 14])
})

test('what is left of a block is never joined with the next, and none is handed out twice', () => {
  const { engine, fills } = counting()
  const pool = randomPool({ engine, clock: handTurned() })
  for (let at = 0; at < 4096 / 64; at++) assert.ok(!take(pool, 64).includes(0))
  assert.equal(fills.length, 1)
  assert.ok(!take(pool, 64).includes(0))
  assert.equal(fills.length, 2)
})

test('50 ms after it was filled, a block is thrown away: by the next draw, if the timer is late', () => {
  for (const later of [1050, 2000, 900, -5000]) {
    const { engine, fills } = counting()
    const clock = handTurned()
    const pool = randomPool({ engine, clock })
    take(pool, 4)
    clock.set(1049)
    take(pool, 4)
    assert.equal(fills.length, 1)
    clock.set(later)
    take(pool, 4)
    assert.equal(fills.length, 2, `at ${later}: the wall clock of a restored machine jumps either way`)
  }
})

test('the timer wipes an idle pool, and keeps watch over one that was filled anew', () => {
  const { engine, fills } = counting()
  const clock = handTurned()
  const pool = randomPool({ engine, clock })
  take(pool, 4)
  clock.set(1050)
  clock.fire()
  assert.ok(fills[0]?.every((byte) => byte === 0))
  take(pool, 4)
  assert.equal(clock.timers, 2)
  for (let at = 0; at < 70; at++) take(pool, 64)
  assert.equal(clock.timers, 2)
  clock.set(1070)
  clock.fire()
  assert.equal(clock.timers, 3)
  assert.ok(fills[0]?.some((byte) => byte !== 0))
  clock.set(1120)
  clock.fire()
  assert.ok(fills[0]?.every((byte) => byte === 0))
})

test('long wishes come from the engine directly', () => {
  const { engine, fills } = counting()
  const pool = randomPool({ engine, clock: handTurned() })
  take(pool, 65)
  assert.deepEqual(
    fills.map(({ length }) => length),
    [65],
  )
})

test('bytes and tokens are random, own their buffers, and do not repeat', () => {
  const seen = new Set<string>()
  for (let at = 0; at < 10_000; at++) {
    const token = randomToken()
    assert.match(token, /^[\w-]{21}[AQgw]$/)
    seen.add(token)
  }
  assert.equal(seen.size, 10_000)
  for (const length of [0, 1, 12, 64, 65, 5000]) {
    const bytes = randomBytes(length)
    assert.equal(bytes.length, length)
    assertOwned(bytes)
  }
  const given = new Uint8Array(32)
  randomInto(given)
  assert.ok(given.some((byte) => byte !== 0))
})

test('each engine fills all of an array, above the 64 KiB of one Web Crypto call too', () => {
  for (const engine of engines) {
    const out = new Uint8Array(200_000)
    engine.randomFill(out)
    for (let from = 0; from < out.length; from += 1000) {
      assert.ok(
        out.subarray(from, from + 1000).some((byte) => byte !== 0),
        `${engine.name} at ${from}`,
      )
    }
  }
})
