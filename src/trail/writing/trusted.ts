/** Whom a writer believes about its own trail: the keys of trail.json, each as far as it was in charge. */
import type { Engine } from '../../crypto/engine.ts'
import type { AuditEntry } from '../../model/entry.ts'
import type { About } from '../about.ts'
import { parseCheckpoint } from '../checkpoint.ts'
import { type NoteVerifier, noteVerifier } from '../note.ts'

/** Opens notes over checkpoints. A key that was handed over speaks for no more entries than there were then. */
export function trustedKeys(engine: Engine, { vkeys }: About): Pick<NoteVerifier, 'open'> {
  const verifiers = vkeys.map(({ vkey }, at) => ({
    verifier: noteVerifier(engine, vkey),
    until: vkeys[at + 1]?.fromIndex,
  }))
  return {
    open(note) {
      for (const { verifier, until } of verifiers.toReversed()) {
        const opened = verifier.open(note)
        if ('problem' in opened && opened.problem === 'unsigned') continue
        if ('problem' in opened || until === undefined) return opened
        const size = parseCheckpoint(opened.text)?.size
        return size === undefined || size <= BigInt(until) ? opened : { problem: 'unsigned' }
      }
      return { problem: 'unsigned' }
    },
  }
}

/** The last commit of a trail, and what of its entries is about the log itself. */
export interface LastCommit {
  readonly size: bigint
  readonly note: string
  readonly entries: readonly AuditEntry[]
}

/** What trail.json must say when the last commit handed the trail over and a crash came before it was written. */
export function afterHandover(engine: Engine, about: About, { size, note, entries }: LastCommit): About {
  const previousVkey = about.vkeys.at(-1)?.vkey
  for (const { action, details = {} } of entries) {
    const { vkey } = details
    if (action !== 'audit.key_rotated' || vkey === undefined || details.previousVkey !== previousVkey) continue
    if (!isSignedBy(engine, { vkey, note, origin: about.origin })) continue
    return { ...about, vkeys: [...about.vkeys, { vkey, fromIndex: Number(size) }] }
  }
  return about
}

function isSignedBy(
  engine: Engine,
  { vkey, note, origin }: { readonly vkey: string; readonly note: string; readonly origin: string },
): boolean {
  const verifier = noteVerifier(engine, vkey)
  return verifier.name === origin && 'text' in verifier.open(note)
}
