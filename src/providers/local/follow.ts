/** @node A read-only keystore keeps up with the process that writes it. */
import type { Engine } from '../../crypto/engine.ts'
import type { Clock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import type { FileSystem } from '../../storage/filesystem.ts'
import { opensWith, type RootKey, unsealKeystore } from './file.ts'
import { newestNumber, readNewest } from './generations.ts'
import type { Keyring } from './keyring.ts'

export interface Following {
  readonly engine: Engine
  readonly fs: FileSystem
  readonly folder: string
  readonly root: RootKey
  readonly keyring: Keyring
  readonly clock: Clock
}

/** How long an answer may rest on an older generation. */
const staleMs = 500

/**
 * A function to call before each use: undefined while the last look is fresh, otherwise a promise that resolves when the
 * newest generation is in force. Calls that come meanwhile share it.
 *
 * Fails closed: a generation that cannot be read might have disabled a key, so nothing is used until one can. Each later
 * call looks again.
 */
export function follow(following: Following): () => Promise<void> | undefined {
  const { clock } = following
  let freshUntil = clock.monotonic() + staleMs
  let looking: Promise<void> | undefined

  async function look(): Promise<void> {
    const begun = clock.monotonic()
    try {
      await catchUp(following)
      freshUntil = begun + staleMs
    } finally {
      looking = undefined
    }
  }

  return () => {
    if (looking !== undefined) return looking
    if (clock.monotonic() < freshUntil) return undefined
    looking = look()
    return looking
  }
}

async function catchUp({ engine, fs, folder, root, keyring }: Following): Promise<void> {
  const { generation } = keyring.keystore
  const newest = await newestNumber(fs, folder)
  if (newest === generation) return
  const read = newest < generation ? undefined : await readNewest(fs, folder)
  if (read === undefined)
    throw new KmsError('PROVIDER_UNAVAILABLE', `${folder} has lost generation ${generation} of its keystore`)
  if (!opensWith(engine, root, read.bytes))
    throw new KmsError('PROVIDER_UNAVAILABLE', `${folder} was sealed anew: close the keystore and open it again`)
  keyring.replace(unsealKeystore(engine, root, read.bytes))
}
