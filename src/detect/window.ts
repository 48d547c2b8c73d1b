/** Sliding windows: so many of a kind within so long. */
import { KmsError } from '../model/errors.ts'
import { isQuiet } from './quiet.ts'
import type { Seen } from './rule.ts'
import type { Tools } from './tools.ts'

export interface WindowOptions {
  /** Name of its table. */
  readonly name: string
  /** ms. */
  readonly span: number
  /** So many within `span`, joined refusals counted one by one. */
  readonly atLeast: number
  /** With so many different items among them; 1 by default, which is any. */
  readonly distinct?: number
  /** ms without a further finding of the same group after one; `span` by default. */
  readonly quiet?: number
  /** Most groups that are remembered; 5,000 by default. */
  readonly max?: number
}

/** What is in the window when it is full. */
export interface Hits {
  readonly count: number
  /** Different items, oldest first; as many as are remembered. */
  readonly items: readonly string[]
  /** `eventID`s, oldest first. */
  readonly evidence: readonly string[]
  readonly from: number
  readonly to: number
}

export interface SlidingWindow {
  /** Adds `seen` to a group, such as an actor's; tells what is in the window when that is a finding. */
  add(group: string, seen: Seen, item?: string): Hits | undefined
}

type Hit = readonly [at: number, eventID: string, weight: number, item: string]

interface Cell {
  hits: Hit[]
  quietUntil: number
}

/** Hits of one group that are remembered, the latest. */
export const mostHits = 512
/** Hits of all groups of a window: about two megabytes of JSON. */
export const mostHitsInAll = 15_000
/** Beyond that no group keeps more than this, or what makes a finding. */
const fewHits = 32

/**
 * @throws KmsError `INVALID_INPUT` for more than a window remembers, which would never be found, or for none at all. `counts` are a
 * rule's parameters by name.
 */
export function checkHits(rule: string, counts: { readonly [name: string]: number }): void {
  const wrong = Object.entries(counts).find(([, count]) => !(count >= 1 && count <= mostHits))
  if (wrong !== undefined) throw new KmsError('INVALID_INPUT', `'${rule}.${wrong[0]}' must be from 1 to ${mostHits}`)
}

export function slidingWindow(tools: Tools, options: WindowOptions): SlidingWindow {
  const { name, span, atLeast, distinct = 1, quiet = span, max = 5000 } = options
  let total = 0
  const onEvict = (cell: Cell) => {
    total -= cell.hits.length
  }
  const cells = tools.table<Cell>(name, { max, make: () => ({ hits: [], quietUntil: 0 }), onEvict })
  for (const [, { hits }] of cells.entries()) total += hits.length
  return {
    add(group, { entry, at, weight }, item = '') {
      if (total >= mostHitsInAll) makeRoom(at)
      const cell = cells.of(group)
      total -= cell.hits.length
      cell.hits = remaining(cell.hits, at, span)
      cell.hits.push([at, entry.eventID, weight, item])
      total += cell.hits.length
      if (isQuiet(at, cell.quietUntil, quiet)) return undefined
      const count = cell.hits.reduce((sum, [, , each]) => sum + each, 0)
      if (count < atLeast) return undefined
      const items = [...new Set(cell.hits.map(([, , , each]) => each))]
      if (items.length < distinct) return undefined
      cell.quietUntil = at + quiet
      return { count, items, evidence: cell.hits.map(([, id]) => id), from: cell.hits[0]?.[0] ?? at, to: at }
    },
  }

  /** What is old goes first, then what is more than a few of one group, then groups. Half is free afterwards: it is done seldom. */
  function makeRoom(at: number): void {
    total = 0
    for (const [group, cell] of cells.entries()) {
      cell.hits = cell.hits.filter(([when]) => isWithin(when, at, span)).slice(-Math.max(fewHits, atLeast))
      total += cell.hits.length
      if (cell.hits.length === 0 && !isQuiet(at, cell.quietUntil, quiet)) cells.delete(group)
    }
    while (total > mostHitsInAll / 2) cells.evict()
  }
}

function isWithin(when: number, at: number, span: number): boolean {
  return when > at - span && when <= at + span
}

/** Room for one more: the oldest of very many are given up, which takes nothing from a window that is full. */
function remaining(hits: Hit[], at: number, span: number): Hit[] {
  const first = hits.findIndex(([when]) => isWithin(when, at, span))
  if (first < 0) return []
  const from = Math.max(first, hits.length - mostHits + 1)
  return from === 0 ? hits : hits.slice(from)
}
