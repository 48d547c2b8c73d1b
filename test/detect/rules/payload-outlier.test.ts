/** What no payload can have must not become what is usual. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDetector } from '../../../src/detect/detector.ts'
import { playExample, type Step } from '../../../src/detect/example.ts'
import { everyRule } from '../../../src/detect/shipped.ts'

const sized = (plaintext: number) => ({ payloadSizes: { plaintext } })

test('a size that an entry was given afterwards hides nothing that follows', () => {
  for (const odd of [-1, -1e300, 1e308, 2 ** 53]) {
    const steps: readonly Step[] = [
      { action: 'kms.decrypt', times: 240, every: '1h', with: sized(300) },
      { action: 'kms.decrypt', times: 3, with: sized(odd) },
      { action: 'kms.decrypt', times: 48, every: '1h', with: sized(300) },
      { action: 'kms.decrypt', times: 10, every: '10s', after: '1h', with: sized(500_000) },
    ]
    const detector = createDetector(everyRule.filter(({ id }) => id === 'payload-outlier'))
    const findings = playExample({ says: '', findings: 0, steps }).entries.flatMap((entry) => [...detector.take(entry)])
    assert.deepEqual(
      findings.map(({ level }) => level),
      ['medium'],
      `${odd}`,
    )
  }
})
