/**
 * @node Secrets in a folder: one file a secret, one file a value.
 *
 * - `secrets/<SHA-256 of the path>.json`: all but the values; of a deleted secret, for a while, that it was deleted
 * - `values/<id>-<version>`: a ciphertext as it is
 *
 * A value is written before the record that names it, and removed after the record that does not, so that after a crash there may
 * be values that nobody names, and none that is missing. Opening removes the former.
 */
import { join, resolve } from 'node:path'
import { engine } from '#engine'
import { hex, utf8 } from '../../crypto/bytes.ts'
import { type Clock, systemClock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import {
  type FileSystem,
  fileError,
  listIfThere,
  nodeFileSystem,
  readIfThere,
  removeIfThere,
} from '../../storage/filesystem.ts'
import { checkFilesystem, filesystemOf } from '../../storage/filesystem-type.ts'
import { acquireLock, type Lock } from '../../storage/lock.ts'
import { checkPrivate, makePrivateFolder } from '../../storage/private.ts'
import { replaceFile } from '../../storage/replace.ts'
import type { SecretChange, SecretQuery, SecretStore, StoredSecret } from './store.ts'
import { bytesOf, type Filed, filedFrom } from './stored-line.ts'
import { createTurns } from './turns.ts'

export interface OpenSecretFilesOptions {
  /** The store's folder, its own: made with mode 0700 unless it is there. */
  readonly path: string
  /** In entries; `secret-files` by default. Give one where several stores write into one trail. */
  readonly name?: string
  /** Take the lock of a holder on another host that is gone for sure. */
  readonly takeOver?: boolean
  /** Names of file systems to allow although they forget (`tmpfs`) or are shared (`nfs` …). */
  readonly allowFilesystem?: readonly string[]
  readonly clock?: Clock
  /** For fault tests. */
  readonly fs?: FileSystem
}

export interface SecretFiles extends SecretStore {
  /** What an operator should know, such as a folder that its group may read. */
  readonly warnings: readonly string[]
  close(): Promise<void>
}

/**
 * Opens the secrets in `path`, or begins there. One writer at a time. Every change is durable when it resolves; what is
 * destroyed or deleted is removed from the folder by then.
 *
 * Errors: `INVALID_INPUT` (options, open modes, a file system that is not allowed), `LOCKED` (another process, or this one, has
 * it open), `INTERNAL` (a file that is damaged: none is ever passed over), `PROVIDER_UNAVAILABLE` (the disk).
 *
 * @example
 * ```ts
 * const secrets = secretsManager({ kms, store: await openSecretFiles({ path: './secrets' }) })
 * ```
 */
export async function openSecretFiles(options: OpenSecretFilesOptions): Promise<SecretFiles> {
  if (typeof options !== 'object' || options === null || typeof options.path !== 'string' || options.path === '')
    throw new KmsError('INVALID_INPUT', "openSecretFiles needs 'path', the store's folder")
  const { fs = nodeFileSystem, clock = systemClock, takeOver = false, name = 'secret-files' } = options
  const folder = resolve(options.path)
  await makePrivateFolder(fs, folder)
  const open = checkPrivate(fs, folder)
  const { warning } = checkFilesystem(await filesystemOf(fs, folder), options.allowFilesystem)
  const lock = await acquireLock(fs, folder, { takeOver, clock })
  try {
    const place = placeAt(fs, folder)
    await makePrivateFolder(fs, place.secrets)
    await makePrivateFolder(fs, place.values)
    const filed = await readAll(place)
    await clearValues(place, filed)
    const warnings = [open, warning].filter((text) => text !== undefined)
    return Object.freeze({ ...storeOf({ place, lock, name, filed }), warnings })
  } catch (error) {
    // What went wrong first tells more than a lock that cannot be given back, which ends with this process anyway.
    await lock.release().catch(() => undefined)
    throw error
  }
}

interface Place {
  readonly fs: FileSystem
  readonly folder: string
  readonly secrets: string
  readonly values: string
}

function placeAt(fs: FileSystem, folder: string): Place {
  return { fs, folder, secrets: join(folder, 'secrets'), values: join(folder, 'values') }
}

interface Opened {
  readonly place: Place
  readonly lock: Lock
  readonly name: string
  readonly filed: readonly Filed[]
}

function storeOf({ place, lock, name, filed }: Opened): SecretStore & { close(): Promise<void> } {
  const { fs, folder } = place
  const turn = createTurns()
  const paths = new Set(filed.filter(({ secret }) => secret !== undefined).map(({ path }) => path))
  // By path.
  const lastChanges = new Map(filed.map(({ path, operationID }) => [path, operationID]))
  // Before this opening: what is deleted from now on is told until the next.
  const deletedBefore = new Set(filed.filter(({ secret }) => secret === undefined).map(({ path }) => path))
  const pending = new Set<Promise<void>>()
  let sorted: readonly string[] | undefined
  let broken = false
  let closing: Promise<void> | undefined

  return {
    name,
    async read(path) {
      refuseIfClosed()
      return paths.has(path) ? (await load(place, path))?.secret : undefined
    },
    readValue({ id }, version) {
      refuseIfClosed()
      return readIfThere(fs, valuePath(place, id, version))
    },
    async write(change) {
      const writing = turn(change.path, () => write(change))
      pending.add(writing)
      await writing.finally(() => pending.delete(writing))
    },
    async list({ prefix, after, limit }) {
      refuseIfClosed()
      sorted ??= [...paths].sort()
      // What changes meanwhile is sorted anew for others, and this goes on with what it has.
      const all = sorted
      const found: StoredSecret[] = []
      for (let at = placeOf(all, { prefix, after }); found.length < limit; at++) {
        const path = all[at]
        if (path === undefined || !path.startsWith(prefix)) break
        const { secret } = (await load(place, path)) ?? {}
        // Deleted since it was listed.
        if (secret !== undefined) found.push(secret)
      }
      return found
    },
    outcomeOf: (operationID) => ([...lastChanges.values()].includes(operationID) ? 'done' : 'not-done'),
    async forget() {
      for (const path of deletedBefore) await turn(path, () => forgetDeleted(path))
    },
    close() {
      // The lock is given back when the last of them is done.
      closing ??= Promise.allSettled(pending).then(() => lock.release())
      return closing
    },
  }

  function refuseIfClosed(): void {
    if (closing !== undefined) throw new KmsError('CLOSED', `${folder} is closed`)
  }

  async function write(change: SecretChange): Promise<void> {
    refuseIfClosed()
    if (broken) throw new KmsError('INTERNAL', `${folder}: an earlier change may not have been kept: open it again`)
    lock.check()
    const before = await load(place, change.path)
    if ((before?.secret?.revision ?? 0) !== change.expectRevision)
      throw new KmsError('VERSION_CONFLICT', 'the secret was changed meanwhile: look at it again')
    const { secret, path, operationID } = change
    const id = secret?.id ?? before?.id ?? ''
    if (secret !== undefined && change.value !== undefined)
      await keepValue(place, valuePath(place, id, secret.latestVersion), change.value)
    await settled(
      replaceFile(fs, recordPath(place, path), bytesOf({ path, id, operationID, ...(secret && { secret }) })),
    )
    note(change)
    await settled(removeValues(place, valuesGone(change, before)))
  }

  /** What may or may not have been done is for the next opening to see; until then nothing more is written. */
  async function settled(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      if (!(error instanceof KmsError && error.code === 'INTERNAL')) throw error
      broken = true
      throw new KmsError('INTERNAL', error.message, { cause: error.cause, evidence: { unsettled: true } })
    }
  }

  function note({ path, secret, operationID }: SecretChange): void {
    lastChanges.set(path, operationID)
    if (paths.has(path) !== (secret !== undefined)) sorted = undefined
    deletedBefore.delete(path)
    if (secret === undefined) paths.delete(path)
    else paths.add(path)
  }

  async function forgetDeleted(path: string): Promise<void> {
    refuseIfClosed()
    // Whoever has taken the folder over may have made it again.
    lock.check()
    // Made again while it waited.
    if (!deletedBefore.delete(path)) return
    await removeIfThere(fs, recordPath(place, path))
    lastChanges.delete(path)
  }
}

/** Where the paths begin that come after `after` and not before `prefix`. */
function placeOf(sorted: readonly string[], { prefix, after }: Pick<SecretQuery, 'prefix' | 'after'>): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const path = sorted[middle] ?? ''
    if (path <= after || path < prefix) low = middle + 1
    else high = middle
  }
  return low
}

/** Under a name that no record tells: what a crash left there was never part of a secret. */
async function keepValue({ fs }: Place, path: string, value: Uint8Array): Promise<void> {
  try {
    await replaceFile(fs, path, value)
  } catch (error) {
    // Whether or not it is there, no record names it: nothing was changed.
    throw error instanceof KmsError && error.code === 'INTERNAL' ? fileError('write', path, error.cause) : error
  }
}

function valuesGone({ secret, destroys }: SecretChange, before: Filed | undefined): readonly string[] {
  if (before?.secret === undefined) return []
  const { id, versions } = before.secret
  if (secret === undefined) return versions.map(({ version }) => valueName(id, version))
  return destroys === undefined ? [] : [valueName(id, destroys)]
}

/** `INTERNAL`: the records say that they are gone, and they may not be. */
async function removeValues({ fs, values }: Place, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  try {
    for (const name of names) await removeIfThere(fs, join(values, name))
    await fs.syncFolder(values)
  } catch (cause) {
    throw new KmsError('INTERNAL', `${values} may still hold what was destroyed: open the store again`, { cause })
  }
}

/** Errors: `INTERNAL` for a damaged file. */
async function load(place: Place, path: string): Promise<Filed | undefined> {
  const file = recordPath(place, path)
  const bytes = await readIfThere(place.fs, file)
  if (bytes === undefined) return undefined
  const filed = filedFrom(bytes)
  if (filed?.path !== path) throw new KmsError('INTERNAL', `${file} is damaged, or another secret's`)
  return filed
}

async function readAll(place: Place): Promise<readonly Filed[]> {
  const { fs, secrets } = place
  const all: Filed[] = []
  for (const name of await listIfThere(fs, secrets)) {
    const path = join(secrets, name)
    // A crash in the midst of writing it: the record before it is in place.
    if (name.endsWith('.tmp')) await removeIfThere(fs, path)
    else {
      const filed = filedFrom((await readIfThere(fs, path)) ?? new Uint8Array(0))
      if (filed === undefined || recordPath(place, filed.path) !== path)
        throw new KmsError(
          'INTERNAL',
          `${path} is damaged, or no secret's: put it back as it was. If it is moved away, the next opening removes its values`,
        )
      all.push(filed)
    }
  }
  return all
}

/** Removes the values that no record names. */
async function clearValues(place: Place, filed: readonly Filed[]): Promise<void> {
  const named = new Set(
    filed.flatMap(({ id, secret }) =>
      (secret?.versions ?? [])
        .filter(({ destroyedAt }) => destroyedAt === undefined)
        .map(({ version }) => valueName(id, version)),
    ),
  )
  const gone = (await listIfThere(place.fs, place.values)).filter((name) => !named.has(name))
  await removeValues(place, gone)
}

/** Not the path itself: it may be longer than a file's name, and on some disks `/A` and `/a` are one. */
function recordPath({ secrets }: Place, path: string): string {
  return join(secrets, `${hex(engine.hash('sha256', utf8(path)))}.json`)
}

function valuePath({ values }: Place, id: string, version: number): string {
  return join(values, valueName(id, version))
}

function valueName(id: string, version: number): string {
  return `${id}-${version}`
}
