/** A key backup of Vault's or OpenBao's transit engine, read: which versions it holds, and their key material. */
import { engine } from '#engine'
import { equal, fromBase64, fromUtf8, wipe } from '../../crypto/bytes.ts'
import { everyAlgorithm } from '../../crypto/every-algorithm.ts'
import { encodeTransitVersion, type TransitDerivation, transitKinds } from '../../crypto/transit-material.ts'
import { KmsError } from '../../model/errors.ts'
import type { TransitKeyType } from '../../model/key.ts'
import { type Fields, fieldsOf, parseGoJson, refusal } from './go-json.ts'
import { type KeyEntry, keyOf, readEntry, secretIn } from './key-entry.ts'

/** A backup as it was read. Its keys are behind functions: it can be shown and logged. */
export interface TransitBackup {
  /** The key's name in Vault. */
  readonly name: string
  readonly keyType: TransitKeyType
  readonly latestVersion: number
  /** At least 1. */
  readonly minDecryptionVersion: number
  /** Oldest first, archived ones too. Numbers may be missing: Vault can trim a key. */
  readonly versions: readonly TransitBackupVersion[]
  /** Forgets the keys. Strings that they were read from are beyond JavaScript's reach. */
  wipe(): void
}

export interface TransitBackupVersion {
  readonly version: number
  /** As the backup says it. */
  readonly createdAt: string
  /** A copy of its key material, in the form that `importKey` takes for `keyType`; the caller wipes it. `CLOSED` after `wipe`. */
  keyMaterial(): Uint8Array
}

/** Far more than a key of a thousand versions. */
const longest = 64 * 1024 * 1024

/**
 * Reads what `transit/backup/:name` answers in `data.backup`: base64 of the key's policy and of its archive. **It holds every
 * version of the key in the clear.**
 *
 * What does not fit is `INVALID_INPUT` that names the field, never a value: managed keys, public keys alone, key types that are
 * not known here, version templates of one's own, and fields of a newer Vault that are not empty.
 */
export function readTransitBackup(backup: string): TransitBackup {
  if (typeof backup !== 'string' || backup.length > longest) throw refusal('backup', 'is no text of at most 64 MiB')
  const json = fromBase64(backup)
  if (json === undefined) throw refusal('backup', "is no base64: give the text of 'data.backup' as it is")
  const text = fromUtf8(json)
  wipe(json)
  const all = parseGoJson(text ?? '', 'backup')
  const policy = all.fields('policy')
  const archive = all.has('archived_keys') ? all.fields('archived_keys') : undefined
  all.end()
  const facts = policyFacts(policy)
  const entries = entriesOf(policy, archive, facts)
  try {
    const keyType = keyTypeOf(policy, [...entries.values()])
    policy.end()
    archive?.end()
    return opened(facts, keyType, entries)
  } finally {
    for (const { key, hmacKey } of entries.values()) wipe(key, hmacKey)
  }
}

interface PolicyFacts {
  readonly name: string
  readonly latest: number
  readonly least: number
  readonly derivation: TransitDerivation
  readonly isConvergent: boolean
  readonly convergent: number
  readonly archivedFrom: number
}

function policyFacts(policy: Fields): PolicyFacts {
  policy.ignore('exportable', 'min_encryption_version', 'archive_version', 'min_available_version', 'deletion_allowed')
  policy.ignore('backup_info', 'restore_info', 'allow_plaintext_backup', 'storage_prefix', 'auto_rotate_period')
  policy.ignore('Imported', 'AllowImportedKeyRotation', 'public_key_imported')
  if (policy.text('managed_key_name') !== '')
    throw refusal(policy.path, 'is of a managed key: it stays where it is, and the backup does not hold it')
  if (policy.flag('soft_deleted')) throw refusal(policy.path, 'is of a key that was deleted softly: restore it first')
  if (policy.bytes('key').length > 0)
    throw refusal(policy.path, 'is of a Vault that knew no versions yet: restore it into a newer one, and back that up')
  if (!['', 'vault:v{{version}}:'].includes(policy.text('version_template')))
    throw refusal(`${policy.path}.version_template`, "is not Vault's own: such ciphertexts are not read")
  const [latest, least] = [policy.count('latest_version'), Math.max(1, policy.count('min_decryption_version'))]
  if (latest < 1 || least > latest)
    throw refusal(policy.path, 'has no latest_version, or a min_decryption_version above it')
  const kdf = policy.count('kdf')
  if (kdf !== 0 && kdf !== 1) throw refusal(`${policy.path}.kdf`, 'is not 0 or 1')
  return {
    name: policy.text('name'),
    latest,
    least,
    derivation: !policy.flag('derived') ? 'none' : kdf === 1 ? 'hkdf' : 'counter',
    isConvergent: policy.flag('convergent_encryption'),
    convergent: policy.count('convergent_version'),
    archivedFrom: policy.count('archive_min_version'),
  }
}

/** By version, oldest first. Where a version stands in both places, what the policy has is the newer copy. */
function entriesOf(policy: Fields, archive: Fields | undefined, facts: PolicyFacts): ReadonlyMap<number, KeyEntry> {
  const current = policy.fields('keys')
  const found = new Map<number, Fields>()
  for (const name of current.names()) {
    if (!/^[1-9]\d{0,9}$/.test(name)) throw refusal(current.path, 'has a name that is no version')
    found.set(knownVersion(Number(name), facts), current.fields(name))
  }
  if (!found.has(facts.latest)) throw refusal(current.path, 'lacks the latest version')
  for (const [index, value] of archive?.list('keys').entries() ?? []) {
    const archived = fieldsOf(value, `backup.archived_keys.keys[${index}]`)
    const secret = secretIn(archived)
    if (secret === '') continue
    const version = knownVersion(facts.archivedFrom + index, facts)
    const newer = found.get(version)
    if (newer !== undefined && secretIn(newer) !== secret)
      throw refusal(archived.path, `is not the key that the policy has as version ${version}: the backup is damaged`)
    if (newer === undefined) found.set(version, archived)
  }
  const sorted = [...found].sort(([a], [b]) => a - b)
  return new Map(sorted.map(([version, fields]) => [version, readEntry(fields)]))
}

function knownVersion(version: number, { latest }: PolicyFacts): number {
  if (version >= 1 && version <= latest) return version
  throw refusal('backup', `holds a version ${version}, which is not from 1 to latest_version`)
}

/** By number, as both have them; Vault and OpenBao part at 10. */
const types: readonly TransitKeyType[] = [
  'transit-aes256-gcm96',
  'transit-ecdsa-p256',
  'transit-ed25519',
  'transit-rsa-2048',
  'transit-rsa-4096',
  'transit-chacha20-poly1305',
  'transit-ecdsa-p384',
  'transit-ecdsa-p521',
  'transit-aes128-gcm96',
  'transit-rsa-3072',
]
const vaultManagedOrBaoHmac = 10
const vaultHmacOrBaoXchacha = 11

function keyTypeOf(policy: Fields, entries: readonly KeyEntry[]): TransitKeyType {
  const type = policy.count('type')
  const known = types[type]
  const sized = policy.count('key_size') > 0
  if (known !== undefined) return known
  // Both write an HMAC key in both places, and give every other type an HMAC key of its own.
  const isHmac = ({ key, hmacKey }: KeyEntry) => equal(key, hmacKey)
  if ((type === vaultManagedOrBaoHmac || type === vaultHmacOrBaoXchacha) && entries.every(isHmac)) return 'transit-hmac'
  if (type === vaultHmacOrBaoXchacha && !sized && !entries.some(isHmac)) return 'transit-xchacha20-poly1305'
  throw refusal(
    `${policy.path}.type`,
    `is ${type}, a key type that is not taken: leave such a key where it is, and make a new one for what comes`,
  )
}

function opened(facts: PolicyFacts, keyType: TransitKeyType, entries: ReadonlyMap<number, KeyEntry>): TransitBackup {
  const materials = new Map<number, Uint8Array>()
  try {
    for (const [version, entry] of entries) materials.set(version, materialOf(facts, keyType, entry))
  } catch (error) {
    wipe(...materials.values())
    throw error
  }

  function keyMaterial(version: number): Uint8Array {
    const material = materials.get(version)
    if (material === undefined) throw new KmsError('CLOSED', 'this backup was wiped: read it again')
    return material.slice()
  }

  return {
    name: facts.name,
    keyType,
    latestVersion: facts.latest,
    minDecryptionVersion: facts.least,
    versions: [...entries].map(([version, { createdAt }]) => ({
      version,
      createdAt,
      keyMaterial: () => keyMaterial(version),
    })),
    wipe() {
      wipe(...materials.values())
      materials.clear()
    },
  }
}

function materialOf(facts: PolicyFacts, keyType: TransitKeyType, entry: KeyEntry): Uint8Array {
  const key = keyOf(engine, keyType, entry, facts.derivation !== 'none')
  const material = encodeTransitVersion({
    key,
    hmacKey: transitKinds[keyType].is === 'hmac' ? nothing : entry.hmacKey,
    derivation: facts.derivation,
    convergent: convergentOf(facts, entry),
  })
  wipe(key)
  if (everyAlgorithm[keyType].valid(material)) return material
  wipe(material)
  throw refusal(entry.fields.path, `is no version of a key of type ${keyType.slice('transit-'.length)}`)
}

const nothing = new Uint8Array(0)

/** The version's own, else the policy's, where −1 leaves it to the versions and 0 is older than the field. */
function convergentOf({ isConvergent, convergent }: PolicyFacts, entry: KeyEntry): number {
  if (!isConvergent) return 0
  if (entry.convergent > 0) return entry.convergent
  return convergent === -1 ? 3 : Math.max(1, convergent)
}
