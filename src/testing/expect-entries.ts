/** Assertions on what was recorded, in plain form: they throw, so that every runner understands them. */
import type { AuditEntry } from '../model/entry.ts'
import type { EntryCriteria, ExpectedEntry } from './criteria.ts'
import { type EntrySource, entriesOf } from './subject.ts'
import { recorded, recordedInOrder, recordedNothing, recordedOnly, type Verdict } from './verdict.ts'

/** What can be asserted of entries; `R` is what a runner makes of it. */
export interface EntryMatchers<R = void> {
  /**
   * An entry of `action` (`kms.decrypt`; `kms.*` for all that begin so, but never the log's own `audit.…` unless named) meets the
   * criteria; or exactly `times` do.
   */
  toHaveRecorded(action: string, criteria?: EntryCriteria): R
  /** These entries are there in this order, others may be between; `times` means so many, one after another. */
  toHaveRecordedInOrder(expected: readonly ExpectedEntry[]): R
  /**
   * Every entry meets one of these, and each of these is met, `times` times or at least once. Looked at are results and
   * amendments, and intents whose result is missing; not the log's own entries, unless one of these is of them.
   */
  toHaveRecordedOnly(expected: string | readonly ExpectedEntry[], criteria?: EntryCriteria): R
  /** No entry at all, but for what the log says of itself (`audit.opened` …). */
  toHaveRecordedNothing(): R
}

/** The same, turned around; and what `toHaveRecorded` found. */
export interface EntryExpectations extends EntryMatchers {
  readonly not: EntryMatchers
  /** As above; returns the matching entries, to be looked at further. */
  toHaveRecorded(action: string, criteria?: EntryCriteria): readonly AuditEntry[]
}

/**
 * Asserts on the entries that `source` holds when the assertion is made. What does not hold is an `AssertionError` with
 * what was expected, what came nearest, and all that was recorded.
 *
 * @throws KmsError `INVALID_INPUT` for an action, criterion or value that there is not: a typo never passes, and never fails
 * as if it were the program's fault.
 * @example
 * ```ts
 * const sink = memorySink()
 * const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] } })
 * // …
 * expectEntries(sink).toHaveRecorded('kms.decrypt', { key: 'orders', outcome: 'success', actor: 'alice' })
 * expectEntries(sink).not.toHaveRecorded('kms.export')
 * ```
 */
export function expectEntries(source: EntrySource): EntryExpectations {
  return { ...assertions(source, 'is'), not: assertions(source, 'is not') }
}

function assertions(source: EntrySource, demanded: 'is' | 'is not'): Omit<EntryExpectations, 'not'> {
  function hold(operator: keyof EntryMatchers, verdict: Verdict): Verdict {
    if (verdict.pass === (demanded === 'is')) return verdict
    throw assertionError(demanded === 'is' ? operator : `not.${operator}`, verdict)
  }
  return {
    toHaveRecorded: (action, criteria) =>
      hold('toHaveRecorded', recorded(entriesOf(source), action, criteria)).matching,
    toHaveRecordedInOrder(expected) {
      hold('toHaveRecordedInOrder', recordedInOrder(entriesOf(source), expected))
    },
    toHaveRecordedOnly(expected, criteria) {
      hold('toHaveRecordedOnly', recordedOnly(entriesOf(source), expected, criteria))
    },
    toHaveRecordedNothing() {
      hold('toHaveRecordedNothing', recordedNothing(entriesOf(source)))
    },
  }
}

/** A verdict, not an error of the library: of the shape of Node's AssertionError, which test runners know how to show. */
function assertionError(operator: string, { message, expected, actual }: Verdict): Error {
  const facts = { name: 'AssertionError', code: 'ERR_ASSERTION', generatedMessage: false, expected, actual, operator }
  return Object.assign(new Error(message()), facts)
}
