/** How keys and ciphertexts look on the wire: the platform's names, strings and numbers, field by field. */
import { fromBase64url, fromUtf8, toBase64url, utf8 } from '../../crypto/bytes.ts'
import { decodeCiphertext, encodeCiphertext, versionOf } from '../../crypto/frame.ts'
import { KmsError } from '../../model/errors.ts'
import type { Key } from '../../model/key.ts'

/** A key as the API tells it. `latestVersion`, `version` and `objectVersion` are numbers. */
export interface WireKey {
  readonly identity: string
  readonly name: string
  readonly slug: string
  readonly description?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly projectId?: string
  readonly keyType: string
  readonly status: string
  readonly exportAllowed: boolean
  readonly imported?: boolean
  readonly keyRotationEnabled: boolean
  readonly rotationPeriodInDays?: number
  readonly latestVersion: number
  readonly minDecryptionVersion?: number
  readonly versions: readonly { readonly version: number; readonly createdAt: string }[]
  readonly deletionScheduledAt?: string
  readonly createdAt: string
  readonly updatedAt: string
  readonly objectVersion: number
}

export function wireKey(key: Key): WireKey {
  return {
    identity: key.identity,
    name: key.name,
    slug: key.slug,
    ...(key.description !== undefined && { description: key.description }),
    ...(key.labels !== undefined && { labels: key.labels }),
    ...(key.annotations !== undefined && { annotations: key.annotations }),
    ...(key.projectId !== undefined && { projectId: key.projectId }),
    keyType: key.keyType,
    status: key.status,
    exportAllowed: key.exportAllowed,
    ...(key.imported !== undefined && { imported: key.imported }),
    keyRotationEnabled: key.keyRotationEnabled,
    ...(key.rotationPeriodInDays !== undefined && { rotationPeriodInDays: key.rotationPeriodInDays }),
    latestVersion: key.latestVersion,
    ...(key.minDecryptionVersion !== undefined && { minDecryptionVersion: key.minDecryptionVersion }),
    versions: key.versions.map(({ version, createdAt }) => ({ version, createdAt })),
    ...(key.deletionScheduledAt !== undefined && { deletionScheduledAt: key.deletionScheduledAt }),
    createdAt: key.createdAt,
    updatedAt: key.updatedAt,
    objectVersion: key.objectVersion,
  }
}

/** On the wire a version is a string. Some services do not tell theirs. */
export function wireVersion(keyVersion: number | undefined): { readonly keyVersion?: string } {
  return keyVersion === undefined ? {} : { keyVersion: String(keyVersion) }
}

// What a service of transit's kind gives is such a text already.
const ownText = /^vault:v[1-9]\d{0,9}:[A-Za-z0-9+/]+={0,2}$/

/**
 * `keytrail:v<version>:<base64url>` of the embedded KMS; the service's own text where it is one (`vault:v1:…`); else
 * `opaque:v<version>:<base64url>`, with version 0 where the service tells none.
 */
export function ciphertextText(ciphertext: Uint8Array, keyVersion: number | undefined): string {
  if (keyVersion !== undefined && versionOf(ciphertext) === keyVersion) return encodeCiphertext(ciphertext)
  const text = fromUtf8(ciphertext)
  if (text !== undefined && ownText.test(text)) return text
  return `opaque:v${keyVersion ?? 0}:${toBase64url(ciphertext)}`
}

/** The bytes that such a text stands for. @throws KmsError `INVALID_CIPHERTEXT`. */
export function ciphertextBytes(text: string): Uint8Array {
  if (ownText.test(text)) return utf8(text)
  const opaque = /^opaque:v\d{1,10}:([A-Za-z0-9_-]+)$/.exec(text)?.[1]
  const bytes = opaque === undefined ? frameIn(text) : fromBase64url(opaque)
  if (bytes !== undefined) return bytes
  throw new KmsError('INVALID_CIPHERTEXT', 'not a ciphertext', { evidence: { decryptFailure: 'malformed' } })
}

function frameIn(text: string): Uint8Array | undefined {
  try {
    return decodeCiphertext(text)
  } catch (error) {
    if (error instanceof KmsError && error.code === 'INVALID_CIPHERTEXT') return undefined
    throw error
  }
}
