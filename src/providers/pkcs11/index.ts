/** @node `keytrail/providers/pkcs11`: tokens of a PKCS#11 module, such as an HSM. */
export type { Clock } from '../../model/clock.ts'
export type { Scope } from '../../model/key.ts'
export type { IntentOutcome, KmsProvider } from '../../model/provider.ts'
export { openPkcs11, type Pkcs11Kms, type Pkcs11Options } from './open.ts'
export type { SessionCounts } from './pool.ts'
