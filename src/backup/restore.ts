/** @node `restore`: a backup put in place, and the trail says so before anything else can use it. */
import { dirname, join } from 'node:path'
import { engine } from '#engine'
import { restoredNotice } from '../audit/binding.ts'
import { createAudit } from '../audit/emitter.ts'
import { equal, hex } from '../crypto/bytes.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import type { Reason } from '../model/context.ts'
import { KmsError } from '../model/errors.ts'
import type { Signer } from '../model/signer.ts'
import { type LocalKms, openLocalKms } from '../providers/local/open.ts'
import type { RootKeyOptions } from '../providers/local/root-key.ts'
import { type FileSystem, nodeFileSystem, readIfThere } from '../storage/filesystem.ts'
import { makePrivateFolder } from '../storage/private.ts'
import { openTrail } from '../trail/open.ts'
import { verifyTrail } from '../trail/verify/verify.ts'
import { type BackupFile, type Manifest, manifestName, parseManifest } from './manifest.ts'
import { type Staging, stage } from './staging.ts'

export interface RestoreOptions extends RootKeyOptions {
  /** A folder that `backup` made. */
  readonly from: string
  /** The folders to make for keystore and trail: they must not be there yet, or be empty. */
  readonly keys: string
  readonly audit: string
  /** Why what came after the backup is given up. Stands in the `audit.restored` entry. */
  readonly reason: Reason
  /** The trail's key, from elsewhere: the backup must be signed by it. Several for several instances. */
  readonly vkey?: string | readonly string[]
  /** What signs the trail, if that is not the keystore's own signer. */
  readonly signer?: Signer
  readonly allowFilesystem?: readonly string[]
  readonly clock?: Clock
  /** For fault tests. */
  readonly fs?: FileSystem
}

/**
 * Checks the backup's files and its trail, copies them, opens keystore and trail, and has `audit.restored` accepted by every
 * instance of the trail, before `keys` and `audit` appear. The root key is the one that the keystore had when the backup
 * was made. Keys are as they were then: versions made since are lost, and with them what they sealed. What versions of counted
 * types have sealed since is not counted: rotate those that are much used. Pins and witnesses
 * from after the backup say that the trail was rolled back, as it was.
 *
 * Errors: `INVALID_INPUT` (no reason, no backup there, a folder is taken, a wrong root key or signer), `INTERNAL` (the backup
 * is damaged, or its trail does not verify), `PROVIDER_UNAVAILABLE` (disk). Neither folder is there then; only a failure
 * between their last steps leaves one of them, `audit`: remove it, and begin again.
 *
 * @example
 * ```ts
 * await restore({ from: '/mnt/backup/2026-11-22', keys: './keys', audit: './audit', rootKeyFile, reason: { code: 'disk-lost' } })
 * ```
 */
export async function restore(options: RestoreOptions): Promise<Manifest> {
  checkOptions(options)
  const { fs = nodeFileSystem, from, keys, audit } = options
  const manifest = await readManifest(fs, from)
  const staged: Staging[] = []
  try {
    for (const target of [audit, keys]) {
      await makePrivateFolder(fs, dirname(target))
      staged.push(await stage(fs, target, 'restoring'))
    }
    const [trails, keystore] = staged
    if (trails === undefined || keystore === undefined) throw new KmsError('INTERNAL', 'two folders were to be made')
    for (const file of manifest.files) {
      const [top, ...rest] = file.path.split('/')
      await (top === 'keys' ? keystore : trails).put(rest.join('/'), await readFile(fs, from, file))
    }
    await verify(options, manifest, trails)
    await tell(options, manifest, { trails, keystore })
    // The trail first: keys without their trail would be used with another one.
    for (const one of staged) await one.place()
    return manifest
  } catch (error) {
    for (const one of staged) await one.remove()
    throw error
  }
}

function checkOptions(options: RestoreOptions): void {
  for (const name of ['from', 'keys', 'audit'] as const) {
    const path: unknown = options?.[name]
    if (typeof path !== 'string' || path === '')
      throw new KmsError('INVALID_INPUT', `restore needs '${name}', a folder`)
  }
  const code: unknown = options.reason?.code
  if (typeof code !== 'string' || code === '')
    throw new KmsError(
      'INVALID_INPUT',
      "restore needs a 'reason' with a code: what came after the backup is given up, and the trail says why",
    )
}

async function readManifest(fs: FileSystem, from: string): Promise<Manifest> {
  const bytes = await readIfThere(fs, join(from, manifestName))
  if (bytes === undefined) throw new KmsError('INVALID_INPUT', `${from} holds no ${manifestName}: it is no backup`)
  return parseManifest(bytes)
}

async function readFile(fs: FileSystem, from: string, { path, bytes, sha256 }: BackupFile): Promise<Uint8Array> {
  const found = await readIfThere(fs, join(from, ...path.split('/')))
  if (found === undefined) throw new KmsError('INTERNAL', `the backup is damaged: ${path} is missing`)
  if (found.length !== bytes || hex(engine.hash('sha256', found)) !== sha256)
    throw new KmsError('INTERNAL', `the backup is damaged: ${path} is not as it was written`)
  return found
}

/** Each instance, which must be one that the manifest tells, and as it does. */
async function verify(options: RestoreOptions, manifest: Manifest, to: Staging): Promise<void> {
  const { fs = nodeFileSystem, vkey } = options
  const { instances } = await verifyTrail(to.folder, { fs, ...(vkey !== undefined && { vkey }) })
  for (const { instance, verdict, problem, size, root } of instances) {
    if (verdict !== 'valid')
      throw new KmsError('INTERNAL', `the trail '${instance}' in the backup is ${verdict}: ${problem}`)
    const told = manifest.trails.find((trail) => trail.instance === instance)
    if (told === undefined || told.size !== size || !equal(told.root, root)) throw otherTrails()
  }
  if (instances.length !== manifest.trails.length) throw otherTrails()
}

function otherTrails(): KmsError {
  return new KmsError('INTERNAL', `the backup is damaged: its trails are not those that ${manifestName} tells`)
}

interface Staged {
  readonly trails: Staging
  readonly keystore: Staging
}

/** Opens both, which shows that they are whole and that the root key is the right one, and has the entry accepted. */
async function tell(options: RestoreOptions, manifest: Manifest, { trails, keystore }: Staged): Promise<void> {
  const { rootKey, rootKeyFile, passphrase, rootKeyFrom, allowFilesystem = [], clock = systemClock } = options
  const { fs = nodeFileSystem } = options
  const shared = { allowFilesystem, clock, fs }
  const local = await openLocalKms({
    path: keystore.folder,
    ...(rootKey !== undefined && { rootKey }),
    ...(rootKeyFile !== undefined && { rootKeyFile }),
    ...(passphrase !== undefined && { passphrase }),
    ...(rootKeyFrom !== undefined && { rootKeyFrom }),
    ...shared,
  })
  // The audit's own timers let a process end that has nothing else to do, and here it has to wait for a sick disk.
  const awake = setInterval(() => undefined, 1000)
  try {
    for (const { instance } of manifest.trails)
      await tellOne(options, local, { ...shared, path: trails.folder, instance })
  } finally {
    clearInterval(awake)
    await local.close()
  }
}

interface Instance {
  readonly path: string
  readonly instance: string
  readonly allowFilesystem: readonly string[]
  readonly clock: Clock
  readonly fs: FileSystem
}

async function tellOne({ signer, reason }: RestoreOptions, local: LocalKms, where: Instance): Promise<void> {
  const trail = await openTrail({ ...where, signer: signer ?? local.auditSigner() })
  const audit = createAudit({ required: [trail], clock: where.clock, instance: 'restore' })
  try {
    const binding = local.binding()
    if (binding === undefined) throw new KmsError('INTERNAL', 'the restored keystore is open read-only')
    const { code, ticket } = reason
    const said = { code, ...(ticket !== undefined && { ticket }) }
    await audit.log.note(await restoredNotice({ binding, ledgers: audit.ledgers() }, said))
  } finally {
    await audit.close()
  }
}
