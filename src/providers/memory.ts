/** The embedded KMS without a disk: for tests, demonstrations, and hosts that keep nothing. Portable. */
import { engine } from '#engine'
import { requireFips } from '../crypto/fips.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import { openKeyring } from './local/keyring.ts'
import { newKeystore } from './local/keystore.ts'
import { type EmbeddedKms, embeddedKms } from './local/provider.ts'

export interface MemoryKmsOptions {
  readonly clock?: Clock
  /** As `openLocalKms` takes it. */
  readonly fips?: boolean
}

export interface MemoryKms extends EmbeddedKms {
  readonly name: 'memory'
}

/** The same KMS as `openLocalKms`, operation for operation but for `rewrapRootKey`; its keys are gone with the process. */
export function memoryKms({ clock = systemClock, fips = false }: MemoryKmsOptions = {}): MemoryKms {
  if (fips) requireFips(engine)
  const keyring = openKeyring(engine, newKeystore(engine), { fips })
  const provider = embeddedKms({ name: 'memory', engine, keyring, clock, fips, persist: async () => undefined })
  // It is sealed under no root key.
  const { rewrapRootKey: _none, ...operations } = provider.operations
  return Object.freeze({ ...provider, name: 'memory', operations: Object.freeze(operations) })
}
