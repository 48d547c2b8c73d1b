/**
 * What a trail tells of a time: verified, read once, and held against rules and policies.
 *
 * @packageDocumentation
 */

export type { ComplianceRow, Standard } from './compliance.ts'
export { complianceOf, standards } from './compliance.ts'
export type { DescribeOptions } from './describe.ts'
export { describeReview } from './describe.ts'
export { renderReport } from './html/report.ts'
export type { ReviewOptions, ReviewProgress } from './options.ts'
export type {
  Review,
  ReviewedActor,
  ReviewedExport,
  ReviewedFailure,
  ReviewedFinding,
  ReviewedKey,
  ReviewedLog,
  ReviewedRotation,
  Silence,
  Timeline,
} from './review.ts'
export { mostRows } from './review.ts'
export { reviewTrail } from './review-trail.ts'
