/** @node Under which root key a keystore's generations are written. */
import { engine } from '#engine'
import { wipe } from '../../crypto/bytes.ts'
import type { NewRootKey } from './change.ts'
import { type RootKey, sealKeystore } from './file.ts'
import type { GenerationWriter } from './generations.ts'
import type { Keystore } from './keystore.ts'
import { type RootKeyPlace, rootKeySource } from './root-key.ts'

export interface Sealing {
  /**
   * Makes `next` durable, sealed under `rootKey` from here on if it is given, else as before. When it fails, or the process
   * dies, one of the two generations is there, each sealed as it was: the key that opens it is the right one. Wipes the bytes
   * of `rootKey`.
   */
  persist(next: Keystore, rootKey?: NewRootKey): Promise<void>
  wipe(): void
}

export interface SealingParts {
  readonly place: RootKeyPlace
  readonly writer: GenerationWriter
  readonly root: RootKey
}

export function sealing({ place, writer, root }: SealingParts): Sealing {
  let current = root

  async function publish(next: Keystore, sealedBy: RootKey): Promise<void> {
    await writer.publish(next.generation, sealKeystore(engine, sealedBy, next))
  }

  return {
    async persist(next, rootKey) {
      if (rootKey === undefined) return publish(next, current)
      const fresh = await rootKeyFrom(place, rootKey)
      try {
        await publish(next, fresh)
      } catch (error) {
        wipe(fresh.key)
        throw error
      }
      wipe(current.key)
      current = fresh
    },
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
