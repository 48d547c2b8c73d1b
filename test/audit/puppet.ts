/** A sink that does as a test tells it; what it has accepted is kept. */
import type { AuditEntry } from '../../src/model/entry.ts'
import type { AuditSink, Durability, Receipt } from '../../src/model/sink.ts'

export interface Puppet extends AuditSink {
  /** What it has accepted, in order. */
  readonly accepted: AuditEntry[]
  /** Every batch it was handed, accepted or not. */
  readonly batches: (readonly AuditEntry[])[]
  /** How it answers from now on: at once, with a promise, by refusing, or not before `settle`. */
  mode: 'sync' | 'async' | 'throw' | 'reject' | 'hang'
  /** Lets the write that hangs end. */
  settle(how: 'accept' | 'reject'): void
}

export function puppet(options: { name?: string; durability?: Durability; receipts?: boolean } = {}): Puppet {
  const { name = 'puppet', durability = 'memory', receipts = false } = options
  let end: ((how: 'accept' | 'reject') => void) | undefined
  const sink: Puppet = {
    name,
    durability,
    accepted: [],
    batches: [],
    mode: 'sync',
    write(entries) {
      sink.batches.push(entries)
      switch (sink.mode) {
        case 'throw':
          throw new Error('puppet throws')
        case 'reject':
          return Promise.reject(new Error('puppet rejects'))
        case 'hang':
          return new Promise((resolve, reject) => {
            end = (how) => {
              end = undefined
              if (how === 'accept') resolve(accept(entries))
              else reject(new Error('puppet rejects late'))
            }
          })
        case 'async':
          return Promise.resolve().then(() => accept(entries))
        case 'sync':
          return accept(entries)
      }
    },
    settle(how) {
      end?.(how)
    },
  }
  return sink

  function accept(entries: readonly AuditEntry[]): Receipt | undefined {
    sink.accepted.push(...entries)
    if (!receipts) return undefined
    return { origin: name, size: BigInt(sink.accepted.length), root: new Uint8Array(32) }
  }
}

/** Lets everything that is ready run: promises, then a turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
