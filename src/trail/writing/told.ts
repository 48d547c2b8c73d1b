/** @node What the entries tell the writer: intents left open, keystores, what was quarantined and pruned. */
import { Buffer } from 'node:buffer'
import type { AuditEntry } from '../../model/entry.ts'
import { mayHold, parseEntry } from '../reading/entry-line.ts'
import { collectIntents, type Intents } from './intents.ts'
import { collectKeystores, type Keystores } from './keystores.ts'

export interface Told {
  readonly intents: Pick<Intents, 'open'>
  readonly keystores: Pick<Keystores, 'lastOf' | 'accepts'>
  /** Whether an `audit.recovered` names this file, such as `quarantine/…`. */
  isQuarantineTold(file: string): boolean
  /** The largest `prunedBelow` of any `audit.pruned` of this trail. */
  readonly prunedBelow: bigint
  /** Of the entries committed last, those that tell anything. */
  readonly latest: readonly AuditEntry[]
  /** An entry's line, not yet known to be committed. */
  seen(bytes: Buffer, start: number, end: number): void
  /** What was seen since the last call is committed; what is seen after the last call does not count. */
  committed(): void
  /** Entries that are written now. */
  written(entries: readonly AuditEntry[]): void
}

// Of changes, and of the log itself.
const needles = [Buffer.from('"operationID":"'), Buffer.from('"action":"audit.')] as const

/** Entries of another trail, which an audit writes into both, tell nothing of this one, called `origin`. */
export function collectTold(origin: string): Told {
  const intents = collectIntents()
  const keystores = collectKeystores()
  const quarantined = new Set<string>()
  let prunedBelow = 0n
  let waiting: string[] = []
  let latest: readonly AuditEntry[] = []

  function hear(entry: AuditEntry): void {
    keystores.hear(entry)
    const { action, details } = entry
    if (action === 'audit.recovered' && details?.file !== undefined) quarantined.add(details.file)
    if (action !== 'audit.pruned' || !details?.vkey?.startsWith(`${origin}+`)) return
    if (!/^\d{1,19}$/.test(details.prunedBelow ?? '')) return
    const below = BigInt(details.prunedBelow ?? 0)
    if (below > prunedBelow) prunedBelow = below
  }

  return {
    intents,
    keystores,
    isQuarantineTold: (file) => quarantined.has(file),
    get prunedBelow() {
      return prunedBelow
    },
    get latest() {
      return latest
    },
    seen(bytes, start, end) {
      if (needles.some((needle) => mayHold(bytes, { start, end }, needle)))
        waiting.push(bytes.toString('utf8', start, end))
    },
    committed() {
      if (waiting.length === 0 && latest.length === 0) return
      latest = waiting.map(parseEntry).filter((entry) => entry !== undefined)
      waiting = []
      for (const entry of latest) {
        intents.found(entry)
        hear(entry)
      }
    },
    written(entries) {
      for (const entry of entries) {
        if (entry.operationID !== undefined) intents.written(entry)
        if (entry.details !== undefined) hear(entry)
      }
    },
  }
}
