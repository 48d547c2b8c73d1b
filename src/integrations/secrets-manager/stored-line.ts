/** A stored secret as a file: one JSON object, read back strictly. */
import { fromUtf8, utf8 } from '../../crypto/bytes.ts'
import { checkPath } from './path.ts'
import { checkPolicy } from './policy.ts'
import type { StoredSecret, StoredVersion } from './store.ts'

/** What a file tells: a secret, or that one was deleted. */
export interface Filed {
  readonly path: string
  readonly id: string
  /** The last change. */
  readonly operationID: string
  /** Absent: deleted. */
  readonly secret?: StoredSecret
}

const format = 'keytrail-secret/1'

export function bytesOf(filed: Filed): Uint8Array {
  const { path, id, operationID, secret } = filed
  const told = secret === undefined ? { path, id, deleted: true } : secret
  return utf8(`${JSON.stringify({ format, ...told, operationID })}\n`)
}

/** Undefined for what `bytesOf` did not write. */
export function filedFrom(bytes: Uint8Array): Filed | undefined {
  try {
    const { format: told, operationID, deleted, ...fields } = fieldsOf(JSON.parse(fromUtf8(bytes) ?? ''))
    if (told !== format) return undefined
    const path = checkPath(fields['path'])
    const id = idOf(fields['id'])
    const made = { path, id, operationID: textOf(operationID) }
    return deleted === true ? made : { ...made, secret: secretOf(fields, path, id) }
  } catch {
    // Whatever it is that is wrong, the file does not say what a secret's file says.
    return undefined
  }
}

type Fields = Readonly<Record<string, unknown>>

function secretOf(fields: Fields, path: string, id: string): StoredSecret {
  const { region, project, description, labels, policy } = fields
  const versions = listOf(fields['versions']).map(versionOf)
  const latestVersion = countOf(fields['latestVersion'])
  if (versions.some(({ version }, at) => version !== at + 1) || versions.length !== latestVersion) wrong()
  return Object.freeze({
    path,
    id,
    keyIdentity: textOf(fields['keyIdentity']),
    keySlug: textOf(fields['keySlug']),
    keyType: textOf(fields['keyType']),
    ...(region !== undefined && { region: textOf(region) }),
    ...(project !== undefined && { project: textOf(project) }),
    ...(description !== undefined && { description: textOf(description) }),
    ...(labels !== undefined && { labels: textsOf(labels) }),
    ...(policy !== undefined && { policy: checkPolicy(policy) }),
    latestVersion,
    versions,
    createdAt: textOf(fields['createdAt']),
    updatedAt: textOf(fields['updatedAt']),
    revision: countOf(fields['revision']),
  })
}

function versionOf(raw: unknown): StoredVersion {
  const { version, createdAt, kmsKeyVersion, destroyedAt } = fieldsOf(raw)
  return {
    version: countOf(version),
    createdAt: textOf(createdAt),
    ...(kmsKeyVersion !== undefined && { kmsKeyVersion: countOf(kmsKeyVersion) }),
    ...(destroyedAt !== undefined && { destroyedAt: textOf(destroyedAt) }),
  }
}

function fieldsOf(raw: unknown): Fields {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw) ? (raw as Fields) : wrong()
}

function listOf(raw: unknown): readonly unknown[] {
  return Array.isArray(raw) ? raw : wrong()
}

function textsOf(raw: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(fieldsOf(raw)).map(([name, value]) => [name, textOf(value)]))
}

function textOf(raw: unknown): string {
  return typeof raw === 'string' && raw !== '' ? raw : wrong()
}

function countOf(raw: unknown): number {
  return Number.isSafeInteger(raw) && Number(raw) >= 0 ? Number(raw) : wrong()
}

/** A part of a file name: nothing but what we make. */
function idOf(raw: unknown): string {
  return typeof raw === 'string' && /^[0-9a-f]{32}$/.test(raw) ? raw : wrong()
}

function wrong(): never {
  throw new SyntaxError('no such record')
}
