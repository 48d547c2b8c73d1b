/**
 * For tests of programs that use keytrail, and of providers and sinks written for it. Portable, and bound to no test
 * runner.
 */
export { type FakeClock, fakeClock } from './clock.ts'
export type { ConformanceCase } from './conformance.ts'
export type { EntryCriteria, ExpectedEntry, Part, Wanted } from './criteria.ts'
export type { AsymmetricMatcher } from './difference.ts'
export { exampleEntries, exampleEntry } from './entries.ts'
export { type EntryExpectations, type EntryMatchers, expectEntries } from './expect-entries.ts'
export { type FaultySink, type FaultySinkOptions, faultySink, type SinkState } from './faulty-sink.ts'
export { type KeytrailMatchers, keytrailMatchers, type MatcherResult } from './matchers.ts'
export {
  type Asked,
  type AskedCall,
  type Behaviour,
  type FakeProvider,
  type FakeProviderOptions,
  fakeProvider,
} from './provider.ts'
export { type ProviderUnderTest, providerConformance } from './provider-conformance.ts'
export { type SinkUnderTest, sinkConformance } from './sink-conformance.ts'
export { type Snapshot, type SnapshotOptions, snapshotOf } from './snapshot.ts'
export type { EntrySource } from './subject.ts'
export { summary } from './summary.ts'
