/** @node Under which root key a keystore's generations are written. */
import { engine } from '#engine'
import { wipe } from '../../crypto/bytes.ts'
import type { NewRootKey } from './change.ts'
import { type RootKey, sealKeystore } from './file.ts'
import type { GenerationWriter, Published } from './generations.ts'
import type { NextKeystore } from './provider.ts'
import { type RootKeyPlace, rootKeySource } from './root-key.ts'

export interface Sealing {
  /**
   * Makes a keystore durable, sealed under `rootKey` from here on if it is given, else as before. When it fails, or the process
   * dies, one of the two generations is there, each sealed as it was: the key that opens it is the right one. Wipes the bytes
   * of `rootKey`.
   */
  persist(next: NextKeystore): Promise<Published>
  wipe(): void
}

export interface SealingParts {
  readonly place: RootKeyPlace
  readonly writer: GenerationWriter
  readonly root: RootKey
}

export function sealing({ place, writer, root }: SealingParts): Sealing {
  let current = root

  function publish({ keystore, purge }: NextKeystore, sealedBy: RootKey): Promise<Published> {
    const bytes = sealKeystore(engine, sealedBy, keystore)
    return writer.publish({ number: keystore.generation, bytes, ...(purge && { purge }) })
  }

  async function publishUnder(rootKey: NewRootKey, next: NextKeystore): Promise<Published> {
    const fresh = await rootKeyFrom(place, rootKey)
    try {
      const published = await publish(next, fresh)
      wipe(current.key)
      current = fresh
      return published
    } catch (error) {
      wipe(fresh.key)
      throw error
    }
  }

  return {
    persist: async (next) => (next.rootKey === undefined ? publish(next, current) : publishUnder(next.rootKey, next)),
    wipe: () => wipe(current.key),
  }
}

async function rootKeyFrom(place: RootKeyPlace, given: NewRootKey): Promise<RootKey> {
  const source = await rootKeySource(place, given)
  try {
    return await source.create()
  } finally {
    source.wipe()
    for (const secret of [given.rootKey, given.passphrase]) if (secret instanceof Uint8Array) wipe(secret)
  }
}
