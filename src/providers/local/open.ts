/** @node Opens the embedded KMS: keys in a folder, sealed under a root key. */
import { resolve } from 'node:path'
import { engine as hostEngine } from '#engine'
import { wipe } from '../../crypto/bytes.ts'
import { type MlDsa, withMlDsa } from '../../crypto/engine.ts'
import { requireFips } from '../../crypto/fips.ts'
import { type Clock, systemClock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, fileError, nodeFileSystem } from '../../storage/filesystem.ts'
import { checkFilesystem, filesystemOf } from '../../storage/filesystem-type.ts'
import { acquireLock, type Lock } from '../../storage/lock.ts'
import { checkPrivate, makePrivateFolder } from '../../storage/private.ts'
import { type RootKey, readHeader, unsealKeystore } from './file.ts'
import { follow } from './follow.ts'
import { clearBelow, type Generation, generationWriter, readNewest } from './generations.ts'
import { openKeyring } from './keyring.ts'
import { type Keystore, newKeystore } from './keystore.ts'
import { type EmbeddedKms, embeddedKms } from './provider.ts'
import { type RootKeyOptions, type RootKeySource, rootKeySource } from './root-key.ts'
import { sealing } from './sealing.ts'
import { openUsage } from './usage.ts'
import { fileUsage, usageFile } from './usage-file.ts'

export interface OpenLocalKmsOptions extends RootKeyOptions {
  /** The keystore's folder, its own: made with mode 0700 unless it is there. */
  readonly path: string
  /**
   * Use keys that another process manages: takes no lock, changes nothing, and is never more than half a second behind.
   * The keystore must exist. What is sealed here is counted by this process alone, beginning with what the keystore
   * remembers: with several that seal under one key of a counted type, rotate it in good time.
   */
  readonly readOnly?: boolean
  /** Take the lock of a holder on another host that is gone for sure. */
  readonly takeOver?: boolean
  /** Names of file systems to allow although they forget (`tmpfs`) or are shared (`nfs` …). */
  readonly allowFilesystem?: readonly string[]
  /**
   * Only the node engine with OpenSSL's FIPS provider (`crypto.getFips() === 1`), only algorithms that FIPS 140-3 approves, no
   * passphrase and no `prehashed`; everything else is `UNSUPPORTED_OPERATION`, here or at the call. Not a validation: see
   * SECURITY.md. New keys are `aes256-gcm96` by default.
   */
  readonly fips?: boolean
  readonly clock?: Clock
  /** From `keytrail/ml-dsa`, for keys of the types `ml-dsa-44`, `ml-dsa-65` and `ml-dsa-87`. */
  readonly mlDsa?: MlDsa
  /** For fault tests. */
  readonly fs?: FileSystem
}

export interface LocalKms extends EmbeddedKms {
  readonly name: 'local'
  readonly facts: LocalKmsFacts
  /** What an operator should know, such as a folder that its group may read. */
  readonly warnings: readonly string[]
}

export interface LocalKmsFacts {
  /** Absolute. */
  readonly path: string
  /** Such as `ext4`. */
  readonly filesystem: string
  readonly readOnly: boolean
  /** Whether only approved algorithms are allowed. */
  readonly fips: boolean
}

/**
 * Opens the keystore in `path`, or makes a new one there.
 *
 * Errors: `UNSUPPORTED_OPERATION` (`fips` where it cannot be kept), `INVALID_INPUT` (options, a wrong root key or passphrase, open modes, a file system that is not allowed),
 * `LOCKED` (another process, or this one, has it open), `INTERNAL` (damage: the newest generation is never silently
 * replaced by the one before), `PROVIDER_UNAVAILABLE` (the disk).
 *
 * @example
 * ```ts
 * const local = await openLocalKms({ path: './keys', rootKeyFile: '/run/secrets/root.key' })
 * const kms = new KmsClient({ provider: local, … })
 * ```
 */
export async function openLocalKms(options: OpenLocalKmsOptions): Promise<LocalKms> {
  if (options?.fips) checkFips(options)
  const place = await placeOf(options)
  const lock = place.readOnly ? undefined : await acquireLock(place.fs, place.folder, place.lockOptions)
  try {
    return await openPlace(place, lock, options)
  } catch (error) {
    // What went wrong first tells more than a lock that cannot be given back, which ends with this process anyway.
    await lock?.release().catch(() => undefined)
    throw error
  }
}

function checkFips({ passphrase }: OpenLocalKmsOptions): void {
  requireFips(hostEngine)
  if (passphrase !== undefined)
    throw new KmsError(
      'UNSUPPORTED_OPERATION',
      'scrypt is not approved: in FIPS mode give a root key, not a passphrase',
    )
}

/** The folder, checked. */
interface Place {
  readonly fs: FileSystem
  readonly folder: string
  readonly readOnly: boolean
  readonly filesystem: string
  readonly clock: Clock
  readonly warnings: readonly string[]
  readonly lockOptions: { readonly takeOver: boolean; readonly clock: Clock }
}

async function placeOf(options: OpenLocalKmsOptions): Promise<Place> {
  if (typeof options !== 'object' || options === null || typeof options.path !== 'string' || options.path === '')
    throw new KmsError('INVALID_INPUT', "openLocalKms needs 'path', the keystore's folder")
  const { fs = nodeFileSystem, clock = systemClock, readOnly = false, takeOver = false } = options
  const folder = resolve(options.path)
  if (!readOnly) await makePrivateFolder(fs, folder)
  const open = checkPrivate(fs, folder)
  const filesystem = await filesystemOf(fs, folder)
  const { warning } = checkFilesystem(filesystem, options.allowFilesystem)
  const warnings = [open, warning].filter((text) => text !== undefined)
  return { fs, folder, readOnly, filesystem, clock, warnings, lockOptions: { takeOver, clock } }
}

async function openPlace(place: Place, lock: Lock | undefined, options: OpenLocalKmsOptions): Promise<LocalKms> {
  const { fs, folder, readOnly, filesystem, clock } = place
  const { fips = false } = options
  const engine = withMlDsa(hostEngine, options.mlDsa)
  const source = await rootKeySource({ engine, fs, folder }, options)
  try {
    const newest = await readNewest(fs, folder)
    if (newest === undefined && readOnly)
      throw new KmsError('INVALID_INPUT', `${folder} holds no keystore to open read-only`)
    const { root, keystore } = newest === undefined ? await fresh(source) : await unsealed(source, newest)
    const writer = lock === undefined ? undefined : generationWriter(fs, folder, lock)
    const sealed = writer && sealing({ place: { engine, fs, folder }, writer, root })
    if (newest === undefined) await sealed?.persist({ keystore })
    else if (sealed !== undefined) await clearForGood(fs, folder, newest.number)
    const counts = lock && usageFile({ engine, fs, folder, lock, keystore })
    const { usage, warnings } = counts
      ? await fileUsage(keystore, counts)
      : { usage: openUsage({ keystore }), warnings: [] }
    const keyring = openKeyring(engine, keystore, { usage, fips })
    const provider = embeddedKms({
      name: 'local',
      engine,
      keyring,
      usage,
      clock,
      fips,
      ...(sealed === undefined
        ? { catchUp: follow({ engine, fs, folder, root, keyring, clock }) }
        : { persist: sealed.persist }),
      async release() {
        wipe(root.key)
        sealed?.wipe()
        counts?.wipe()
        await lock?.release()
      },
    })
    return Object.freeze({
      ...provider,
      name: 'local',
      facts: Object.freeze({ path: folder, filesystem, readOnly, fips }),
      warnings: Object.freeze([
        ...place.warnings,
        ...source.warnings,
        ...(newest?.warning ? [newest.warning] : []),
        ...warnings,
      ]),
    })
  } finally {
    source.wipe()
  }
}

/** A process may have died between a change that purges and the purge: what it left must not come back after a power cut. */
async function clearForGood(fs: FileSystem, folder: string, number: number): Promise<void> {
  await clearBelow(fs, folder, number)
  await fs.syncFolder(folder).catch((error) => {
    throw fileError('sync', folder, error)
  })
}

interface Unsealed {
  readonly root: RootKey
  readonly keystore: Keystore
}

async function fresh(source: RootKeySource): Promise<Unsealed> {
  return { root: await source.create(), keystore: newKeystore(hostEngine) }
}

async function unsealed(source: RootKeySource, { bytes, number, path }: Generation): Promise<Unsealed> {
  const { kdf, generation } = readHeader(hostEngine, bytes)
  if (generation !== number)
    throw new KmsError('INTERNAL', `keystore is damaged: ${path} holds generation ${generation}`)
  const root = await source.open(kdf)
  return { root, keystore: unsealKeystore(hostEngine, root, bytes) }
}
