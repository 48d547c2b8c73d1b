/** A bounded table: what it has no room for is evicted, what was used lately stays, and evictions are counted. */

/** Plain JSON: what a cell may hold. */
export type Cells = object

export interface TableOptions<V extends Cells> {
  /** Most cells; then one that was not used for a while makes room. */
  readonly max: number
  readonly make: () => V
  /** Told of each cell that had to make room. */
  readonly onEvict?: (cell: V) => void
}

export interface Table<V extends Cells> {
  readonly size: number
  /** Cells that had to make room for others. */
  readonly evicted: number
  /** The cell, made if there is none. */
  of(key: string): V
  /** The cell, if there is one. */
  get(key: string): V | undefined
  delete(key: string): void
  /** Makes room as if there were none left: what was not used for a while goes, and is counted. */
  evict(): void
  entries(): IterableIterator<readonly [string, V]>
}

/** As JSON: key, cell, and whether it was used since the table last looked for room. */
export type StoredCell = readonly [key: string, cell: Cells, used: 0 | 1]

export interface StoredTable {
  readonly cells: readonly StoredCell[]
  readonly evicted: number
}

interface Slot<V> {
  readonly cell: V
  used: boolean
}

export interface KeptTable<V extends Cells> extends Table<V> {
  stored(): StoredTable
}

/** Eviction gives what was used a second chance (the clock algorithm): a look-up moves nothing, so it costs one hash. */
export function createTable<V extends Cells>(
  { max, make, onEvict }: TableOptions<V>,
  from?: StoredTable,
): KeptTable<V> {
  const slots = new Map<string, Slot<V>>()
  let evicted = from?.evicted ?? 0
  /** Goes on where it stopped: a look from the start would pass over all that was deleted there, each time. */
  let hand = slots.entries()
  // The rule that stored a cell is the one that reads it.
  for (const [key, cell, used] of from?.cells ?? []) slots.set(key, { cell: cell as V, used: used === 1 })
  while (slots.size > max) evict()

  function evict(): void {
    while (slots.size > 0) {
      const { value, done } = hand.next()
      if (done) {
        hand = slots.entries()
        continue
      }
      const [key, slot] = value
      slots.delete(key)
      if (!slot.used) {
        evicted += 1
        onEvict?.(slot.cell)
        return
      }
      slot.used = false
      slots.set(key, slot)
    }
  }

  return {
    get size() {
      return slots.size
    },
    get evicted() {
      return evicted
    },
    of(key) {
      const known = slots.get(key)
      if (known !== undefined) {
        // Most were: what is not written to need not be fetched for writing.
        if (!known.used) known.used = true
        return known.cell
      }
      if (slots.size >= max) evict()
      const cell = make()
      slots.set(key, { cell, used: false })
      return cell
    },
    get(key) {
      const known = slots.get(key)
      if (known !== undefined) known.used = true
      return known?.cell
    },
    delete(key) {
      slots.delete(key)
    },
    evict,
    *entries() {
      for (const [key, { cell }] of slots) yield [key, cell] as const
    },
    stored: () => ({
      cells: [...slots].map(([key, { cell, used }]) => [key, cell, used ? 1 : 0] as const),
      evicted,
    }),
  }
}
