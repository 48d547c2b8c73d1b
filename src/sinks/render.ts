/** Entries for people: a line, a table, a sentence. Nothing from an entry reaches a terminal unescaped. */
import type { AuditEntry, EntryActor, EntryKey, Outcome } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import { jsonText } from '../model/line.ts'

export interface RenderOptions {
  /** ANSI colours for the outcome; off by default. */
  readonly color?: boolean
  /** Columns of the terminal: longer lines end in `…`. Not cut when absent. */
  readonly width?: number
}

/**
 * One line: time, outcome, action, key and version, actor, sizes, duration.
 *
 * @example
 * ```ts
 * renderEntry(entry)
 * // 2026-11-22T10:13:28.123Z success kms.encrypt orders v1 user alice plaintext=120 ciphertext=206 0.04ms
 * ```
 */
export function renderEntry(entry: AuditEntry, options: RenderOptions = {}): string {
  const cells = cellsOf(entry).filter((cell) => cell !== '')
  return paint(cut(cells.join(' '), options.width), entry.outcome, options)
}

/** Entries below one another in aligned columns under a heading; ends without a newline. */
export function renderTable(entries: readonly AuditEntry[], options: RenderOptions = {}): string {
  const rows = entries.map(cellsOf)
  const widths = headings.map((heading, column) =>
    rows.reduce((most, row) => Math.max(most, lengthOf(row[column] ?? '')), heading.length),
  )
  const line = (cells: readonly string[]) =>
    cut(
      cells.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - lengthOf(cell))).join('  '),
      options.width,
    )
  const body = entries.map((entry, at) => paint(line(rows[at] ?? []).trimEnd(), entry.outcome, options))
  return [line(headings).trimEnd(), ...body].join('\n')
}

/**
 * One sentence, without a full stop: `user alice encrypted 120 bytes with orders v1`. Rendered by readers, never
 * stored.
 */
export function describeEntry(entry: AuditEntry): string {
  // Reading the log is somebody's deed; all else about it is its own.
  if (entry.resourceType === 'audit_log' && entry.action !== 'audit.read') return describeLog(entry)
  if (entry.resourceType === 'finding') return describeFinding(entry)
  const { did, toDo, what } = deedOf(entry)
  const who = actorOf(entry.actor) ?? 'an unknown caller'
  if (entry.phase === 'intent') return `${who} is about to ${toDo} ${what}`
  const ending = entry.phase === 'amendment' ? '; the result was withheld' : ''
  if (entry.outcome === 'unknown') return `${who} may have ${did} ${what}; nobody can tell${ending}`
  const error = visible(entry.error ?? 'no reason given')
  if (entry.outcome === 'failure') return `${who} failed to ${toDo} ${what}: ${error}${timesOf(entry)}${ending}`
  const verdict = entry.valid === undefined ? '' : entry.valid ? ': valid' : ': not valid'
  return `${who} ${did} ${what}${verdict}${ending}`
}

const headings = ['time', 'outcome', 'action', 'key', 'actor', 'bytes', 'ms'] as const

function cellsOf(entry: AuditEntry): readonly string[] {
  const verdict = entry.valid === undefined ? '' : entry.valid ? ':valid' : ':invalid'
  const error = entry.error === undefined ? '' : `:${entry.error}`
  const phase = entry.phase === 'amendment' ? ':withheld' : ''
  const joined = entry.details?.joined === undefined ? '' : `×${visible(entry.details.joined)}`
  const sizes = Object.entries(entry.payloadSizes ?? {}).map(([name, bytes]) => `${visible(name)}=${visible(bytes)}`)
  return [
    visible(entry.createdAt),
    visible(`${entry.outcome}${verdict}${error}${phase}${joined}`),
    visible(entry.action),
    keyOf(entry) ?? '',
    actorOf(entry.actor) ?? '',
    sizes.join(' '),
    entry.durationMs === undefined ? '' : `${visible(entry.durationMs)}ms`,
  ]
}

/** Past tense, infinitive, and what it is done to. */
interface Deed {
  readonly did: string
  readonly toDo: string
  readonly what: string
}

type Size = keyof NonNullable<AuditEntry['payloadSizes']>

// `what` may hold {key} and {size}: the key or the secret as the entry names it, and the bytes that `size` counts.
const deeds: Readonly<Record<string, readonly [did: string, toDo: string, what: string, size?: Size]>> = {
  'kms.encrypt': ['encrypted', 'encrypt', '{size} with {key}', 'plaintext'],
  'kms.decrypt': ['decrypted', 'decrypt', '{size} with {key}', 'ciphertext'],
  'kms.sign': ['signed', 'sign', '{size} with {key}', 'input'],
  'kms.verify': ['verified', 'verify', 'a signature over {size} with {key}', 'input'],
  'kms.hmac': ['authenticated', 'authenticate', '{size} with {key}', 'input'],
  'kms.verify_hmac': ['verified', 'verify', 'an HMAC over {size} with {key}', 'input'],
  'kms.rotate': ['rotated', 'rotate', '{key}'],
  'kms.rotate.scheduled': ['rotated', 'rotate', '{key} on schedule'],
  'kms.export': ['exported', 'export', 'the key material of {key}'],
  'kms.generate_data_key': ['generated', 'generate', 'a data key under {key}'],
  'kms.re_encrypt': ['re-encrypted', 're-encrypt', '{size} from {key}', 'ciphertext'],
  'kms_key.create': ['created', 'create', '{key}'],
  'kms_key.import': ['imported', 'import', '{key}'],
  'kms_key.import_version': ['imported', 'import', 'a version of {key}'],
  'kms_key.enable': ['enabled', 'enable', '{key}'],
  'kms_key.disable': ['disabled', 'disable', '{key}'],
  'kms_key.delete': ['scheduled', 'schedule', 'the deletion of {key}'],
  'kms_key.cancel_deletion': ['cancelled', 'cancel', 'the deletion of {key}'],
  'kms_key.destroy': ['destroyed', 'destroy', '{key}'],
  'kms_key.update': ['changed', 'change', 'the settings of {key}'],
  'kms_key.describe': ['looked at', 'look at', '{key}'],
  'kms_key.list': ['listed', 'list', 'the keys'],
  'kms_key.get_public_key': ['read', 'read', 'the public key of {key}'],
  'kms_key.get_wrapping_key': ['read', 'read', 'the wrapping key'],
  'kms_keystore.rewrap_root_key': ['sealed', 'seal', 'the keystore under another root key'],
  'kms_keystore.rotate_wrapping_key': ['rotated', 'rotate', "the keystore's key for imports"],
  'kms_keystore.rotate_signer': ['rotated', 'rotate', "the keystore's key for the audit log"],
  'api.request': ['called', 'call', 'the HTTP API'],
  'audit.read': ['read', 'read', 'the audit log'],
  'secret.create': ['created', 'create', 'the secret {key}'],
  'secret.get_value': ['read', 'read', 'the value of {key}'],
  'secret.put_value': ['wrote', 'write', 'a value of {key}'],
  'secret.update_policy': ['changed', 'change', 'the access policy of {key}'],
  'secret.destroy_version': ['destroyed', 'destroy', 'the value of {key}'],
  'secret.delete': ['deleted', 'delete', 'the secret {key}'],
  'secret.list': ['listed', 'list', 'the secrets in {key}'],
  'secret.describe': ['looked at', 'look at', 'the secret {key}'],
}

function deedOf(entry: AuditEntry): Deed {
  const key = keyOf(entry) ?? (entry.resourceType === 'secret' ? 'the store' : 'a key')
  const deed = Object.hasOwn(deeds, entry.action) ? deeds[entry.action] : undefined
  if (deed === undefined) return { did: 'performed', toDo: 'perform', what: `${visible(entry.action)} on ${key}` }
  const [did, toDo, what, size] = deed
  const bytes = size === undefined ? undefined : entry.payloadSizes?.[size]
  // Replaced by functions: a key's name must not be read as a replacement pattern.
  const told = what.replace('{size}', () => sizeOf(bytes)).replace('{key}', () => key)
  const other = entry.details?.destinationKey
  return { did, toDo, what: other === undefined || other === null ? told : `${told} to ${destinationOf(other)}` }
}

function sizeOf(bytes: number | undefined): string {
  if (bytes === undefined) return 'something'
  return bytes === 1 ? '1 byte' : `${visible(bytes)} bytes`
}

/** How often, and from when to when, where many refusals stand in one entry. */
function timesOf({ details }: AuditEntry): string {
  const { joined, firstAt, lastAt } = details ?? {}
  if (joined === undefined) return ''
  return `, ${visible(joined)} times from ${visible(firstAt ?? 'some time')} to ${visible(lastAt ?? 'some time')}`
}

function describeLog({ action, ...entry }: AuditEntry): string {
  const details = entry.details ?? {}
  const sink = details.sink === undefined ? 'a sink' : `sink ${word(details.sink)}`
  const refused =
    details.refusedCalls === undefined ? '' : `; ${visible(details.refusedCalls)} calls were refused meanwhile`
  switch (action) {
    case 'audit.opened': {
      const sinks = listOf(details.sinks).map((sink) => `${word(sink?.name)} (${visible(sink?.durability)})`)
      return `the audit log was opened${sinks.length === 0 ? '' : ` into ${sinks.join(', ')}`}`
    }
    case 'audit.closed':
      return 'the audit log was closed'
    case 'audit.recovered':
      return `the audit log was recovered; ${sizeOf(details.quarantinedBytes)} went to quarantine`
    case 'audit.sink_down':
      return `${sink} stopped accepting entries`
    case 'audit.sink_up':
      return `${sink} accepts entries again${refused}`
    case 'audit.dropped':
      return `${sink} lost ${visible(details.dropped ?? 'some')} entries`
    case 'audit.clock_stepped':
      return `the clock was set by ${visible(details.steppedMs ?? 'some')} ms`
    case 'audit.heartbeat':
      return 'the audit log is alive'
    case 'audit.key_rotated':
      return `${sink} is signed by another key from here on: ${visible(details.vkey ?? 'unknown')}`
    case 'audit.pruned':
      return `${sink} drops its entries below index ${visible(details.prunedBelow ?? 'unknown')}`
    case 'audit.restored':
      return `a keystore at generation ${visible(details.generation ?? 'unknown')} was accepted although it does not fit the audit log`
    case 'audit.space_low':
      return `${sink} has used ${visible(details.usedBytes ?? 'most')} of ${visible(details.budgetBytes ?? 'its')} bytes`
    default:
      return `the audit log tells ${visible(action)}`
  }
}

function describeFinding({ action, actor, reason, ...entry }: AuditEntry): string {
  const details = entry.details ?? {}
  const { rule, level, subject, count, until } = details
  const about = subject === undefined ? '' : `: ${visible(subject)}`
  const of = `rule ${word(rule ?? 'unknown')}`
  const found = `${of} (${visible(level ?? 'of no level')})`
  const to = until === undefined ? '' : ` until ${visible(until)}`
  const why = reason === undefined ? '' : `, because of ${word(reason.code)}`
  const who = actorOf(actor) ?? 'somebody unknown'
  switch (action) {
    case 'finding.raised':
      return `${found} found something${about}${count === undefined ? '' : `, in ${visible(count)} entries`}`
    case 'finding.suppressed':
      return `a finding of ${found} was held back${to}${why}${about}`
    case 'finding.suppression_added':
      return `${who} holds back findings of ${of}${to}${why}${about}`
    case 'finding.suppression_removed':
      return `${who} holds back findings of ${of} no more${why}${about}`
    default:
      return `a finding of ${found} tells ${visible(action)}`
  }
}

/** Of a finding its rule. Of a secret its path and version: which key it needed is in the entry of its KMS call. */
function keyOf({ keySlug, keyVersion, resourceType, resourceIdentity, details }: AuditEntry): string | undefined {
  if (resourceType === 'finding') return details?.rule === undefined ? undefined : `rule ${word(details.rule)}`
  if (resourceType === 'secret') {
    if (resourceIdentity === undefined) return undefined
    const version = details?.secretVersion
    return version === undefined ? word(resourceIdentity) : `${word(resourceIdentity)} version ${visible(version)}`
  }
  const name = keySlug ?? (resourceType === 'audit_log' ? undefined : resourceIdentity)
  if (name === undefined) return undefined
  return keyVersion === undefined ? word(name) : `${word(name)} v${visible(keyVersion)}`
}

function destinationOf({ slug, keyVersion }: EntryKey): string {
  return `${word(slug)} v${visible(keyVersion)}`
}

function actorOf(actor: EntryActor | undefined): string | undefined {
  if (actor === undefined || actor === null || actor.type === 'unknown') return undefined
  return actor.id === undefined ? visible(actor.type) : `${visible(actor.type)} ${word(actor.id)}`
}

/** Text as one word: quoted where a blank could make it look like two fields. */
function word(text: string | undefined): string {
  return /^[^\s"]+$/.test(String(text)) ? visible(text) : `"${visible(text)}"`
}

function listOf<T>(value: readonly T[] | undefined): readonly (T | undefined)[] {
  return Array.isArray(value) ? value : []
}

/**
 * A value's text with what a terminal might act upon, or not show, as `\uXXXX`: the escapes of a line. Takes anything,
 * since an entry read from a file that was tampered with may hold text where its type says number.
 */
export function visible(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return jsonText(text).slice(1, -1)
}

function lengthOf(text: string): number {
  return [...text].length
}

function cut(line: string, width: number | undefined): string {
  if (width === undefined || lengthOf(line) <= width) return line
  if (!(width >= 1)) throw new KmsError('INVALID_INPUT', 'width must be at least one column')
  return `${[...line].slice(0, width - 1).join('')}…`
}

const colors: Readonly<Record<Outcome, number>> = { success: 32, failure: 31, pending: 36, unknown: 33 }

/** Colours the first place where the outcome stands; the text itself stays as it is. */
function paint(line: string, outcome: Outcome, { color = false }: RenderOptions): string {
  // An entry that was tampered with may have an outcome that is none.
  if (!color || !Object.hasOwn(colors, outcome)) return line
  return line.replace(outcome, (found) => `\u001b[${colors[outcome]}m${found}\u001b[0m`)
}
