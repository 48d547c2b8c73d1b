/** What is still to come, in the order of time: a binary heap. */

export interface Agenda {
  /** Whatever is due at the same millisecond happens in the order in which it was put down. */
  at(time: number, act: (now: number) => void): void
  /** Does the next act that is due before `end`; false when there is none. */
  step(end: number): boolean
}

interface Item {
  readonly time: number
  readonly order: number
  readonly act: (now: number) => void
}

export function openAgenda(): Agenda {
  const heap: Item[] = []
  let order = 0

  return {
    at(time, act) {
      heap.push({ time: Math.floor(time), order: order++, act })
      rise(heap.length - 1)
    },
    step(end) {
      const first = heap[0]
      if (first === undefined || first.time >= end) return false
      const last = heap.pop()
      if (last !== undefined && heap.length > 0) {
        heap[0] = last
        sink(0)
      }
      first.act(first.time)
      return true
    },
  }

  function rise(from: number): void {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!swapped(parent, at)) return
      at = parent
    }
  }

  function sink(from: number): void {
    let at = from
    for (;;) {
      const left = 2 * at + 1
      if (left >= heap.length) return
      const child = left + 1 < heap.length && isBefore(left + 1, left) ? left + 1 : left
      if (!swapped(at, child)) return
      at = child
    }
  }

  /** Puts the two right; whether they were wrong. */
  function swapped(parent: number, child: number): boolean {
    if (!isBefore(child, parent)) return false
    const moved = item(parent)
    heap[parent] = item(child)
    heap[child] = moved
    return true
  }

  function isBefore(one: number, other: number): boolean {
    const [a, b] = [item(one), item(other)]
    return a.time < b.time || (a.time === b.time && a.order < b.order)
  }

  function item(at: number): Item {
    // Only places below the length are asked for.
    return heap[at] as Item
  }
}
