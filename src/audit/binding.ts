/**
 * Keystore and trail are bound to one another: the keystore holds where the trail stood when its last change was
 * allowed, and the trail which generation that change made. If one of the two was taken back alone, this finds it.
 */
import { equal, toBase64 } from '../crypto/bytes.ts'
import type { EntryReason } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import type { Binding } from '../model/provider.ts'
import type { Ledger, Notice, Receipt, Remembered } from '../model/sink.ts'

/** What a keystore is held against. */
export interface Bound {
  readonly binding: Binding
  /** What required sinks remember; without any there is nothing to hold against. */
  readonly ledgers: readonly Ledger[]
  /** Intents without a result of changes that the keystore has made: their generations are not in the trail yet. */
  readonly doneIntents: number
}

/** The newest generation that the ledgers know of; a keystore begins with generation 1, which no entry tells. */
export function rememberedGeneration({ binding, ledgers }: Pick<Bound, 'binding' | 'ledgers'>): number {
  return Math.max(1, ...remembered(binding, ledgers).map(({ generation }) => generation))
}

/** Why keystore and trail do not fit, as a sentence; undefined if they do. Rejects with what a ledger's reading does. */
export async function findMismatch({ binding, ledgers, doneIntents }: Bound): Promise<string | undefined> {
  if (ledgers.length === 0) return undefined
  const known = remembered(binding, ledgers)
  const newest = rememberedGeneration({ binding, ledgers })
  if (newest > binding.generation)
    return `the keystore was taken back: it is at generation ${binding.generation}, and the trail tells of ${newest}`
  const { anchor } = binding
  const accepted = anchor === undefined || known.some((last) => isSame(last.accepted, anchor))
  const broken = accepted ? undefined : await anchorMismatch(anchor, ledgers)
  if (broken !== undefined) return broken
  const forgotten = known.length === 0 && ledgers.some(({ prunedBelow }) => prunedBelow > 0n)
  if (forgotten || binding.generation <= newest + doneIntents) return undefined
  return `the keystore was changed without entries: it is at generation ${binding.generation}, and the trail tells of ${newest}`
}

/** The entry that accepts `binding` as it is, although it does not fit. */
export async function restoredNotice(
  { binding, ledgers }: Pick<Bound, 'binding' | 'ledgers'>,
  reason: EntryReason | undefined,
): Promise<Notice> {
  const { keystore, generation, anchor } = binding
  const ledger = ledgers.find(({ origin }) => origin === anchor?.origin) ?? ledgers[0]
  const size = ledger?.size
  const root = size === undefined ? undefined : await ledger?.rootAt(size)
  return {
    action: 'audit.restored',
    details: {
      generation,
      keystore,
      ...(size !== undefined && { trailSize: String(size) }),
      ...(root !== undefined && { trailRoot: toBase64(root) }),
      ...(anchor !== undefined && { anchorSize: String(anchor.size), anchorRoot: toBase64(anchor.root) }),
    },
    ...(reason !== undefined && { reason }),
  }
}

/** How a client whose keystore and trail do not fit refuses its calls. */
export function rolledBack(mismatch: string): KmsError {
  const advice = 'put the right one back, or make the client with rebind and a reason, which is an entry'
  return new KmsError('ROLLED_BACK', `${mismatch}: ${advice}`)
}

function remembered({ keystore }: Binding, ledgers: readonly Ledger[]): readonly Remembered[] {
  return ledgers.map((ledger) => ledger.lastOf(keystore)).filter((last) => last !== undefined)
}

async function anchorMismatch(anchor: Receipt, ledgers: readonly Ledger[]): Promise<string | undefined> {
  const ledger = ledgers.find(({ origin }) => origin === anchor.origin)
  if (ledger === undefined) return 'the trail is another one: the keystore was changed under a trail that is not here'
  if (ledger.size < anchor.size)
    return `the trail was taken back: it has ${ledger.size} entries, and had ${anchor.size} when the keystore was changed last`
  const root = await ledger.rootAt(anchor.size)
  if (root === undefined)
    return anchor.size <= ledger.prunedBelow ? undefined : 'the trail cannot tell its root at the last change'
  return equal(root, anchor.root) ? undefined : 'the trail is another one: its history before the last change differs'
}

function isSame(accepted: Remembered['accepted'], { size, root }: Receipt): boolean {
  return accepted !== undefined && accepted.size === size && equal(accepted.root, root)
}
