/** `backup.json`: what a backup holds. It tells damage; that nobody forged it is for the trail's signatures to show. */
import { fromBase64, fromUtf8, toBase64, utf8 } from '../crypto/bytes.ts'
import { KmsError } from '../model/errors.ts'

export const manifestName = 'backup.json'
const format = 'keytrail-backup/1'

export interface BackupFile {
  /** `keys/…` or `audit/<instance>/…`, with `/` between. */
  readonly path: string
  readonly bytes: number
  /** Hexadecimal. */
  readonly sha256: string
}

/** One instance of the trail, as it was when it was copied. */
export interface BackupTrail {
  readonly instance: string
  readonly origin: string
  /** Entries. */
  readonly size: bigint
  /** RFC 6962 root over them, 32 bytes. */
  readonly root: Uint8Array
}

export interface Manifest {
  /** RFC 3339, UTC. */
  readonly createdAt: string
  /** Of the keystore. */
  readonly generation: number
  readonly trails: readonly BackupTrail[]
  readonly files: readonly BackupFile[]
}

export function formatManifest({ createdAt, generation, trails, files }: Manifest): Uint8Array {
  const told = trails.map(({ size, root, ...trail }) => ({ ...trail, size: String(size), root: toBase64(root) }))
  return utf8(`${JSON.stringify({ format, createdAt, generation, trails: told, files }, undefined, 2)}\n`)
}

/** Errors: `INVALID_INPUT` for anything but a manifest, also for one whose paths lead out of the backup. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const { format: found, createdAt, generation, trails, files } = fieldsOf(json(fromUtf8(bytes) ?? ''))
  if (found !== format) throw noManifest(`its format is not ${format}`)
  if (typeof createdAt !== 'string' || !isCount(generation) || !Array.isArray(trails) || !Array.isArray(files))
    throw noManifest('a field is missing')
  return { createdAt, generation, trails: trails.map(trailOf), files: files.map(fileOf) }
}

function trailOf(value: unknown): BackupTrail {
  const { instance, origin, size, root } = fieldsOf(value)
  const rootBytes = typeof root === 'string' ? fromBase64(root) : undefined
  const isWhole = typeof instance === 'string' && typeof origin === 'string' && rootBytes?.length === 32
  if (!isWhole || !/^(?:0|[1-9]\d{0,18})$/.test(String(size))) throw noManifest('a trail is not told as it should be')
  return { instance, origin, size: BigInt(String(size)), root: rootBytes }
}

function fileOf(value: unknown): BackupFile {
  const { path, bytes, sha256 } = fieldsOf(value)
  if (typeof path !== 'string' || !isInside(path)) throw noManifest('a file is not where a backup has its files')
  if (!isCount(bytes) || typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256))
    throw noManifest('a file is not told as it should be')
  return { path, bytes, sha256 }
}

/** A hostile manifest must not make anyone write elsewhere. */
function isInside(path: string): boolean {
  const [top, ...rest] = path.split('/')
  const isPlain = (part: string) => part !== '' && part !== '.' && part !== '..' && !/[\\\0]/.test(part)
  return (top === 'keys' || top === 'audit') && rest.length > 0 && rest.every(isPlain)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw noManifest('it is no object')
  // Narrowed above; each field is looked at before it is used.
  return value as Readonly<Record<string, unknown>>
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) throw noManifest('it is no JSON')
    throw error
  }
}

function noManifest(why: string): KmsError {
  return new KmsError('INVALID_INPUT', `this is not a backup that this version can read: ${manifestName}: ${why}`)
}
