/**
 * Keys that rotate when they fall due: a scheduler inside your process, or one run for cron and the like. Portable.
 *
 * @packageDocumentation
 */
export type { Duration } from '../../model/duration.ts'
export type { DueOperation } from './due.ts'
export type { LeftOut } from './left-out.ts'
export { type Done, type NotDone, type RotationRun, type RotationRunOptions, runRotation } from './run.ts'
export { type RotationScheduler, type RotationSchedulerOptions, startRotationScheduler } from './scheduler.ts'
