/** `keytrail/vault-backup`: keys of Vault's and OpenBao's transit engine, moved into the embedded KMS. */
export { type ImportedTransitBackup, type ImportTransitBackupOptions, importTransitBackup } from './import.ts'
export { usualPkcs8 } from './pkcs8.ts'
export { readTransitBackup, type TransitBackup, type TransitBackupVersion } from './read.ts'
