/** The embedded KMS without a disk: for tests, demonstrations, and hosts that keep nothing. Portable. */
import { engine as hostEngine } from '#engine'
import { type MlDsa, withMlDsa } from '../crypto/engine.ts'
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
  /** From `keytrail/ml-dsa`, for keys of the types `ml-dsa-44`, `ml-dsa-65` and `ml-dsa-87`. */
  readonly mlDsa?: MlDsa
}

export interface MemoryKms extends EmbeddedKms {
  readonly name: 'memory'
}

/** The same KMS as `openLocalKms`, operation for operation but for `rewrapRootKey`; its keys are gone with the process. */
export function memoryKms({ clock = systemClock, fips = false, mlDsa }: MemoryKmsOptions = {}): MemoryKms {
  if (fips) requireFips(hostEngine)
  const engine = withMlDsa(hostEngine, mlDsa)
  const keystore = newKeystore(engine)
  const usage = openUsage({ keystore })
  const keyring = openKeyring(engine, keystore, { usage, fips })
  const persist = async () => ({ oldRemain: false })
  const provider = embeddedKms({ name: 'memory', engine, keyring, usage, clock, fips, persist })
  // It is sealed under no root key.
  const { rewrapRootKey: _none, ...operations } = provider.operations
  return Object.freeze({ ...provider, name: 'memory', operations: Object.freeze(operations) })
}
