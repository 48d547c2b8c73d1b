/** The assertions as matchers for a runner's `expect.extend`: Jest's, Vitest's, and whatever has the same. */
import { entriesOf } from './subject.ts'
import { recorded, recordedInOrder, recordedNothing, recordedOnly, type Verdict } from './verdict.ts'

/** What a runner wants of a matcher. */
export type MatcherResult = Pick<Verdict, 'pass' | 'message' | 'expected' | 'actual'>

/** For `expect.extend`. A type of its own and no interface: runners ask for an index signature. */
export type KeytrailMatchers = {
  readonly toHaveRecorded: (source: unknown, action: unknown, criteria?: unknown) => MatcherResult
  readonly toHaveRecordedInOrder: (source: unknown, expected: unknown) => MatcherResult
  readonly toHaveRecordedOnly: (source: unknown, expected: unknown, criteria?: unknown) => MatcherResult
  readonly toHaveRecordedNothing: (source: unknown) => MatcherResult
}

/**
 * `expect(sink).toHaveRecorded('kms.decrypt', { key: 'orders' })` and the others of `expectEntries`, for
 * `expect.extend(keytrailMatchers)`. `import 'keytrail/testing/vitest'` and `import 'keytrail/testing/jest'` do that, and tell
 * TypeScript.
 */
export const keytrailMatchers: KeytrailMatchers = {
  toHaveRecorded: (source, action, criteria) => recorded(entriesOf(source), action, criteria),
  toHaveRecordedInOrder: (source, expected) => recordedInOrder(entriesOf(source), expected),
  toHaveRecordedOnly: (source, expected, criteria) => recordedOnly(entriesOf(source), expected, criteria),
  toHaveRecordedNothing: (source) => recordedNothing(entriesOf(source)),
}
