import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { merged } from '../../src/trail/reading/merge.ts'
import type { TrailEntry } from '../../src/trail/reading/read.ts'
import type { Runs } from '../../src/trail/reading/runs.ts'
import { entryAt } from './entries.ts'

/** Numbers are seconds; the name says whose entry it is. */
function entries(instance: string, numbers: readonly number[]): readonly TrailEntry[] {
  return numbers.map((number, at) => ({ instance, index: BigInt(at), entry: entryAt(number), covered: true }))
}

async function* source(name: string, runs: readonly (readonly number[])[], closed: string[] = []): Runs {
  try {
    for (const run of runs) yield entries(name, run)
  } finally {
    closed.push(name)
  }
}

function spelled(run: readonly TrailEntry[]): string {
  return run.map(({ instance, entry }) => `${instance}${entry.sequence}`).join(' ')
}

test('runs are as long as no source has to be asked for more; of equal ids the first source comes first', async () => {
  const runs: string[] = []
  const sources = [source('a', [[1, 4, 5], [], [9]]), source('b', [[2, 5, 7, 8]]), source('c', [])]
  for await (const run of merged(sources)) runs.push(spelled(run))
  deepStrictEqual(runs, ['a1 b2 a4 a5', 'b5 b7 b8', 'a9'])
})

test('one source is handed on as it is', async () => {
  const runs: string[] = []
  for await (const run of merged([source('a', [[1, 2], [3]])])) runs.push(spelled(run))
  deepStrictEqual(runs, ['a1 a2', 'a3'])
})

test('who leaves early closes every source', async () => {
  const closed: string[] = []
  for await (const _run of merged([source('a', [[1], [3]], closed), source('b', [[2], [4]], closed)])) break
  deepStrictEqual(closed.sort(), ['a', 'b'])
})
