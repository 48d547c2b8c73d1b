/** What an entry tells of an encryption context: how large it is, and the pairs that policy and room allow. */
import { jsonText } from '../model/line.ts'
import type { EncryptionContext } from '../model/operation.ts'
import { utf8Length } from '../model/text.ts'
import type { Fields } from './fields.ts'

/** Bytes of names and values in UTF-8. */
export function sizeOfContext(context: EncryptionContext): number {
  let bytes = 0
  for (const name in context) bytes += utf8Length(name) + utf8Length(context[name] ?? '')
  return bytes
}

/** An entry stays below 16 KiB: this much of it is for the encryption context and for what the caller said of itself. */
const roomForContext = 13 * 1024

/**
 * What the policy keeps of `pairs`, if the entry has room for it beside `taken` bytes of other texts of its caller;
 * else undefined, and one more of `flags`.
 */
export function keptContext(
  pairs: EncryptionContext,
  { fields, taken, flags }: { readonly fields: Fields; readonly taken: number; readonly flags: string[] },
): EncryptionContext | undefined {
  const kept = fields.encryptionContext(pairs)
  if (kept === undefined || fits(kept, roomForContext - taken)) return kept
  flags.push('encryption_context_dropped')
  return undefined
}

function fits(pairs: EncryptionContext, room: number): boolean {
  // Escaped, a byte of UTF-8 takes at most six.
  if (6 * (sizeOfContext(pairs) + Object.keys(pairs).length) <= room) return true
  let bytes = 2
  for (const name in pairs) bytes += 2 + utf8Length(jsonText(name)) + utf8Length(jsonText(pairs[name] ?? ''))
  return bytes <= room
}
