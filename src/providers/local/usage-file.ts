/**
 * @node The file `usage` in the keystore's folder: how many messages of each counted version are accounted for.
 *
 *     "keytrail-usage/1" ‖ nonce(24) ‖ XAES-256-GCM(key, nonce, AAD = "keytrail-usage/1" ‖ keystore id)
 *
 * The key is a secret of the keystore's own. So it stays when the keystore is sealed under another root key: there is no
 * moment in which one of the two files needs the old root key and the other the new one.
 */
import { join } from 'node:path'
import { openBox, sealBox } from '../../crypto/box.ts'
import { concat, equal, utf8, wipe } from '../../crypto/bytes.ts'
import type { Engine } from '../../crypto/engine.ts'
import { randomBytes } from '../../crypto/random.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, readIfThere } from '../../storage/filesystem.ts'
import type { Lock } from '../../storage/lock.ts'
import { replaceFile } from '../../storage/replace.ts'
import { binaryReader, binaryWriter } from './binary.ts'
import { readUsage, writeUsage } from './encoding.ts'
import type { Keystore, UsageCount } from './keystore.ts'
import { type Counted, countedVersions, openUsage, type Usage } from './usage.ts'

export const usageFileName = 'usage'

const magic = utf8('keytrail-usage/1')
const nonceLength = 24

/** Whose counts they are. */
export type UsageOwner = Pick<Keystore, 'id' | 'usageKey'>

export function sealUsage(engine: Engine, { id, usageKey }: UsageOwner, counts: readonly UsageCount[]): Uint8Array {
  const nonce = randomBytes(nonceLength)
  const out = binaryWriter()
  out.list(counts, (count) => writeUsage(out, count))
  const aad = concat([magic, utf8(id)])
  return concat([magic, nonce, sealBox(engine, { key: usageKey, nonce, aad, plaintext: out.finish() })])
}

/** The counts, or undefined for bytes that are not of this keystore as they were written. */
export function unsealUsage(
  engine: Engine,
  { id, usageKey }: UsageOwner,
  file: Uint8Array,
): readonly UsageCount[] | undefined {
  const boxAt = magic.length + nonceLength
  if (!equal(file.subarray(0, magic.length), magic) || file.length < boxAt) return undefined
  const nonce = file.subarray(magic.length, boxAt)
  const aad = concat([magic, utf8(id)])
  const plaintext = openBox(engine, { key: usageKey, nonce, aad, box: file.subarray(boxAt) })
  if (plaintext === undefined) return undefined
  const from = binaryReader(plaintext)
  const counts = from.list(() => readUsage(from))
  from.end()
  return counts
}

export interface UsageFileParts {
  readonly engine: Engine
  readonly fs: FileSystem
  readonly folder: string
  readonly lock: Lock
  readonly keystore: Keystore
}

export interface UsageFile {
  /** Undefined when there is none. `INTERNAL` for damage. */
  read(): Promise<readonly UsageCount[] | undefined>
  /** Durable when it resolves. When it fails, the file holds what it held or these. */
  write(counts: readonly UsageCount[]): Promise<void>
  wipe(): void
}

/** For whoever holds the lock, which is looked at before each writing. */
export function usageFile({ engine, fs, folder, lock, keystore }: UsageFileParts): UsageFile {
  const path = join(folder, usageFileName)
  const owner = { id: keystore.id, usageKey: keystore.usageKey.slice() }
  return {
    async read() {
      const file = await readIfThere(fs, path)
      if (file === undefined) return undefined
      const counts = unsealUsage(engine, owner, file)
      if (counts !== undefined) return counts
      const remedy =
        'restore it from a backup, or remove it to count on from what the keystore remembers, which may be less'
      throw new KmsError('INTERNAL', `${path} is damaged, or of another keystore: ${remedy}`)
    },
    async write(counts) {
      lock.check()
      await replaceFile(fs, path, sealUsage(engine, owner, counts))
    },
    wipe: () => wipe(owner.usageKey),
  }
}

export interface FileUsage {
  readonly usage: Usage
  readonly warnings: readonly string[]
}

/**
 * Counting goes on from the file or from what the keystore remembers, whichever is more. A file that knows less than the
 * keystore is an older one, since it is always written first. Errors: `INTERNAL` for a damaged one.
 */
export async function fileUsage(keystore: Keystore, file: UsageFile): Promise<FileUsage> {
  // One that is there before any version is counted has been left by another keystore.
  const kept = countedVersions(keystore).length === 0 ? [] : await file.read()
  const usage = openUsage({ keystore, kept: kept ?? [], store: file.write })
  const warnings = isBehind(keystore, kept ?? [])
    ? [behind(kept === undefined ? 'missing' : 'older than the keys')]
    : []
  try {
    await usage.start()
    return { usage, warnings }
  } catch (error) {
    // What does not seal goes on, and each sealing tries again.
    const why = error instanceof KmsError ? error.message : 'unknown'
    return { usage, warnings: [...warnings, `usage counts cannot be written, so counted keys seal nothing: ${why}`] }
  }
}

function isBehind(keystore: Keystore, kept: readonly UsageCount[]): boolean {
  const least = new Map(keystore.usage.map((count) => [nameOf(count), count.messages]))
  const known = new Map(kept.map((count) => [nameOf(count), count.messages]))
  return countedVersions(keystore).some((one) => (known.get(nameOf(one)) ?? -1) < (least.get(nameOf(one)) ?? 0))
}

function nameOf({ identity, version }: Counted): string {
  return `${version} ${identity}`
}

function behind(how: string): string {
  return `the usage file is ${how}: messages are counted on from what the keystore remembers, which may be too few`
}
