/** What a review remembers, bounded: rows by name, different values, the newest of a list. What has no room is counted. */
import { mostRows } from './review.ts'

/** So many rows of a kind are counted; the first of them, once sorted, are told. */
export const mostCounted = 100_000

export interface Rows<R> {
  /** The row, made if there is room for it. */
  of(name: string): R | undefined
  get(name: string): R | undefined
  all(): readonly (readonly [string, R])[]
  /** How often there was no room. */
  readonly leftOut: number
}

export function boundedRows<R>(make: (name: string) => R, most: number = mostCounted): Rows<R> {
  const rows = new Map<string, R>()
  let leftOut = 0
  return {
    of(name) {
      const known = rows.get(name)
      if (known !== undefined) return known
      if (rows.size >= most) {
        leftOut += 1
        return undefined
      }
      const row = make(name)
      rows.set(name, row)
      return row
    },
    get: (name) => rows.get(name),
    all: () => [...rows],
    get leftOut() {
      return leftOut
    },
  }
}

/** Room that many sets share, each value in each of them taking one place. */
export interface Room {
  left: number
  /** Values that found none: the sets are smaller than they should be. */
  leftOut: number
}

export function roomFor(values: number): Room {
  return { left: values, leftOut: 0 }
}

/** Takes a place; false when there is none. */
export function takePlace(room: Room): boolean {
  if (room.left > 0) {
    room.left -= 1
    return true
  }
  room.leftOut += 1
  return false
}

export function addTo(values: Set<string>, value: string | undefined, room: Room): void {
  if (value !== undefined && !values.has(value) && takePlace(room)) values.add(value)
}

const mostNames = 100

/** Counts by a name that comes from entries, such as an action. */
export interface Counts {
  add(name: string, by: number): void
  /** In the order in which the names came. */
  readonly all: readonly (readonly [name: string, count: number])[]
}

/** Of very many names, the last ones are `other`. */
export function countsByName(): Counts {
  // Cells, not numbers: adding is one look-up.
  const cells = new Map<string, { count: number }>()

  function cellOf(name: string): { count: number } {
    const known = cells.get(name)
    if (known !== undefined) return known
    if (cells.size >= mostNames && name !== 'other') return cellOf('other')
    const cell = { count: 0 }
    cells.set(name, cell)
    return cell
  }

  return {
    add(name, by) {
      cellOf(name).count += by
    },
    get all() {
      return [...cells].map(([name, { count }]) => [name, count] as const)
    },
  }
}

/** The newest of what is added. */
export interface Newest<T> {
  add(item: T): void
  readonly items: readonly T[]
  /** Those that made room. */
  readonly others: number
}

export function newestOf<T>(most: number = mostRows): Newest<T> {
  let items: T[] = []
  let others = 0
  const cut = () => {
    const spare = items.length - most
    if (spare <= 0) return
    items = items.slice(spare)
    others += spare
  }
  return {
    add(item) {
      items.push(item)
      // Not each time: the copy is paid once in `most`.
      if (items.length >= 2 * most) cut()
    },
    get items() {
      cut()
      return items
    },
    get others() {
      cut()
      return others
    },
  }
}

/** The first rows, and how many more there are. */
export function firstRows<T>(
  rows: readonly T[],
  most: number = mostRows,
): { readonly rows: readonly T[]; readonly others: number } {
  return { rows: rows.slice(0, most), others: Math.max(0, rows.length - most) }
}

/** From the largest to the smallest; of equal ones by name. */
export function byCount<T>(count: (row: T) => number, name: (row: T) => string): (a: T, b: T) => number {
  return (a, b) => count(b) - count(a) || compareText(name(a), name(b))
}

/** The same everywhere, whatever the language of the machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
