/**
 * `keytrail/providers/vault-transit`: keys in a Vault or OpenBao, without any client library. Portable.
 *
 * @packageDocumentation
 */
export type { VaultToken, VaultTransitOptions } from './options.ts'
export { vaultTransit } from './provider.ts'
