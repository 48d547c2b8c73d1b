/**
 * Alerts with a disk: findings as JSON Lines, and a watch that follows a trail.
 *
 * @packageDocumentation
 */

export type { JsonLinesOptions } from './json-lines.ts'
export { jsonLinesDelivery } from './json-lines.ts'
export type { WatchState } from './watch-state.ts'
export { openWatchState } from './watch-state.ts'
export type { Watched, WatchOptions } from './watch-trail.ts'
export { watchTrail } from './watch-trail.ts'
