/** @node `keytrail/providers/local`: the embedded KMS. */
export type { Binding } from '../../model/provider.ts'
export { type LocalKms, type LocalKmsFacts, type OpenLocalKmsOptions, openLocalKms } from './open.ts'
export type { EmbeddedKms } from './provider.ts'
export type { RootKeyOptions } from './root-key.ts'
