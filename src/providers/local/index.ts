/** @node `keytrail/providers/local`: the embedded KMS. */
export type { MlDsa, MlDsaFunctions, MlDsaKeys } from '../../crypto/engine.ts'
export type { Binding } from '../../model/provider.ts'
export { type LocalKms, type LocalKmsFacts, type OpenLocalKmsOptions, openLocalKms } from './open.ts'
export type { EmbeddedKms } from './provider.ts'
export type { RootKeyOptions } from './root-key.ts'
