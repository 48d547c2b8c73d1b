/** Access control: rules as a middleware, and what they would have refused in a recorded trail. */
export type { Hours } from '../../model/hours.ts'
export type { AccessPolicyOptions } from './access-policy.ts'
export { accessPolicy } from './access-policy.ts'
export type { DryRun, DryRunGroup, DryRunOptions, DryRunTally, RecordedEntry, RuleTally, Untold } from './dry-run.ts'
export { dryRun } from './dry-run.ts'
export type { AccessAction, Permission, PermissionGroup } from './permissions.ts'
export type { AccessRule } from './rules.ts'
export { checkRules } from './rules.ts'
