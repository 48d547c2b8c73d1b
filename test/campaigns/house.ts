/** @node A keystore, its trail and a client over them, on any file system: what the campaigns on disks break. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KmsClient } from '../../src/client.ts'
import type { Clock } from '../../src/model/clock.ts'
import type { FileSystem } from '../../src/storage/filesystem.ts'
import type { Trail } from '../../src/trail/index.ts'
import type { LocalKms, Product } from './product.ts'

export interface Place {
  /** Real, for the sockets of the locks; all else goes through `fs`. */
  readonly folder: string
  readonly fs: FileSystem
  readonly clock: Clock
}

export interface House {
  readonly local: LocalKms
  readonly trail: Trail
  readonly kms: KmsClient
}

export const keysOf = ({ folder }: Pick<Place, 'folder'>): string => join(folder, 'keys')
export const auditOf = ({ folder }: Pick<Place, 'folder'>): string => join(folder, 'audit')

/** Small, so that a short run makes several segments. */
const segmentBytes = 4096

/** Opens all three. What was opened is closed again if the rest fails. */
export async function openHouse(product: Product, { folder, fs, clock }: Place): Promise<House> {
  const rootKey = new Uint8Array(32).fill(9)
  const local = await product.openLocalKms({ path: keysOf({ folder }), rootKey, fs, clock, allowFilesystem: ['tmpfs'] })
  try {
    const anchor = local.binding()?.anchor
    const trail = await product.openTrail({
      path: auditOf({ folder }),
      signer: local.auditSigner(),
      ...(anchor !== undefined && { anchor }),
      segmentBytes,
      compressSealed: true,
      pin: { file: join(folder, 'pin') },
      fs,
      clock,
      allowFilesystem: ['tmpfs'],
    })
    return { local, trail, kms: new product.KmsClient({ provider: local, audit: { required: [trail], clock } }) }
  } catch (error) {
    await local.close?.()
    throw error
  }
}

/** A folder of its own on the disk for as long as `run` takes. */
export async function withFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-'))
  try {
    return await run(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** For a house whose files are in memory: the sockets of its locks are real all the same. */
export function makeFolders(folder: string): void {
  mkdirSync(keysOf({ folder }), { recursive: true })
  mkdirSync(join(auditOf({ folder }), 'main'), { recursive: true })
}
