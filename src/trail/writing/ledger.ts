/** @node What the trail remembers, to be compared with a keystore. */
import type { Engine } from '../../crypto/engine.ts'
import { KmsError } from '../../model/errors.ts'
import type { Ledger, Receipt } from '../../model/sink.ts'
import type { FileSystem } from '../../storage/filesystem.ts'
import type { Layout } from '../layout.ts'
import { openHashes, rootAt } from '../tree/hashes.ts'
import type { Keystores } from './keystores.ts'

export interface LedgerOptions {
  readonly fs: FileSystem
  readonly engine: Engine
  readonly layout: Layout
  readonly keystores: Pick<Keystores, 'lastOf'>
  /** The trail now. */
  readonly receipt: () => Receipt
  /** A root that is known already. */
  readonly known?: Omit<Receipt, 'origin'>
  readonly prunedBelow: () => bigint
}

export function openLedger({ fs, engine, layout, keystores, receipt, known, prunedBelow }: LedgerOptions): Ledger {
  return {
    origin: receipt().origin,
    get size() {
      return receipt().size
    },
    get prunedBelow() {
      return prunedBelow()
    },
    lastOf: keystores.lastOf,
    async rootAt(size) {
      const now = receipt()
      if (size < 0n || size > now.size) return undefined
      if (size === now.size) return now.root
      if (size === known?.size) return known.root
      try {
        return await rootAt(engine, await openHashes({ fs, engine, layout, size }), size)
      } catch (error) {
        // Neither in the segments nor in the tiles: it cannot be told any more.
        if (error instanceof KmsError && error.code === 'INTERNAL') return undefined
        throw error
      }
    },
  }
}
