/** @node The modules under test, imported from a folder: the repository's `src`, or a changed copy of it. */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { createAudit } from '../../src/audit/emitter.ts'
import type { KmsClient } from '../../src/client.ts'
import type { KmsError } from '../../src/model/errors.ts'
import type { LocalKms, openLocalKms } from '../../src/providers/local/index.ts'
import type { memorySink } from '../../src/sinks/memory.ts'
import type { nodeFileSystem } from '../../src/storage/filesystem.ts'
import type { acquireLock } from '../../src/storage/lock.ts'
import type { fileSigner, openTrail, readTrail, verifyTrail } from '../../src/trail/index.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

export const defaultProduct: string = join(root, 'src')

export interface Product {
  readonly folder: string
  readonly KmsClient: typeof KmsClient
  readonly KmsError: typeof KmsError
  readonly createAudit: typeof createAudit
  readonly openLocalKms: typeof openLocalKms
  readonly openTrail: typeof openTrail
  readonly readTrail: typeof readTrail
  readonly verifyTrail: typeof verifyTrail
  readonly fileSigner: typeof fileSigner
  readonly memorySink: typeof memorySink
  readonly nodeFileSystem: typeof nodeFileSystem
  readonly acquireLock: typeof acquireLock
}

export type { LocalKms }

/**
 * Imports from `folder`, laid out as `src` is. Its parent must hold a `package.json` with the repository's `imports` (for
 * `#engine`) and a `node_modules`: {@link copyProduct} makes such a copy. The process must run with
 * `fromSource`, as the test runner and run.mjs start it.
 */
export async function loadProduct(folder: string): Promise<Product> {
  const from = (path: string) => import(pathToFileURL(join(folder, path)).href)
  const [client, errors, emitter, local, trail, memory, filesystem, lock] = await Promise.all([
    from('client.ts'),
    from('model/errors.ts'),
    from('audit/emitter.ts'),
    from('providers/local/index.ts'),
    from('trail/index.ts'),
    from('sinks/memory.ts'),
    from('storage/filesystem.ts'),
    from('storage/lock.ts'),
  ])
  return {
    folder,
    KmsClient: client.KmsClient,
    KmsError: errors.KmsError,
    createAudit: emitter.createAudit,
    openLocalKms: local.openLocalKms,
    openTrail: trail.openTrail,
    readTrail: trail.readTrail,
    verifyTrail: trail.verifyTrail,
    fileSigner: trail.fileSigner,
    memorySink: memory.memorySink,
    nodeFileSystem: filesystem.nodeFileSystem,
    acquireLock: lock.acquireLock,
  }
}

/**
 * A copy of the repository's `src` below `folder`, to be changed and then given as `product`.
 *
 * @example
 * ```ts
 * const product = copyProduct(folder)
 * replaceIn(join(product, 'storage/append.ts'), 'if (!file.durable) await file.sync()', '')
 * const violations = await power({ seed: 1, count: 200, product })
 * ```
 */
export function copyProduct(folder: string): string {
  mkdirSync(folder, { recursive: true })
  const { imports }: { imports: object } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', imports }))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const product = join(folder, 'src')
  cpSync(defaultProduct, product, { recursive: true })
  return product
}
