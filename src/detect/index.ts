/**
 * Watching: rules over the entries of a trail, and the detector that shows them each entry.
 *
 * @packageDocumentation
 */

export type { Detector, DetectorHealth, DetectorOptions, DetectorState, StoredRule } from './detector.ts'
export { createDetector } from './detector.ts'
export type { Example, Step } from './example.ts'
export { playExample } from './example.ts'
export type { Finding, Level, Sighting, Subject } from './finding.ts'
export { isAtLeast, levels, mostEvidence } from './finding.ts'
export type { Told } from './finding-line.ts'
export { findingFormat, findingLine, subjectWords } from './finding-line.ts'
export type { LocalTime } from './local-time.ts'
export type { Looking, Parameter, Parameters, Rule, RuleDefinition, RuleFacts, Seen, Watch } from './rule.ts'
export { defineRule } from './rule.ts'
export type { WatchSettings } from './settings.ts'
export { checkSettings } from './settings.ts'
export type { RuleSettings } from './shipped.ts'
export { everyRule, shippedRules } from './shipped.ts'
export type { DetectorSink, DetectorSinkHealth, DetectorSinkOptions } from './sink.ts'
export { detectorSink } from './sink.ts'
export type { Suppression, SuppressionOptions } from './suppression.ts'
export { checkSuppressions, mostSuppressedDays, suppressionOf } from './suppression.ts'
export type { Cells, StoredCell, StoredTable, Table, TableOptions } from './table.ts'
export type { Tools } from './tools.ts'
export type { Hits, SlidingWindow, WindowOptions } from './window.ts'
export { slidingWindow } from './window.ts'
