/** The durable, tamper-evident trail. */

export type { PinnedTrail, PinTrailOptions } from './anchors/pin-trail.ts'
export { pinTrail } from './anchors/pin-trail.ts'
export type { WitnessOptions } from './anchors/witness-options.ts'
export type { WitnessHealth } from './anchors/witness-turns.ts'
export { openTrail } from './open.ts'
export type { FieldValue } from './reading/fields.ts'
export type { SizeBound, TrailFilter } from './reading/filter.ts'
export type { FollowOptions } from './reading/follow.ts'
export { followTrail } from './reading/follow.ts'
export type { TrailEntry } from './reading/read.ts'
export { readTrail } from './reading/read.ts'
export type { Summary } from './reading/summary.ts'
export type { Tally, TallyCount, TallyGroup, TallyOptions } from './reading/tally.ts'
export { tallyTrail } from './reading/tally.ts'
export type {
  CheckConsistencyOptions,
  CheckedConsistency,
  CheckpointRef,
  ConsistencyProof,
  ProveConsistencyOptions,
} from './receipts/consistency.ts'
export { checkConsistency, proveConsistency } from './receipts/consistency.ts'
export type { Exported, ExportOptions } from './receipts/export.ts'
export { exportTiles } from './receipts/export.ts'
export type { CheckedProof, CheckOptions, EntryProof, PlacedLine, ProveOptions } from './receipts/prove.ts'
export { checkProof, proveEntries, proveEntry } from './receipts/prove.ts'
export type { Pruned, PruneRequest } from './retention/prune.ts'
export type { FileSignerOptions } from './signer.ts'
export { fileSigner } from './signer.ts'
export type { PinOptions, Trail, TrailHealth, TrailOptions } from './trail.ts'
export type { Anchor, AnchorKind, AnchorOptions } from './verify/anchors.ts'
export type { VerifyProgress } from './verify/instance.ts'
export type { InstanceVerdict, Verdict, VerdictKind } from './verify/verdict.ts'
export type { VerifyOptions } from './verify/verify.ts'
export { verifyTrail } from './verify/verify.ts'
