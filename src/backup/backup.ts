/** @node `backup`: keystore and trail as they were at one moment, in a folder of their own. */
import { basename, join } from 'node:path'
import { engine } from '#engine'
import { type Clock, systemClock } from '../model/clock.ts'
import { KmsError } from '../model/errors.ts'
import { readHeader } from '../providers/local/file.ts'
import { newestNumber, readNewest } from '../providers/local/generations.ts'
import { usageFileName } from '../providers/local/usage-file.ts'
import { type FileSystem, nodeFileSystem, readIfThere } from '../storage/filesystem.ts'
import { findInstances } from '../trail/layout.ts'
import { verifyTrail } from '../trail/verify/verify.ts'
import { copyTrail, type TrailCopy, type TrailTip } from './copy-trail.ts'
import { type BackupFile, type BackupTrail, formatManifest, type Manifest, manifestName } from './manifest.ts'
import { type Staging, stage } from './staging.ts'

export interface BackupOptions {
  /** The keystore's folder. */
  readonly keys: string
  /** The trail's folder: the parent of its instances, or one instance. */
  readonly audit: string
  /** The folder to make. It must not be there yet, or be empty. */
  readonly out: string
  /** The trail's key, from elsewhere: the copy must be signed by it. Several for several instances. */
  readonly vkey?: string | readonly string[]
  readonly clock?: Clock
  /** For fault tests. */
  readonly fs?: FileSystem
}

const rounds = 10
/** Only the ends of the trails are read in one, so a change rarely falls between. */
const moments = 100

/**
 * Copies the newest generation of the keystore, its usage counts and every instance of the trail to `out/keys` and `out/audit`, while others
 * may write to both; verifies the copied trail; and lists every file with its hash in `out/backup.json`. `out` appears when
 * all of that is done and on the disk. No root key is needed: the keystore stays sealed, and whoever restores it needs the
 * root key that it has now, also if that is changed afterwards. Archives of pruned entries are not copied.
 *
 * The pair is of one moment: no change of the keystore lies between the two copies. The last batch in the copy may not have
 * been synced in the original yet: if the machine loses power in that moment, the two part there.
 *
 * Errors: `INVALID_INPUT` (no keystore or trail there, `out` is taken), `INTERNAL` (the keystore is damaged, the copied
 * trail does not verify), `PROVIDER_UNAVAILABLE` (disk; or changes kept coming faster than even the newest segment could be read).
 * Nothing is left at `out` then.
 *
 * @example
 * ```ts
 * await backup({ keys: './keys', audit: './audit', out: '/mnt/backup/2026-11-22' })
 * ```
 */
export async function backup(options: BackupOptions): Promise<Manifest> {
  checkOptions(options)
  const { fs = nodeFileSystem, clock = systemClock, out } = options
  for (let round = 0; round < rounds; round++) {
    const to = await stage(fs, out, 'partial')
    try {
      const copied = await copyPair(fs, options, to)
      if (copied !== undefined) {
        const trails = await verified(fs, options, to)
        const manifest = { createdAt: new Date(clock.now()).toISOString(), ...copied, trails }
        await to.put(manifestName, formatManifest(manifest))
        await to.place()
        return manifest
      }
    } catch (error) {
      await to.remove()
      throw error
    }
    await to.remove()
  }
  throw new KmsError(
    'PROVIDER_UNAVAILABLE',
    'keystore and trail changed all the time while they were copied: try again',
  )
}

function checkOptions(options: BackupOptions): void {
  for (const name of ['keys', 'audit', 'out'] as const) {
    const path: unknown = options?.[name]
    if (typeof path !== 'string' || path === '') throw new KmsError('INVALID_INPUT', `backup needs '${name}', a folder`)
  }
}

/** Undefined when the pair was never of one moment, or a trail changed otherwise than by growing. */
async function copyPair(
  fs: FileSystem,
  { keys, audit }: BackupOptions,
  to: Staging,
): Promise<{ readonly generation: number; readonly files: readonly BackupFile[] } | undefined> {
  const copies: TrailCopy[] = []
  for (const instance of await findInstances(fs, audit)) {
    const copy = await copyTrail({ fs, instance, to })
    if (copy === undefined) return undefined
    copies.push(copy)
  }
  for (let moment = 0; moment < moments; moment++) {
    // The keystore first: the trail that is read after it holds the intent of its last change.
    const newest = fs.status(keys)?.kind === 'folder' ? await readNewest(fs, keys) : undefined
    if (newest === undefined) throw new KmsError('INVALID_INPUT', `${keys} holds no keystore`)
    const { generation } = readHeader(engine, newest.bytes)
    const tips: TrailTip[] = []
    for (const copy of copies) {
      const tip = await copy.tip()
      if (tip === undefined) return undefined
      tips.push(tip)
    }
    // After the keystore: a usage file that knows less than the keystore would count too few.
    const usage = await readIfThere(fs, join(keys, usageFileName))
    if ((await newestNumber(fs, keys)) !== newest.number) continue
    const files = [await to.put(`keys/${basename(newest.path)}`, newest.bytes)]
    if (usage !== undefined) files.push(await to.put(`keys/${usageFileName}`, usage))
    for (const tip of tips) for (const file of await tip.put()) files.push(file)
    return { generation, files }
  }
  return undefined
}

async function verified(fs: FileSystem, { vkey }: BackupOptions, to: Staging): Promise<readonly BackupTrail[]> {
  const { instances } = await verifyTrail(`${to.folder}/audit`, { fs, ...(vkey !== undefined && { vkey }) })
  return instances.map(({ instance, verdict, problem, origin = '', size, root }) => {
    if (verdict === 'valid') return { instance, origin, size, root }
    throw new KmsError('INTERNAL', `the copy of the trail '${instance}' is ${verdict}: ${problem}: verify the original`)
  })
}
