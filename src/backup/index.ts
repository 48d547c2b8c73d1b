/** @node `keytrail/backup`: keystore and trail, copied together and put back together. */
export { type BackupOptions, backup } from './backup.ts'
export type { BackupFile, BackupTrail, Manifest } from './manifest.ts'
export { type RestoreOptions, restore } from './restore.ts'
