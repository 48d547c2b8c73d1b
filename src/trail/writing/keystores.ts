/** What the entries tell of keystores: how far each was taken, and what was accepted although it does not fit. */
import { equal, fromBase64 } from '../../crypto/bytes.ts'
import type { AuditEntry, EntryDetails } from '../../model/entry.ts'
import type { Receipt, Remembered } from '../../model/sink.ts'

export interface Keystores {
  /** In the order of the trail. */
  hear(entry: AuditEntry): void
  lastOf(keystore: string): Remembered | undefined
  /** Whether an `audit.restored` entry, as the newest of its keystore, accepts this anchor. */
  accepts(anchor: Receipt): boolean
}

export function collectKeystores(): Keystores {
  const newest = new Map<string, Remembered>()
  return {
    hear({ action, details = {} }) {
      const { keystore, generation } = details
      if (keystore === undefined || typeof generation !== 'number') return
      const accepted = action === 'audit.restored' ? anchorIn(details) : undefined
      newest.set(keystore, { generation, ...(accepted && { accepted }) })
    },
    lastOf: (keystore) => newest.get(keystore),
    accepts({ size, root }) {
      for (const { accepted } of newest.values()) if (accepted?.size === size && equal(accepted.root, root)) return true
      return false
    },
  }
}

/** Undefined when the keystore that was restored had no anchor. */
function anchorIn({ anchorSize = '', anchorRoot = '' }: EntryDetails): Remembered['accepted'] {
  const root = fromBase64(anchorRoot)
  if (!/^(0|[1-9][0-9]{0,18})$/.test(anchorSize) || root?.length !== 32) return undefined
  return { size: BigInt(anchorSize), root }
}
