/** @node `keytrail/providers/local`: the embedded KMS. */
export { type LocalKms, type LocalKmsFacts, type OpenLocalKmsOptions, openLocalKms } from './open.ts'
export type { Binding, EmbeddedKms } from './provider.ts'
export type { RootKeyOptions } from './root-key.ts'
