import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createDetector } from '../../src/detect/detector.ts'
import { quietFor } from '../../src/detect/quiet.ts'
import { defineRule, type Seen } from '../../src/detect/rule.ts'
import { shippedRules } from '../../src/detect/shipped.ts'
import { type Cells, createTable, type KeptTable, type StoredTable } from '../../src/detect/table.ts'
import type { Tools } from '../../src/detect/tools.ts'
import { checkHits, mostHitsInAll, slidingWindow, type WindowOptions } from '../../src/detect/window.ts'

const noon = Date.UTC(2026, 0, 1, 12)

function counters(max: number, from?: StoredTable) {
  return createTable({ max, make: () => ({ count: 0 }) }, from)
}

describe('a table', () => {
  test('gives the same cell for the same name, and none where none was made', () => {
    const table = counters(3)
    table.of('a').count += 1
    table.of('a').count += 1
    assert.deepEqual([table.get('a'), table.get('b'), table.size], [{ count: 2 }, undefined, 1])
    table.delete('a')
    table.delete('b')
    assert.deepEqual([table.get('a'), table.size, table.evicted], [undefined, 0, 0])
    for (const name of ['__proto__', 'constructor', '']) assert.deepEqual(counters(3).of(name), { count: 0 })
  })

  test('what was used lately stays, and what was not makes room', () => {
    const table = counters(3)
    for (const name of ['a', 'b', 'c']) table.of(name)
    table.get('a')
    table.of('d')
    assert.deepEqual([...table.entries()].map(([name]) => name).sort(), ['a', 'c', 'd'])
    assert.equal(table.evicted, 1)
    // Used is used once: 'a' has had its second chance.
    for (const name of ['e', 'f']) table.of(name)
    table.of('g')
    assert.equal(table.get('a'), undefined)
  })

  test('never holds more than it may, counts each that had to go, and is the same again from what it stored', () => {
    const step = fc.tuple(fc.constantFrom('of', 'get', 'delete'), fc.integer({ min: 0, max: 30 }))
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 200 }), (max, steps) => {
        let table = counters(max)
        let made = 0
        let deleted = 0
        for (const [at, [what, number]] of steps.entries()) {
          const [name, before] = [`${number}`, table.size]
          const known = [...table.entries()].some(([each]) => each === name)
          if (what === 'of') table.of(name).count += 1
          else if (what === 'get') table.get(name)
          else table.delete(name)
          if (what === 'of' && !known) made += 1
          if (what === 'delete' && known) deleted += 1
          assert.ok(table.size <= max && table.size <= before + 1)
          assert.equal(table.size, made - deleted - table.evicted)
          if (at % 17 === 0) table = counters(max, JSON.parse(JSON.stringify(table.stored())) as StoredTable)
        }
      }),
    )
  })

  test('from a state of a larger table it keeps what it has room for', () => {
    const large = counters(5)
    for (const name of ['a', 'b', 'c', 'd', 'e']) large.of(name)
    const small = counters(2, large.stored())
    assert.deepEqual([small.size, small.evicted], [2, 3])
  })
})

/** The tools of one rule, without a detector around them. */
function toolsOf(): Tools {
  const tables = new Map<string, ReturnType<typeof createTable<Cells>>>()
  let tools: Tools | undefined
  const rule = defineRule({
    ...{ id: 'tools', title: '', level: 'low', attack: [], why: '', falsePositives: [], whatToDo: '', actions: ['*'] },
    ...{ parameters: {}, examples: [] },
    watch(_, given) {
      tools = given
      return { take: () => undefined }
    },
  })
  createDetector([rule])
  assert.ok(tools !== undefined && tables.size === 0)
  return tools
}

function seenAt(at: number, weight = 1): Seen {
  const eventID = `e${at - noon}`
  // A window looks at no more of an entry.
  return { entry: { eventID }, at, weight } as Seen
}

function windowOf(options: Partial<WindowOptions> = {}) {
  return slidingWindow(toolsOf(), { name: 'window', span: 1000, atLeast: 3, ...options })
}

describe('a sliding window', () => {
  test('is full with so many within its span, and then quiet for as long', () => {
    const window = windowOf()
    const full = (at: number) => window.add('a', seenAt(noon + at))
    assert.deepEqual([full(0), full(999)], [undefined, undefined])
    // The first is just out of it.
    assert.equal(full(1000), undefined)
    assert.deepEqual(full(1001), {
      ...{ count: 3, items: [''], evidence: ['e999', 'e1000', 'e1001'], from: noon + 999, to: noon + 1001 },
    })
    assert.deepEqual([full(1002), full(1900), full(2000)], [undefined, undefined, undefined])
    assert.equal(full(2001)?.count, 4)
  })

  test('keeps its groups apart', () => {
    const window = windowOf()
    for (const group of ['a', 'b', 'a', 'b']) assert.equal(window.add(group, seenAt(noon)), undefined)
    assert.equal(window.add('a', seenAt(noon))?.count, 3)
  })

  test('wants so many different items', () => {
    const window = windowOf({ distinct: 3 })
    const added = ['x', 'y', 'x', 'y', 'z'].map((item, at) => window.add('a', seenAt(noon + at), item)?.items)
    assert.deepEqual(added, [undefined, undefined, undefined, undefined, ['x', 'y', 'z']])
  })

  test('joined refusals count as many as they are', () => {
    assert.equal(windowOf().add('a', seenAt(noon, 200))?.count, 200)
  })

  test('a clock that was set back begins anew, and is not blind until it is there again', () => {
    const window = windowOf()
    for (const at of [0, 1, 2]) window.add('a', seenAt(noon + at))
    const day = noon - 86_400_000
    const found = [0, 1, 2].map((at) => window.add('a', seenAt(day + at))?.count)
    assert.deepEqual(found, [undefined, undefined, 3])
  })

  test('of very many hits it keeps the latest, and is full all the same', () => {
    const window = windowOf({ atLeast: 500, quiet: 1 })
    const found = Array.from({ length: 2000 }, (_, at) => window.add('a', seenAt(noon + at / 10))?.evidence.length)
    assert.ok(Math.max(...found.map((each) => each ?? 0)) === 512)
    assert.equal(
      found.findIndex((each) => each !== undefined),
      499,
    )
  })
})

test('all groups together keep so many hits: what is old goes first, then what is much of one, then groups, counted', () => {
  const tables: KeptTable<Cells>[] = []
  const tools: Tools = {
    ...toolsOf(),
    table(_, options) {
      const table = createTable(options)
      // What a window keeps in a cell is its own.
      tables.push(table as unknown as KeptTable<Cells>)
      return table
    },
  }
  const window = slidingWindow(tools, { name: 'window', span: 60_000, atLeast: 100, max: 30_000 })
  const hits = () => [...(tables[0]?.entries() ?? [])].map(([group, cell]) => [group, cell as { hits: [] }] as const)
  const most = () => hits().reduce((sum, [, cell]) => sum + cell.hits.length, 0)
  for (let at = 0; at < 99; at++) window.add('slow', seenAt(noon + at))
  for (let at = 0; at < 20_000; at++) window.add(`loud-${at % 40}`, seenAt(noon + 100 + at / 1000))
  assert.ok(most() <= mostHitsInAll)
  assert.equal(tables[0]?.evicted, 0)
  assert.equal(window.add('slow', seenAt(noon + 300))?.count, 100)
  for (let at = 0; at < 20_000; at++) window.add(`many-${at}`, seenAt(noon + 400 + at / 1000))
  assert.ok(most() <= mostHitsInAll)
  assert.ok((tables[0]?.evicted ?? 0) > 0)
  const before = tables[0]?.evicted
  for (let at = 0; at < 20_000; at++) window.add('later', seenAt(noon + 100_000 + at / 1000))
  for (let at = 0; at < 9000; at++) window.add(`later-${at}`, seenAt(noon + 100_100))
  assert.deepEqual(
    hits()
      .map(([group]) => group)
      .filter((group) => group.startsWith('many')),
    [],
  )
  assert.equal(tables[0]?.evicted, before)
})

test('more than a window remembers is refused: it would never be found', () => {
  checkHits('rule', { atLeast: 1, many: 512 })
  for (const count of [0, 513, 0.5])
    assert.throws(() => checkHits('rule', { atLeast: 1, many: count }), /'rule.many' must be from 1 to 512/)
  for (const [id, parameters] of [
    ['repeated-400', { atLeast: 600 }],
    ['not-found-sweep', { atLeast: 600 }],
    ['ciphertext-swapping', { many: 600 }],
    ['inactive-key', { keys: 600 }],
    ['mass-disable', { keys: 600 }],
    ['rotation-storm', { byActor: 600 }],
    ['denied-actions', { distinct: 65 }],
    ['forgery-attempts', { many: 600 }],
  ] as const)
    assert.throws(() => shippedRules({ [id]: parameters }), { code: 'INVALID_INPUT' }, id)
})

test('what was told is quiet for its span, each group by itself, and a clock that was set back ends that', () => {
  const quiet = quietFor(toolsOf(), { name: 'told', span: 1000 })
  assert.equal(quiet.has('a', noon), false)
  quiet.begin('a', noon)
  const asked = [noon, noon + 999, noon + 1000, noon - 999, noon - 1000].map((at) => quiet.has('a', at))
  assert.deepEqual(asked, [true, true, false, true, false])
  assert.equal(quiet.has('b', noon), false)
})

const keysOf = (table: KeptTable<{ count: number }>) => [...table.entries()].map(([key]) => key)

test('what was used lately stays, in the order of its use, and evictions are counted', () => {
  const table = createTable({ max: 3, make: () => ({ count: 0 }) })
  for (const key of ['a', 'b', 'c']) table.of(key).count += 1
  table.of('a').count += 1
  table.of('d')
  assert.deepEqual(keysOf(table), ['c', 'a', 'd'])
  assert.equal(table.of('a').count, 2)
  assert.equal(table.evicted, 1)
})

test('if all were used, the oldest makes room', () => {
  const table = createTable({ max: 3, make: () => ({ count: 0 }) })
  for (const key of ['a', 'b', 'c', 'a', 'b', 'c', 'd', 'e']) table.of(key)
  assert.deepEqual(keysOf(table), ['c', 'd', 'e'])
  assert.equal(table.evicted, 2)
})

test('a table that was stored goes on as the one that was not, also after what was deleted', () => {
  const make = () => ({ count: 0 })
  const whole = createTable({ max: 50, make })
  let parted = createTable({ max: 50, make })
  for (let number = 0; number < 2000; number++) {
    const key = `k${(number * number * 7) % 211}`
    for (const table of [whole, parted]) {
      table.of(key).count += 1
      if (number % 13 === 0) table.delete(`k${number % 211}`)
    }
    if (number % 97 === 0) parted = createTable({ max: 50, make }, JSON.parse(JSON.stringify(parted.stored())))
    assert.deepEqual(parted.stored(), whole.stored())
  }
})
