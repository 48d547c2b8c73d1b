/** What a portable case is, and what it is given. */
import { type AuditEntry, KmsClient, type KmsClientOptions } from 'keytrail'
import { mlDsa } from 'keytrail/ml-dsa'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'
import { summary } from 'keytrail/testing'

/** Where the cases run. */
export interface Runtime {
  /** The engine that the package must pick there. */
  readonly engine: 'node' | 'noble'
  /** Origin of a collector, see collector.ts beside this folder. */
  readonly collector: string
}

export interface PortableCase {
  readonly name: string
  readonly run: (runtime: Runtime) => Promise<void>
}

export interface Scene {
  readonly kms: KmsClient
  /** What the sink holds. */
  entries(): readonly AuditEntry[]
  /** The same as short lines, without the audit's own. */
  lines(): readonly string[]
  /** The newest entry. */
  last(): AuditEntry
}

/** A client over the memory KMS, whose entries can be looked at. */
export function scene(options: Partial<KmsClientOptions> = {}): Scene {
  const sink = memorySink()
  const kms = new KmsClient({ provider: memoryKms({ mlDsa }), audit: { required: [sink] }, ...options })
  return {
    kms,
    entries: () => sink.entries,
    lines: () => summary(sink.entries).filter((line) => !line.startsWith('audit.')),
    last() {
      const entry = sink.entries.at(-1)
      if (entry === undefined) throw new Error('the sink must hold an entry')
      return entry
    },
  }
}
