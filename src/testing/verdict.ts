/** Judging entries: whether they are as expected, and why, in words that a test's reader understands without the code. */
import type { AuditEntry } from '../model/entry.ts'
import { jsonText } from '../model/line.ts'
import { type Expectation, type ExpectedEntry, expectationOf, isOfLog } from './criteria.ts'
import { show, showDifference } from './difference.ts'
import { refusal } from './known.ts'
import { summary } from './summary.ts'

/** What a runner's matcher answers, and what an assertion is thrown of. */
export interface Verdict {
  readonly pass: boolean
  /** Why it does not pass; or why it does, where it should not. */
  message(): string
  /** For the runner's own comparison, of the same shape each. */
  readonly expected: unknown
  readonly actual: unknown
  /** The entries that are as expected. */
  readonly matching: readonly AuditEntry[]
}

/** At least one entry, or `times`, is as expected. */
export function recorded(entries: readonly AuditEntry[], action: unknown, criteria: unknown): Verdict {
  const expectation = expectationOf(action, criteria, actionsOf(entries))
  const { times, words } = expectation
  const matching = entries.filter((entry) => isAs(expectation, entry))
  const pass = times === undefined ? matching.length > 0 : matching.length === times
  const found = placesOf(matching, entries)
  return {
    pass,
    matching,
    message: () =>
      pass
        ? paragraphs(`expected no entry ${words}, and found ${found}`, listOf(matching, entries))
        : paragraphs(
            times === undefined
              ? `expected an entry ${words}, and found none`
              : `expected ${counted(times)} ${words}, and found ${matching.length === 0 ? 'none' : `${matching.length}: ${found}`}`,
            matching.length < (times ?? 1) ? nearestTo(expectation, entries) : undefined,
            everythingOf(entries),
          ),
    ...(pass ? { expected: `no entry ${words}`, actual: summary(matching) } : compared(expectation, entries)),
  }
}

/** The entries are there in this order; others may stand between them. */
export function recordedInOrder(entries: readonly AuditEntry[], expected: unknown): Verdict {
  const steps = expectationsOf(expected, entries).flatMap((step) => Array<Expectation>(step.times ?? 1).fill(step))
  const matching: AuditEntry[] = []
  let from = 0
  for (const step of steps) {
    const at = entries.findIndex((entry, index) => index >= from && isAs(step, entry))
    const entry = entries[at]
    if (entry === undefined) break
    matching.push(entry)
    from = at + 1
  }
  const missing = steps[matching.length]
  return {
    pass: missing === undefined,
    matching,
    expected: steps.map(({ words }) => words),
    actual: summary(entries.filter((entry) => !isOfLog(entry))),
    message: () =>
      paragraphs(
        `expected ${missing === undefined ? 'not ' : ''}in this order:\n${steps.map(({ words }, at) => `  ${at + 1}. ${words}${matching[at] === undefined ? '' : ` (${placesOf([matching[at]], entries)})`}`).join('\n')}`,
        missing && `found no ${missing.words}${from === 0 ? '' : ` after entry ${from}`}${elsewhere(missing, entries)}`,
        everythingOf(entries),
      ),
  }
}

/** Each expectation is met, and nothing else was recorded. */
export function recordedOnly(entries: readonly AuditEntry[], expected: unknown, criteria?: unknown): Verdict {
  if (typeof expected !== 'string' && criteria !== undefined)
    throw refusal('criteria stand in the list, beside their action: [action, criteria]')
  const expectations = expectationsOf(typeof expected === 'string' ? [[expected, criteria]] : expected, entries)
  const looked = lookedAt(entries, expectations)
  const matching = looked.filter((entry) => expectations.some((expectation) => isAs(expectation, entry)))
  const others = looked.filter((entry) => !matching.includes(entry))
  const unmet = expectations
    .map((expectation) => ({ expectation, count: looked.filter((entry) => isAs(expectation, entry)).length }))
    .filter(({ expectation: { times }, count }) => (times === undefined ? count === 0 : count !== times))
  const pass = others.length === 0 && unmet.length === 0
  return {
    pass,
    matching,
    expected: expectations.map(({ words }) => words),
    actual: summary(looked),
    message: () =>
      paragraphs(
        `expected ${pass ? 'more or other entries than' : 'only'} ${expectations.map(({ words }) => words).join(', ')}`,
        unmet
          .map(({ expectation: { words, times = 1 }, count }) => `found ${count}, not ${times}, of ${words}`)
          .join('\n'),
        others.length > 0 ? `found besides:\n${listOf(others, entries)}` : undefined,
        everythingOf(entries),
      ),
  }
}

/** No entry but those of the log about itself. */
export function recordedNothing(entries: readonly AuditEntry[]): Verdict {
  const found = entries.filter((entry) => !isOfLog(entry))
  return {
    pass: found.length === 0,
    matching: found,
    expected: [],
    actual: summary(found),
    message: () =>
      found.length === 0
        ? paragraphs('expected entries, and found none', everythingOf(entries))
        : paragraphs(`expected no entry, and found ${found.length}`, listOf(found, entries)),
  }
}

function isAs(expectation: Expectation, entry: AuditEntry): boolean {
  return expectation.differencesTo(entry).length === 0
}

function expectationsOf(expected: unknown, entries: readonly AuditEntry[]): readonly Expectation[] {
  if (!Array.isArray(expected) || expected.length === 0)
    throw refusal(`a list of actions, or of [action, criteria], is needed; not ${show(expected)}`)
  return expected.map((one: ExpectedEntry) => {
    const [action, criteria, ...rest]: readonly unknown[] = Array.isArray(one) ? one : [one]
    if (rest.length > 0) throw refusal(`an entry is expected as an action or [action, criteria], not ${show(one)}`)
    return expectationOf(action, criteria, actionsOf(entries))
  })
}

/**
 * Of what `recordedOnly` looks at: results and amendments; intents whose result is not there; other intents and the log's own
 * entries if an expectation asks for them.
 */
function lookedAt(entries: readonly AuditEntry[], expectations: readonly Expectation[]): readonly AuditEntry[] {
  const asksForLog = expectations.some(({ action }) => action.startsWith('audit'))
  const asksForIntents = expectations.some(({ criteria: { phase } }) => phase === 'intent' || phase === 'any')
  const closed = new Set(entries.filter(({ phase }) => phase === 'result').map(({ operationID }) => operationID))
  return entries.filter((entry) => {
    if (isOfLog(entry) && !asksForLog) return false
    return entry.phase !== 'intent' || asksForIntents || !closed.has(entry.operationID)
  })
}

function actionsOf(entries: readonly AuditEntry[]): readonly string[] {
  return entries.map(({ action }) => action)
}

/** Wanted and found side by side: what is as wanted is the same in both, so that a comparison shows only what differs. */
function compared(
  expectation: Expectation,
  entries: readonly AuditEntry[],
): { readonly expected: unknown; readonly actual: unknown } {
  const { action, criteria, times } = expectation
  const expected = { action, ...criteria }
  const count = entries.filter((entry) => isAs(expectation, entry)).length
  if (times !== undefined && count > 0) return { expected, actual: { ...expected, times: count } }
  const [nearest] = ranked(expectation, entries)
  if (nearest === undefined) return { expected, actual: summary(entries.filter((entry) => !isOfLog(entry))) }
  const actual = nearest.differences.reduce<object>(
    (changed, { at, found }) => withField(changed, at.split('.'), found),
    expected,
  )
  return { expected, actual }
}

function withField(value: unknown, [name = '', ...deeper]: readonly string[], found: unknown): object {
  const fields = typeof value === 'object' && value !== null ? value : {}
  const before: unknown = new Map(Object.entries(fields)).get(name)
  return { ...fields, [name]: deeper.length === 0 ? found : withField(before, deeper, found) }
}

interface Ranked {
  readonly entry: AuditEntry
  readonly differences: ReturnType<Expectation['differencesTo']>
}

/** Entries that differ, the nearest first: of the same action, or else such as differ in nothing but their action. */
function ranked(expectation: Expectation, entries: readonly AuditEntry[]): readonly Ranked[] {
  const saysMore = Object.keys(expectation.criteria).some((name) => name !== 'times')
  return entries
    .map((entry) => ({ entry, differences: expectation.differencesTo(entry) }))
    .filter(({ entry, differences: [first, ...more] }) => {
      if (first?.at !== 'action') return first !== undefined
      return saysMore && more.length === 0 && !isOfLog(entry)
    })
    .sort((a, b) => distanceOf(a) - distanceOf(b))
}

function distanceOf({ differences }: Ranked): number {
  return differences.length + (differences[0]?.at === 'action' ? 100 : 0)
}

const maxNearest = 3

function nearestTo(expectation: Expectation, entries: readonly AuditEntry[]): string | undefined {
  const all = ranked(expectation, entries)
  const [first] = all
  if (first === undefined) return undefined
  const nearest = all.filter((other) => distanceOf(other) === distanceOf(first)).slice(0, maxNearest)
  const told = nearest.map(({ entry, differences }) => {
    const lines = differences.map((difference) => `    ${showDifference(difference)}`)
    return [listOf([entry], entries), ...lines].join('\n')
  })
  return `nearest:\n${told.join('\n')}`
}

function elsewhere(expectation: Expectation, entries: readonly AuditEntry[]): string {
  const found = entries.filter((entry) => isAs(expectation, entry))
  return found.length === 0 ? '' : `; there is one earlier: ${placesOf(found, entries)}`
}

const maxListed = 30

/** All that was recorded, but for the log's own entries. */
function everythingOf(entries: readonly AuditEntry[]): string {
  const told = entries.filter((entry) => !isOfLog(entry))
  if (told.length === 0) return 'nothing was recorded'
  const left = told.length - maxListed
  const before = left > 0 ? `  … and ${left} before these\n` : ''
  return `recorded:\n${before}${listOf(told.slice(-maxListed), entries)}`
}

/** A line each, with their number among `all`; escaped, because a terminal will show it. */
function listOf(entries: readonly AuditEntry[], all: readonly AuditEntry[]): string {
  const width = String(all.length).length
  return entries
    .map(
      (entry) =>
        `  ${String(all.indexOf(entry) + 1).padStart(width)}  ${jsonText(summary([entry]).join()).slice(1, -1)}`,
    )
    .join('\n')
}

/** Such as `entry 3` or `entries 2, 4, 5`. */
function placesOf(entries: readonly AuditEntry[], all: readonly AuditEntry[]): string {
  const numbers = entries.map((entry) => all.indexOf(entry) + 1)
  return `${numbers.length === 1 ? 'entry' : 'entries'} ${numbers.join(', ')}`
}

function counted(times: number): string {
  return times === 1 ? 'exactly 1 entry' : `${times} entries`
}

function paragraphs(...parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join('\n\n')
}
