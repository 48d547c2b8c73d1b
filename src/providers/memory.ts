/** The embedded KMS without a disk: for tests, demonstrations, and hosts that keep nothing. Portable. */
import { engine as hostEngine } from '#engine'
import { type MlDsa, withMlDsa } from '../crypto/engine.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import { openKeyring } from './local/keyring.ts'
import { newKeystore } from './local/keystore.ts'
import { type EmbeddedKms, embeddedKms } from './local/provider.ts'

export interface MemoryKmsOptions {
  readonly clock?: Clock
  /** From `keytrail/ml-dsa`, for keys of the types `ml-dsa-44`, `ml-dsa-65` and `ml-dsa-87`. */
  readonly mlDsa?: MlDsa
}

export interface MemoryKms extends EmbeddedKms {
  readonly name: 'memory'
}

/** The same KMS as `openLocalKms`, operation for operation but for `rewrapRootKey`; its keys are gone with the process. */
export function memoryKms({ clock = systemClock, mlDsa }: MemoryKmsOptions = {}): MemoryKms {
  const engine = withMlDsa(hostEngine, mlDsa)
  const keyring = openKeyring(engine, newKeystore(engine))
  const provider = embeddedKms({ name: 'memory', engine, keyring, clock, persist: async () => undefined })
  // It is sealed under no root key.
  const { rewrapRootKey: _none, ...operations } = provider.operations
  return Object.freeze({ ...provider, name: 'memory', operations: Object.freeze(operations) })
}
