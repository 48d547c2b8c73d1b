/** Moving house: a transit key with all of its versions becomes a key of the embedded KMS, call by audited call. */
import type { KmsClient } from '../../client.ts'
import { wipe } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import type { Key } from '../../model/key.ts'
import { readTransitBackup, type TransitBackup, type TransitBackupVersion } from './read.ts'

export interface ImportTransitBackupOptions {
  /** What `transit/backup/:name` answered, or what {@link readTransitBackup} made of it, which is then left to its owner. */
  readonly backup: string | TransitBackup
  /** By default the key's name in Vault, if that is a slug. */
  readonly slug?: string
  readonly name?: string
  readonly description?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Besides `vault-transit-name`, `vault-transit-version` and `vault-transit-created`, by which an import is taken up again. */
  readonly annotations?: Readonly<Record<string, string>>
  /** Whether the key material may leave again by `export`. */
  readonly exportAllowed?: boolean
}

export interface ImportedTransitBackup {
  /** As it is now. */
  readonly key: Key
  /** Versions that this import brought, in the order in which it did. */
  readonly imported: readonly number[]
  /** Versions that an earlier import had brought. */
  readonly existing: readonly number[]
}

/**
 * Imports every version of a transit key, archived ones and those below its `min_decryption_version` too, which becomes the key's
 * `minDecryptionVersion`. The key then decrypts, verifies and re-encrypts what Vault or OpenBao made with it, and makes nothing.
 *
 * Each version is a call of its own with its own entries. What was cut off is taken up by the same call again; a later backup of the
 * same key brings the versions that are new in it. A slug that another key has is `KEY_EXISTS`. What `backup` holds that cannot be
 * moved is `INVALID_INPUT`, before anything is imported.
 *
 * @example
 * ```ts
 * const { key } = await importTransitBackup(kms, { backup, slug: 'orders-vault' })
 * await kms.createKey({ slug: 'orders' })
 * const { ciphertext } = await kms.reEncrypt({
 *   key: 'orders-vault',
 *   ciphertext: new TextEncoder().encode('vault:v1:…'),
 *   destinationKey: 'orders',
 * })
 * ```
 */
export async function importTransitBackup(
  kms: KmsClient,
  options: ImportTransitBackupOptions,
): Promise<ImportedTransitBackup> {
  const { backup } = options
  if (typeof backup === 'object' && backup !== null) return imported(kms, backup, options)
  const read = readTransitBackup(backup)
  try {
    return await imported(kms, read, options)
  } finally {
    read.wipe()
  }
}

async function imported(
  kms: KmsClient,
  backup: TransitBackup,
  options: ImportTransitBackupOptions,
): Promise<ImportedTransitBackup> {
  const first = await founded(kms, backup, options)
  const has = new Set(first.key.versions.map(({ version }) => version))
  const missing = backup.versions.filter(({ version }) => !has.has(version)).reverse()
  const brought = first.isNew ? [backup.latestVersion] : []
  const { identity } = first.key
  let { key } = first

  async function bring(versions: readonly TransitBackupVersion[]): Promise<void> {
    for (const one of versions) {
      key = await withMaterial(one, async (keyMaterial) => {
        const output = await kms.importKeyVersion({ key: identity, keyVersion: one.version, keyMaterial })
        return output.key
      })
      brought.push(one.version)
    }
  }

  // First what the least may name, then the least, then what may be below it: at no time is a version used that Vault refuses.
  await bring(missing.filter(({ version }) => version >= backup.minDecryptionVersion))
  if ((key.minDecryptionVersion ?? 1) < backup.minDecryptionVersion) {
    const { minDecryptionVersion } = backup
    key = (await kms.updateMinDecryptionVersion({ key: identity, minDecryptionVersion })).key
  }
  await bring(missing.filter(({ version }) => version < backup.minDecryptionVersion))
  return { key, imported: brought, existing: [...has].filter((version) => !brought.includes(version)) }
}

interface Founded {
  readonly key: Key
  readonly isNew: boolean
}

/** The key with the backup's latest version, or the one that an earlier import has made. */
async function founded(
  kms: KmsClient,
  backup: TransitBackup,
  { backup: _backup, annotations, slug = slugOf(backup), ...described }: ImportTransitBackupOptions,
): Promise<Founded> {
  const latest = versionOf(backup, backup.latestVersion)
  try {
    const key = await withMaterial(latest, async (keyMaterial) => {
      const output = await kms.importKey({
        ...described,
        slug,
        annotations: { ...annotations, ...origin(backup, latest) },
        keyType: backup.keyType,
        keyMaterial,
        keyVersion: latest.version,
        // For a later backup: it never rotates here.
        allowRotation: true,
      })
      return output.key
    })
    return { key, isNew: true }
  } catch (error) {
    if (!(error instanceof KmsError) || error.code !== 'KEY_EXISTS') throw error
    const key = await existing(kms, slug, error)
    if (isOf(backup, key)) return { key, isNew: false }
    throw new KmsError('KEY_EXISTS', 'the key with this slug is not of this backup: give another slug', { key: slug })
  }
}

/** `refusal`, if there is none: the slug was a destroyed key's. */
async function existing(kms: KmsClient, slug: string, refusal: KmsError): Promise<Key> {
  try {
    return (await kms.describeKey({ key: slug })).key
  } catch (error) {
    throw error instanceof KmsError && error.code === 'KEY_NOT_FOUND' ? refusal : error
  }
}

const annotated = {
  name: 'vault-transit-name',
  version: 'vault-transit-version',
  created: 'vault-transit-created',
} as const

/** Where the key came from: its name there, and when the version that came first was made, to the nanosecond. */
function origin(
  { name }: TransitBackup,
  { version, createdAt }: TransitBackupVersion,
): Readonly<Record<string, string>> {
  return { [annotated.name]: name, [annotated.version]: String(version), [annotated.created]: createdAt }
}

/** Whether the backup is of the key that an earlier one made this key of. */
function isOf(backup: TransitBackup, { keyType, annotations = {} }: Key): boolean {
  const first = backup.versions.find(({ version }) => String(version) === annotations[annotated.version])
  if (first === undefined || keyType !== backup.keyType) return false
  return Object.entries(origin(backup, first)).every(([name, text]) => annotations[name] === text)
}

function slugOf({ name }: TransitBackup): string {
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(name) && !name.startsWith('kms-')) return name
  throw new KmsError('INVALID_INPUT', "the key's name in Vault is no slug: give a slug")
}

function versionOf({ versions }: TransitBackup, wanted: number): TransitBackupVersion {
  const found = versions.find(({ version }) => version === wanted)
  if (found === undefined) throw new KmsError('INVALID_INPUT', 'the backup lacks its latest version')
  return found
}

async function withMaterial<T>(
  version: TransitBackupVersion,
  use: (keyMaterial: Uint8Array) => Promise<T>,
): Promise<T> {
  const keyMaterial = version.keyMaterial()
  try {
    return await use(keyMaterial)
  } finally {
    wipe(keyMaterial)
  }
}
