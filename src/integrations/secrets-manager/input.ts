/** The door: what each operation takes, checked and copied before anything waits. */
import type { Inside } from '../../client.ts'
import { wipe } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import type { Fields } from './call.ts'
import { checkPath, checkPrefix } from './path.ts'
import { type AccessPolicy, checkPolicy } from './policy.ts'
import { encodeValue, valueFields } from './value.ts'

export interface CreateInput {
  readonly path: string
  readonly key: string
  readonly description?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly policy?: AccessPolicy
  /** Encoded. */
  readonly value: Uint8Array | undefined
}

export function createInput(raw: Fields, inside: Inside): CreateInput {
  onlyKnown(raw, ['path', 'key', 'description', 'labels', 'policy', ...valueFields])
  const { key, description, labels, policy } = raw
  const path = checkPath(raw['path'])
  if (typeof key !== 'string' || key.length === 0 || key.length > 256)
    refuse("'key' must be a key's identity or slug: a string of 1–256 characters")
  return {
    path,
    key,
    ...(description !== undefined && { description: textOf('description', description, 1024) }),
    ...(labels !== undefined && { labels: labelsOf(labels) }),
    ...(policy !== undefined && { policy: checkPolicy(policy) }),
    value: encodedIn(raw, inside),
  }
}

export function putInput(raw: Fields, inside: Inside): { readonly path: string; readonly value: Uint8Array } {
  onlyKnown(raw, ['path', ...valueFields])
  const path = checkPath(raw['path'])
  const value = encodedIn(raw, inside) ?? refuse(`a value is missing: one of ${valueFields.join(', ')}`)
  return { path, value }
}

export function getInput(raw: Fields): { readonly path: string; readonly version: number | undefined } {
  onlyKnown(raw, ['path', 'version'])
  const { version } = raw
  return { path: checkPath(raw['path']), version: version === undefined ? undefined : versionOf(version) }
}

export function versionInput(raw: Fields): { readonly path: string; readonly version: number } {
  onlyKnown(raw, ['path', 'version'])
  return { path: checkPath(raw['path']), version: versionOf(raw['version']) }
}

export function pathInput(raw: Fields): { readonly path: string } {
  onlyKnown(raw, ['path'])
  return { path: checkPath(raw['path']) }
}

export function policyInput(raw: Fields): { readonly path: string; readonly policy: AccessPolicy | undefined } {
  onlyKnown(raw, ['path', 'policy'])
  const { policy } = raw
  return { path: checkPath(raw['path']), policy: policy === null ? undefined : checkPolicy(policy) }
}

export interface Page {
  readonly prefix: string
  readonly after: string
  readonly limit: number
}

export function listInput(raw: Fields): Page {
  onlyKnown(raw, ['prefix', 'after', 'limit'])
  const { prefix } = raw
  return { prefix: prefix === undefined ? '' : checkPrefix('prefix', prefix), ...placeOf(raw) }
}

export function browseInput(raw: Fields): Page {
  onlyKnown(raw, ['folder', 'after', 'limit'])
  const { folder = '/' } = raw
  const prefix = checkPrefix('folder', folder)
  if (!prefix.endsWith('/')) refuse("'folder' must end in /")
  return { prefix, ...placeOf(raw) }
}

function placeOf({ after, limit = 100 }: Fields): Pick<Page, 'after' | 'limit'> {
  if (!Number.isInteger(limit) || Number(limit) < 1 || Number(limit) > 1000)
    refuse("'limit' must be a whole number from 1 to 1000")
  return { after: after === undefined ? '' : checkPrefix('after', after), limit: Number(limit) }
}

/** What one encryption of this client takes, and one decryption gives back. */
function encodedIn(raw: Fields, { limits }: Inside): Uint8Array | undefined {
  const value = encodeValue(raw)
  if (value === undefined) return undefined
  const { length } = value
  if (length <= limits.plaintext && ciphertextOf(length) <= limits.ciphertext) return value
  wipe(value)
  return refuse(
    `the value takes ${length} bytes, and one encryption of this client has room for fewer: make it several secrets, or raise the limits of the KmsClient, if its KMS takes so much, to { plaintext: ${length}, ciphertext: ${ciphertextOf(length)} }`,
  )
}

/** Of all KMSs the longest: base64 and a header. What was encrypted and could not be given to decrypt would be lost. */
function ciphertextOf(length: number): number {
  return Math.ceil((length * 4) / 3) + 1024
}

function onlyKnown(raw: Fields, names: readonly string[]): void {
  // Not quoted: a slip may put a value where a name belongs.
  for (const name in raw) if (!names.includes(name)) refuse(`there is a field that is none of ${names.join(', ')}`)
}

function versionOf(value: unknown): number {
  if (!Number.isSafeInteger(value) || Number(value) < 1) refuse("'version' must be a whole number from 1")
  return Number(value)
}

function textOf(name: string, value: unknown, max: number): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > max)
    refuse(`'${name}' must be a string of 1–${max} characters`)
  return value
}

function labelsOf(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    refuse("'labels' must be an object of strings")
  const pairs = Object.entries(value)
  if (pairs.length > 64 || pairs.some(([name]) => name.length > 128))
    refuse("'labels' must be at most 64 pairs of a name of 128 characters")
  return Object.freeze(Object.fromEntries(pairs.map(([name, text]) => [name, textOf('labels', text, 1024)])))
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
