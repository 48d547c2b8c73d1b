/** Who writes a log, as its entries tell it: each start of a writer has an id of its own, its name stays. */
import type { EntryDetails } from '../model/entry.ts'

/** The name of a writer: its `instance` without the random id of this start. */
export function writerName(instance: string): string {
  const end = instance.lastIndexOf('-')
  return end < 0 ? instance : instance.slice(0, end)
}

/** Names the trails that `audit.opened` tells of by their origins, which outlast starts and signers. Empty if there is none. */
export function trailsIn(details: EntryDetails | undefined): string {
  const sinks = details?.sinks
  if (!Array.isArray(sinks)) return ''
  const origins = sinks.map((sink: { readonly vkey?: unknown } | null) => originIn(sink?.vkey))
  return origins.filter((origin) => origin !== '').join(' ')
}

function originIn(vkey: unknown): string {
  return typeof vkey === 'string' ? vkey.slice(0, Math.max(0, vkey.indexOf('+'))).slice(0, 128) : ''
}
