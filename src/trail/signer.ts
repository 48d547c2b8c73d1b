/** @node A signing key in a file, for trails whose keys are not held by the embedded KMS. */
import { resolve } from 'node:path'
import { engine } from '#engine'
import { fromUtf8, utf8, wipe } from '../crypto/bytes.ts'
import { ed25519Public, ed25519Sign } from '../crypto/ed25519.ts'
import { randomBytes } from '../crypto/random.ts'
import { KmsError } from '../model/errors.ts'
import type { Signer } from '../model/signer.ts'
import { type FileSystem, nodeFileSystem, readIfThere } from '../storage/filesystem.ts'
import { checkPrivate } from '../storage/private.ts'
import { createFile } from '../storage/replace.ts'
import { formatSigningKey, parseSigningKey } from './note.ts'

const files = new WeakMap<Signer, string>()

/** The absolute path of a `fileSigner`'s file; undefined for other signers. */
export function fileOfSigner(signer: Signer): string | undefined {
  return files.get(signer)
}

export interface FileSignerOptions {
  /** The key before this one: a trail that it still signs is handed over to this one. */
  readonly previous?: Signer
  readonly fs?: FileSystem
}

/**
 * The Ed25519 key in the file at `path`, made (mode 0600) if there is none. Keep it outside the trail's folder, and a copy
 * elsewhere: without it the trail cannot go on. The file is one line, `PRIVATE+KEY+<name>+<key hash>+<base64 of 01 ‖ seed>`,
 * as the Go tools for signed notes write it.
 *
 * Errors: `INVALID_INPUT` (not such a file, or open to every user), `PROVIDER_UNAVAILABLE` (disk).
 *
 * @example
 * ```ts
 * const signer = await fileSigner('./signer-2027.key', { previous: await fileSigner('./signer-2026.key') })
 * const trail = await openTrail({ path: './audit', signer })      // hands the trail over with its first batch
 * ```
 */
export async function fileSigner(path: string, options: FileSignerOptions = {}): Promise<Signer> {
  const { fs = nodeFileSystem, previous } = options
  const seed = seedIn(path, (await readIfThere(fs, path)) ?? (await makeKey(fs, path)))
  try {
    checkPrivate(fs, path)
    const signer: Signer = {
      publicKey: ed25519Public(engine, seed),
      sign: ed25519Sign(engine, seed),
      ...(previous !== undefined && { previous }),
    }
    files.set(signer, resolve(path))
    return signer
  } finally {
    wipe(seed)
  }
}

async function makeKey(fs: FileSystem, path: string): Promise<Uint8Array> {
  const seed = randomBytes(32)
  const publicKey = ed25519Public(engine, seed)
  const bytes = utf8(`${formatSigningKey(engine, { name: 'keytrail', seed, publicKey })}\n`)
  wipe(seed)
  if (await createFile(fs, path, bytes)) return bytes
  // Another process was faster, and its key is the one that stands in the file.
  wipe(bytes)
  const made = await readIfThere(fs, path)
  if (made !== undefined) return made
  throw new KmsError('PROVIDER_UNAVAILABLE', `${path} comes and goes: try again`)
}

function seedIn(path: string, bytes: Uint8Array): Uint8Array {
  const text = fromUtf8(bytes)
  wipe(bytes)
  if (text?.endsWith('\n')) return parseSigningKey(engine, text.slice(0, -1), (seed) => ed25519Public(engine, seed))
  throw new KmsError(
    'INVALID_INPUT',
    `${path} holds no signing key: expected one line PRIVATE+KEY+<name>+<hash>+<base64>`,
  )
}
