import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  addTo,
  boundedRows,
  byCount,
  countsByName,
  firstRows,
  newestOf,
  roomFor,
  takePlace,
} from '../../src/report/rows.ts'

test('rows: those that have no room are counted, those that have keep their cell', () => {
  const rows = boundedRows((name) => ({ name, count: 0 }), 2)
  for (const name of ['a', 'b', 'c', 'a', 'c']) {
    const row = rows.of(name)
    if (row !== undefined) row.count += 1
  }
  assert.deepEqual(
    rows.all().map(([, row]) => row),
    [
      { name: 'a', count: 2 },
      { name: 'b', count: 1 },
    ],
  )
  assert.deepEqual([rows.leftOut, rows.get('c'), rows.get('b')?.count], [2, undefined, 1])
})

test('sets share their room, and a value that is there takes none', () => {
  const room = roomFor(3)
  const [one, two] = [new Set<string>(), new Set<string>()]
  for (const value of ['a', 'a', 'b']) addTo(one, value, room)
  addTo(one, undefined, room)
  for (const value of ['a', 'b', 'c']) addTo(two, value, room)
  assert.deepEqual([one.size, two.size, room.leftOut, takePlace(room)], [2, 1, 2, false])
})

test('counts by name: of very many names the last ones are other', () => {
  const counts = countsByName()
  for (let at = 0; at < 150; at++) counts.add(`action-${at}`, 2)
  counts.add('action-0', 1)
  const all = new Map(counts.all)
  assert.deepEqual([all.size, all.get('action-0'), all.get('action-99'), all.get('other')], [101, 3, 2, 100])
})

test('the newest: exactly so many, in order, and the rest is counted, whenever it is asked', () => {
  for (const added of [0, 3, 4, 7, 8, 9, 40]) {
    const newest = newestOf<number>(4)
    for (let at = 0; at < added; at++) newest.add(at)
    const first = Math.max(0, added - 4)
    assert.equal(newest.others, first)
    assert.deepEqual(
      newest.items,
      Array.from({ length: Math.min(4, added) }, (_, at) => first + at),
    )
  }
})

test('first rows and how many more; equal counts go by name', () => {
  assert.deepEqual(firstRows([1, 2, 3], 2), { rows: [1, 2], others: 1 })
  assert.deepEqual(firstRows([1], 2), { rows: [1], others: 0 })
  const rows = [
    { name: 'b', count: 1 },
    { name: 'c', count: 2 },
    { name: 'a', count: 1 },
  ]
  const sorted = rows.toSorted(
    byCount(
      ({ count }) => count,
      ({ name }) => name,
    ),
  )
  assert.deepEqual(
    sorted.map(({ name }) => name),
    ['c', 'a', 'b'],
  )
})
