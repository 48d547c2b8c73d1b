/**
 * `lineOf`, the only serialiser. Its law: `lineOf(JSON.parse(line)) === line` for every line it makes. The text is
 * JSON with a fixed key order, in which code points that a terminal or a log viewer might act upon are escaped.
 */
import type { AuditEntry } from './entry.ts'

/** Field order of the nested objects, and every name they have. Of `details`, `sinks` (a list), `destinationKey` and `cache` are objects in their turn. */
export const order = {
  payloadSizes: ['plaintext', 'ciphertext', 'input', 'signature', 'mac', 'keyMaterial', 'encryptionContext'],
  actor: ['type', 'id', 'name', 'source'],
  context: ['clientIp', 'peerIp', 'userAgent', 'requestId', 'traceparent', 'method', 'route'],
  origin: ['service', 'eventID', 'resource'],
  reason: ['code', 'ticket'],
  provider: ['name', 'requestId', 'attempts', 'durationMs'],
  sinks: ['name', 'durability', 'required', 'filesystem', 'size', 'vkey', 'minRetentionDays', 'warnings'],
  destinationKey: ['identity', 'slug', 'keyType', 'keyVersion'],
  cache: ['hit', 'parent'],
  details: [
    'algorithm',
    'form',
    'recipient',
    'wrappingKey',
    'destinationKey',
    'dueAt',
    'latenessMs',
    'because',
    'previousVersion',
    'deletionScheduledAt',
    'keyRotationEnabled',
    'rotationPeriodInDays',
    'exportAllowed',
    'allowRotation',
    'minDecryptionVersion',
    'messages',
    'messageLimit',
    'decryptFailure',
    'generation',
    'keystore',
    'count',
    'rule',
    'level',
    'evidence',
    'subject',
    'until',
    'secretVersion',
    'kmsEventID',
    'cache',
    'recovered',
    'amends',
    'sink',
    'sinks',
    'engine',
    'version',
    'fields',
    'dropped',
    'refusedCalls',
    'quarantinedBytes',
    'file',
    'steppedMs',
    'idleMs',
    'joined',
    'firstAt',
    'lastAt',
    'vkey',
    'previousVkey',
    'prunedFrom',
    'prunedBelow',
    'newestAt',
    'olderThanDays',
    'minRetentionDays',
    'archive',
    'archiveSha256',
    'trailSize',
    'trailRoot',
    'anchorSize',
    'anchorRoot',
    'usedBytes',
    'budgetBytes',
    'flags',
  ],
} as const

/** One line, without its newline. */
export function lineOf(entry: AuditEntry): string {
  let line = `{"schema":"${entry.schema}","eventID":${jsonText(entry.eventID)}`
  if (entry.operationID !== undefined) line += `,"operationID":${jsonText(entry.operationID)}`
  line += `,"createdAt":${jsonText(entry.createdAt)},"instance":${jsonText(entry.instance)},"sequence":${entry.sequence}`
  line += `,"action":${jsonText(entry.action)},"phase":"${entry.phase}","resourceType":${jsonText(entry.resourceType)}`
  if (entry.resourceIdentity !== undefined) line += `,"resourceIdentity":${jsonText(entry.resourceIdentity)}`
  line += `,"outcome":"${entry.outcome}"`
  if (entry.valid !== undefined) line += `,"valid":${entry.valid}`
  if (entry.statusCode !== undefined) line += `,"statusCode":${entry.statusCode}`
  if (entry.error !== undefined) line += `,"error":"${entry.error}"`
  if (entry.region !== undefined) line += `,"region":${jsonText(entry.region)}`
  if (entry.project !== undefined) line += `,"project":${jsonText(entry.project)}`
  if (entry.keySlug !== undefined) line += `,"keySlug":${jsonText(entry.keySlug)}`
  if (entry.keyType !== undefined) line += `,"keyType":${jsonText(entry.keyType)}`
  if (entry.keyVersion !== undefined) line += `,"keyVersion":${entry.keyVersion}`
  if (entry.latestVersion !== undefined) line += `,"latestVersion":${entry.latestVersion}`
  if (entry.payloadSizes !== undefined) line += `,"payloadSizes":${objectOf(entry.payloadSizes, order.payloadSizes)}`
  if (entry.actor !== undefined) line += `,"actor":${repeated(entry.actor, order.actor)}`
  if (entry.context !== undefined) line += `,"context":${repeated(entry.context, order.context)}`
  if (entry.origin !== undefined) line += `,"origin":${repeated(entry.origin, order.origin)}`
  if (entry.reason !== undefined) line += `,"reason":${repeated(entry.reason, order.reason)}`
  if (entry.provider !== undefined) line += `,"provider":${repeated(entry.provider, order.provider)}`
  if (entry.details !== undefined) line += `,"details":${objectOf(entry.details, order.details)}`
  if (entry.encryptionContext !== undefined) line += `,"encryptionContext":${pairsOf(entry.encryptionContext)}`
  if (entry.durationMs !== undefined) line += `,"durationMs":${entry.durationMs}`
  return `${line},"salt":${jsonText(entry.salt)}}`
}

// What a caller bound to a client comes back by identity in entry after entry; frozen by record.ts, so its text stays true.
const prepared = new WeakMap<object, string>()

function repeated(value: object, names: readonly string[]): string {
  const known = prepared.get(value)
  if (known !== undefined) return known
  const made = objectOf(value, names)
  if (Object.isFrozen(value)) prepared.set(value, made)
  return made
}

function objectOf(value: object, names: readonly string[]): string {
  const fields = value as Readonly<Record<string, unknown>>
  let out = ''
  for (const name of names) {
    const field = fields[name]
    if (field !== undefined) out += `${out === '' ? '{' : ','}"${name}":${jsonOf(name, field)}`
  }
  return out === '' ? '{}' : `${out}}`
}

function jsonOf(name: string, value: unknown): string {
  if (typeof value === 'string') return jsonText(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item) => jsonOf(name, item)).join(',')}]`
  // Of the names in `order.details`, those that hold objects have an order of their own.
  return objectOf(value, order[name as 'sinks' | 'destinationKey' | 'cache'])
}

function pairsOf(pairs: Readonly<Record<string, string>>): string {
  // `sort` compares UTF-16 code units: the same order whatever order JSON.parse or the caller used.
  const names = Object.keys(pairs).sort()
  return `{${names.map((name) => `${jsonText(name)}:${jsonText(String(pairs[name]))}`).join(',')}}`
}

const plain = /^[ !#-[\]-~]*$/

// Controls (C0 is escaped by JSON itself), bidirectional formatting, line separators, and all that Unicode calls ignorable
// by default: what could hide or reorder text for whoever reads a trail on a terminal (UTR 36 §2.5.1, CVE-2021-42574).
// A list, not \p{…}: that follows the engine's Unicode version, and a line must be the same on all.
const escaped =
  /[\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]|\ud82f[\udca0-\udca3]|\ud834[\udd73-\udd7a]|[\udb40-\udb43][\udc00-\udfff]/g

/** A JSON string: as JSON.stringify writes it (lone surrogates escaped), and the listed code points as `\uXXXX`. */
export function jsonText(value: string): string {
  return plain.test(value) ? `"${value}"` : escapedJson(JSON.stringify(value))
}

/** JSON as JSON.stringify makes it, of anything, with the listed code points as `\uXXXX`: they stand only in its strings. */
export function escapedJson(text: string): string {
  // Without the flag `u` each unit of a surrogate pair is one match.
  return text.replace(escaped, (found) =>
    found.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  )
}
