/** `trail.json`: what a trail is, written once when it is made. */
import { fromUtf8, utf8 } from '../crypto/bytes.ts'

export const aboutFormat = 'keytrail-trail/1'

export interface About {
  readonly origin: string
  /** Who signs, from which entry on; the last is the present one. */
  readonly vkeys: readonly TrailKey[]
  readonly minRetentionDays?: number
  /** RFC 3339, UTC. */
  readonly createdAt: string
}

export interface TrailKey {
  readonly vkey: string
  readonly fromIndex: number
}

export function formatAbout({ origin, vkeys, minRetentionDays, createdAt }: About): Uint8Array {
  return utf8(`${JSON.stringify({ format: aboutFormat, origin, vkeys, minRetentionDays, createdAt }, null, 2)}\n`)
}

/** Undefined when the bytes are not a description of this format. Fields that it does not know are ignored. */
export function parseAbout(bytes: Uint8Array): About | undefined {
  const fields = objectIn(fromUtf8(bytes))
  if (fields === undefined || fields['format'] !== aboutFormat) return undefined
  const { origin, vkeys, minRetentionDays, createdAt } = fields
  if (typeof origin !== 'string' || typeof createdAt !== 'string') return undefined
  if (!Array.isArray(vkeys) || vkeys.length === 0 || !vkeys.every(isTrailKey)) return undefined
  if (minRetentionDays === undefined) return { origin, vkeys, createdAt }
  return typeof minRetentionDays === 'number' ? { origin, vkeys, minRetentionDays, createdAt } : undefined
}

function isTrailKey(value: unknown): value is TrailKey {
  if (typeof value !== 'object' || value === null) return false
  const { vkey, fromIndex } = value as Readonly<Record<string, unknown>> // an object: its fields are checked here
  return typeof vkey === 'string' && typeof fromIndex === 'number' && Number.isSafeInteger(fromIndex) && fromIndex >= 0
}

function objectIn(text: string | undefined): Readonly<Record<string, unknown>> | undefined {
  if (text === undefined) return undefined
  try {
    const parsed: unknown = JSON.parse(text)
    // An object's fields are checked one by one by the caller.
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
