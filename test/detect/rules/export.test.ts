/** @node What a finding of an export says of where the key material went. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDetector } from '../../../src/detect/detector.ts'
import { playExample, type Step } from '../../../src/detect/example.ts'
import { exported } from '../../../src/detect/rules/export.ts'
import type { EntryDetails } from '../../../src/model/entry.ts'

function told(steps: readonly Step[]): readonly string[] {
  const detector = createDetector([exported])
  const { entries } = playExample({ says: '', findings: 0, steps })
  return entries.flatMap((entry) => detector.take(entry).map(({ says }) => says))
}

const result = (details: EntryDetails): Step => ({ action: 'kms.export', with: { operationID: 'op-1', details } })

test('recipient and form come from the result, or from the intent where recovery wrote the result', () => {
  const details = { form: 'wrapped', recipient: 'sha256:ab' }
  const intent = { phase: 'intent', outcome: 'pending', operationID: 'op-1', details } as const
  assert.deepEqual(told([{ action: 'kms.export', with: intent }, result({ recovered: true })]), [
    'serviceAccount:api exported key orders wrapped for sha256:ab, without a reason',
  ])
  assert.deepEqual(told([result({ form: 'wrapped' }), result({ form: 'jwk' }), result({})]), [
    'serviceAccount:api exported key orders wrapped, without a reason',
    'serviceAccount:api exported key orders in the clear (jwk), without a reason',
    'serviceAccount:api exported key orders in a form that the log does not tell, without a reason',
  ])
})

test('an intent is forgotten with its result: another call does not borrow from it', () => {
  const details = { form: 'wrapped', recipient: 'sha256:ab' }
  const intent = { phase: 'intent', outcome: 'pending', operationID: 'op-1', details } as const
  const [, second = ''] = told([{ action: 'kms.export', with: intent }, result(details), result({ recovered: true })])
  assert.match(second, /in a form that the log does not tell/)
})

test('text from entries is shown as text', () => {
  const [says = ''] = told([
    {
      action: 'kms.export',
      with: { keySlug: 'a\u001b[2J\u202eb', reason: { code: 'x\ny' }, details: { form: 'raw' } },
    },
  ])
  assert.doesNotMatch(says, /[\u0000-\u001f\u202e]/)
})
