/** @node Ours: clients over the memory KMS with a memory sink or a trail, and the sides that call them. */
import { strictEqual } from 'node:assert/strict'
import { close, constants, mkdtempSync, open, rmSync, write } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { KmsClient, type KmsClientOptions } from '../../src/client.ts'
import type { KeyType } from '../../src/model/key.ts'
import { type MemoryKmsOptions, memoryKms } from '../../src/providers/memory.ts'
import { type MemorySink, memorySink } from '../../src/sinks/memory.ts'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { openTrail, type Trail } from '../../src/trail/index.ts'
import type { Side } from './figure.ts'

const built = fileURLToPath(new URL('../..', import.meta.url))
const scope = { region: 'nl-01', project: 'billing' } as const

export interface Remembered {
  readonly kms: KmsClient
  readonly sink: MemorySink
  /** A side that makes `calls` calls one after another, each with its entry. */
  readonly side: (calls: number, one: () => Promise<unknown>) => Side
}

/** A client with a memory sink and one key, `key`. */
export async function remembered(
  keyType: KeyType,
  options: Partial<Pick<KmsClientOptions, 'limits' | 'context' | 'middleware'>> = {},
  providerOptions: MemoryKmsOptions = {},
): Promise<Remembered> {
  const sink = memorySink()
  const provider = memoryKms(providerOptions)
  const kms = new KmsClient({ provider, audit: { required: [sink] }, ...scope, ...options })
  await kms.createKey({ slug: 'key', keyType }, { deadlineMs: 120_000 })
  return {
    kms,
    sink,
    side(calls, one) {
      sink.clear()
      return {
        calls,
        async run() {
          for (let call = 0; call < calls; call++) await one()
        },
        check() {
          strictEqual(sink.entries.length, calls)
          sink.clear()
        },
      }
    },
  }
}

export interface Trailed {
  readonly kms: KmsClient
  readonly trail: Trail
  /** A side of `callers` at once, each making its share of `calls` one after another. */
  readonly side: (callers: number, calls: number, one: () => Promise<unknown>) => Side
  readonly close: () => Promise<void>
}

/** A client with a trail on the disk of the temporary folder and one AES-256 key, `key`. */
export async function trailed(fs: FileSystem = nodeFileSystem): Promise<Trailed> {
  const folder = temporaryFolder()
  const provider = memoryKms()
  // Where the temporary folder is no disk, the machine's line of the output says so.
  const signer = provider.auditSigner()
  const trail = await openTrail({ path: folder, signer, fs, allowFilesystem: ['tmpfs'] })
  const kms = new KmsClient({ provider, audit: { required: [trail] }, ...scope })
  await kms.createKey({ slug: 'key', keyType: 'aes256-gcm96' })
  return {
    kms,
    trail,
    side(callers, calls, one) {
      let size = trail.size
      const each = calls / callers
      const caller = async () => {
        for (let call = 0; call < each; call++) await one()
      }
      return {
        calls,
        async run() {
          await Promise.all(Array.from({ length: callers }, caller))
        },
        check() {
          strictEqual(trail.size - size, BigInt(calls))
          size = trail.size
        },
      }
    },
    async close() {
      await kms.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** On the disk of the temporary folder, within what was built: removed with it, however the bench ends. */
export function temporaryFolder(): string {
  return mkdtempSync(join(built, 'run-'))
}

const openAsync = promisify(open)
const closeAsync = promisify(close)

/** The file system as it is, except that nothing waits for the disk: an append is a write and no more. */
export const unsyncedFileSystem: FileSystem = {
  ...nodeFileSystem,
  async open(path, how, mode) {
    const file = await nodeFileSystem.open(path, how, mode)
    if (how !== 'append') return { ...file, sync: async () => {} }
    // Opened again, without the flag that makes each write wait.
    await file.close()
    const fd = await openAsync(path, constants.O_WRONLY | constants.O_APPEND)
    return {
      ...file,
      durable: true,
      write: (bytes) =>
        new Promise((resolve, reject) => {
          write(fd, bytes, 0, bytes.length, null, (error, count) => (error ? reject(error) : resolve(count)))
        }),
      truncate: () => Promise.reject(new Error('the bench cuts nothing')),
      close: () => closeAsync(fd),
    }
  },
  syncFolder: async () => {},
}
