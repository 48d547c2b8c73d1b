/** A trail against what AWS CloudTrail tells of the same keys. */
export type { CloudTrailSource } from './cloudtrail.ts'
export { readCloudTrail } from './cloudtrail.ts'
export type { ReconcileOptions } from './reconcile.ts'
export { reconcile } from './reconcile.ts'
export type {
  Finding,
  FindingKind,
  OurEntry,
  Reconciliation,
  ReconciliationCounts,
  ServiceUse,
  TheirRecord,
} from './report.ts'
