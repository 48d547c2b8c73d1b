/**
 * For tests of programs that use keytrail, and of providers and sinks written for it. Portable, and bound to no test
 * runner.
 */
export { type FakeClock, fakeClock } from './clock.ts'
export type { ConformanceCase } from './conformance.ts'
export { exampleEntries, exampleEntry } from './entries.ts'
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
export { summary } from './summary.ts'
