/**
 * What happened, and in which order: the story of a key, of an actor, or around one entry, and how to hand it over.
 *
 * @packageDocumentation
 */

export type { HandedOver, HandOverOptions } from './hand-over.ts'
export { handOver } from './hand-over.ts'
export type { Relation } from './relations.ts'
export type { TimelineOptions, TimelineStep } from './timeline.ts'
export { timelineOf } from './timeline.ts'
