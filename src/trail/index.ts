/** The durable, tamper-evident trail. */
export type {
  CheckConsistencyOptions,
  CheckedConsistency,
  CheckpointRef,
  ConsistencyProof,
  ProveConsistencyOptions,
} from './consistency.ts'
export { checkConsistency, proveConsistency } from './consistency.ts'
export type { Exported, ExportOptions } from './export.ts'
export { exportTiles } from './export.ts'
export type { TrailFilter } from './filter.ts'
export type { FollowOptions } from './follow.ts'
export { followTrail } from './follow.ts'
export { openTrail } from './open.ts'
export type { PinnedTrail, PinTrailOptions } from './pin-trail.ts'
export { pinTrail } from './pin-trail.ts'
export type { CheckedProof, CheckOptions, EntryProof, ProveOptions } from './prove.ts'
export { checkProof, proveEntry } from './prove.ts'
export type { Pruned, PruneRequest } from './prune.ts'
export type { TrailEntry } from './read.ts'
export { readTrail } from './read.ts'
export type { FileSignerOptions } from './signer.ts'
export { fileSigner } from './signer.ts'
export type { PinOptions, Trail, TrailHealth, TrailOptions } from './trail.ts'
export type { InstanceVerdict, Verdict, VerdictKind } from './verdict.ts'
export type { VerifyOptions } from './verify.ts'
export { verifyTrail } from './verify.ts'
export type { Anchor, AnchorKind, AnchorOptions } from './verify-anchors.ts'
export type { VerifyProgress } from './verify-instance.ts'
export type { WitnessOptions } from './witness-options.ts'
export type { WitnessHealth } from './witness-turns.ts'
