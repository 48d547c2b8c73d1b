/** Sizes at which a root is wanted while a trail is gone through: those of its published checkpoint and its anchors. */

export interface Marks {
  /** How many entries after `size` the next root is wanted; Infinity when none is. */
  until(size: bigint): number
  reached(size: bigint, root: Uint8Array): void
  /** Undefined where the size was not reached. */
  rootAt(size: bigint): Uint8Array | undefined
}

export function marksAt(sizes: readonly bigint[]): Marks {
  const roots = new Map<bigint, Uint8Array | undefined>(sizes.map((size) => [size, undefined]))
  return {
    until(size) {
      let next = Number.POSITIVE_INFINITY
      for (const wanted of roots.keys()) if (wanted > size) next = Math.min(next, Number(wanted - size))
      return next
    },
    reached(size, root) {
      if (roots.has(size)) roots.set(size, root)
    },
    rootAt: (size) => roots.get(size),
  }
}
