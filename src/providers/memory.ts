/** The embedded KMS without a disk: for tests, demonstrations, and hosts that keep nothing. Portable. */
import { engine } from '#engine'
import { requireFips } from '../crypto/fips.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import { openKeyring } from './local/keyring.ts'
import { newKeystore } from './local/keystore.ts'
import { type EmbeddedKms, embeddedKms } from './local/provider.ts'
import { openUsage } from './local/usage.ts'

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
  const keystore = newKeystore(engine)
  const usage = openUsage({ keystore })
  const keyring = openKeyring(engine, keystore, { usage, fips })
  const persist = async () => ({ oldRemain: false })
  const provider = embeddedKms({ name: 'memory', engine, keyring, usage, clock, fips, persist })
  // It is sealed under no root key.
  const { rewrapRootKey: _none, ...operations } = provider.operations
  return Object.freeze({ ...provider, name: 'memory', operations: Object.freeze(operations) })
}
