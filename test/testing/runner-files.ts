/** Test files for projects of other runners: with tests that must fail, that must pass, and for TypeScript. */

/** What fails, and what the runner must show of it. */
export const explained: readonly { readonly assertion: string; readonly lines: readonly string[] }[] = [
  {
    assertion: "expect(sink).toHaveRecorded('kms.decrypt', { key: 'orders', actor: 'bob' })",
    lines: ['actor: expected "bob", found "alice"', 'kms.decrypt success orders v1'],
  },
  {
    assertion: "expect(sink).toHaveRecorded('kms.encrypt', { times: 2 })",
    lines: ['expected 2 entries kms.encrypt { times: 2 }, and found 1: entry 4'],
  },
  {
    assertion: "expect(sink).not.toHaveRecorded('kms.decrypt')",
    lines: ['expected no entry kms.decrypt, and found entry 5'],
  },
  {
    assertion: "expect(sink).toHaveRecordedInOrder(['kms.decrypt', 'kms.encrypt'])",
    lines: ['found no kms.encrypt after entry 5; there is one earlier: entry 4'],
  },
  {
    assertion: "expect(sink).toHaveRecordedOnly('kms.*')",
    lines: ['expected only kms.*', 'found besides:'],
  },
  { assertion: 'expect(sink).toHaveRecordedNothing()', lines: ['expected no entry, and found 4'] },
  {
    assertion: "expect(sink).not.toHaveRecorded('kms.decrypt', { actr: 'bob' })",
    lines: ["unknown criterion 'actr': did you mean 'actor'?"],
  },
  {
    assertion: "expect(sink).not.toHaveRecorded('kms.decypt')",
    lines: ["unknown action 'kms.decypt': did you mean 'kms.decrypt'?"],
  },
  {
    assertion: "expect(sink).not.toHaveRecorded('kms.decrypt', { actor: undefined })",
    lines: ['actor is undefined: leave it out'],
  },
  {
    assertion: "expectEntries(sink).toHaveRecorded('kms.decrypt', { actor: 'eve' })",
    lines: ['actor: expected "eve", found "alice"'],
  },
  { assertion: "expect(undefined).not.toHaveRecorded('kms.decrypt')", lines: ['assert on a sink with entries'] },
]

/** A test for each of these. */
export function failingFile(from: string, subpath: string): string {
  return `${storyOf(from, subpath)}
${explained.map(({ assertion }, at) => `test('number ${at}', () => {\n  ${assertion}\n})`).join('\n')}
`
}

/** The same with the plain form of the assertions. */
export function plain(file: string): string {
  return file
    .replace("import { expect, test } from 'node:test'", "import { test } from 'node:test'")
    .replace("import 'keytrail/testing'", "import { expectEntries as expect } from 'keytrail/testing'")
}

function storyOf(from: string, subpath: string): string {
  return `import { expect, test } from '${from}'
import '${subpath}'
import { KmsClient } from 'keytrail'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'
import { expectEntries } from 'keytrail/testing'

const sink = memorySink()
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] } })
await kms.createKey({ slug: 'orders' })
const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: new Uint8Array(3) })
await kms.with({ actor: { type: 'user', id: 'alice' } }).decrypt({ key: 'orders', ciphertext })
`
}

/** Tests with `not`, and with a matcher of the runner's own, that must pass. */
export function turnedFile(from: string, subpath: string): string {
  return `${storyOf(from, subpath)}
test('turned around', () => {
  expect(sink).not.toHaveRecorded('kms.decrypt', { actor: 'bob' })
  expect(sink).not.toHaveRecordedInOrder(['kms.decrypt', 'kms.encrypt'])
  expect(sink).not.toHaveRecordedOnly('kms.*')
  expect(sink).not.toHaveRecordedNothing()
  expect(sink).toHaveRecordedOnly(['kms_key.create', 'kms.encrypt', ['kms.decrypt', { actor: expect.any(String) }]])
  expect([]).toHaveRecordedNothing()
})
`
}

/** What TypeScript must take, and what it must not. Without `from` the runner's globals are used. */
export function typesOf(from: string, subpath: string): string {
  const imported = from === '' ? '' : `import { expect } from '${from}'\n`
  return `${imported}import '${subpath}'
import { memorySink } from 'keytrail/sinks/memory'
import { keytrailMatchers } from 'keytrail/testing'

expect.extend(keytrailMatchers)
const sink = memorySink()
expect(sink).toHaveRecorded('kms.decrypt', { key: /^ord/, outcome: 'success', error: null, times: 2 })
expect(sink).toHaveRecorded('kms.decrypt', { payloadSizes: { plaintext: expect.any(Number) } })
expect(sink).not.toHaveRecorded('kms.decrypt')
expect(sink.entries).toHaveRecordedInOrder(['kms.encrypt', ['kms.decrypt', { actor: { type: 'user' } }]])
expect(sink).toHaveRecordedOnly('kms.*', { phase: 'any' })
expect(sink).not.toHaveRecordedNothing()
// @ts-expect-error
expect(sink).toHaveRecorded('kms.decrypt', { outcom: 'success' })
// @ts-expect-error
expect(sink).toHaveRecorded('kms.decrypt', { outcome: 'sucess' })
// @ts-expect-error
expect(sink).toHaveRecorded('kms.decrypt', { keyVersion: '1' })
// @ts-expect-error
expect(sink).toHaveRecorded()
// @ts-expect-error
expect(sink).toHaveRecordedd('kms.decrypt')
`
}
