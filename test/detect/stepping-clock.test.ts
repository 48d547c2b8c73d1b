/** Rules of volume and novelty when the clock is wrong for a while: no flood of findings, and what happens afterwards is found. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createDetector } from '../../src/detect/detector.ts'
import type { Step } from '../../src/detect/example.ts'
import { playExample } from '../../src/detect/example.ts'
import type { Finding } from '../../src/detect/finding.ts'
import { everyRule } from '../../src/detect/shipped.ts'
import type { AuditEntry } from '../../src/model/entry.ts'

const hour = 3_600_000
const day = 24 * hour

/** What rules find that compare with what was before. */
const rules = everyRule.filter(({ id }) =>
  [
    ...['decrypt-volume', 'decrypt-cap', 'first-use', 'new-network', 'new-agent'],
    ...['decrypt-ratio', 'payload-outlier', 'many-keys', 'old-version'],
  ].includes(id),
)

/** Eight actors, each with keys, a network and a program of its own, around the clock. */
function ordinary(days: number): Step {
  return {
    action: 'kms.decrypt',
    after: '1s',
    times: days * 144,
    every: '10m',
    with: (number) => ({
      actor: { type: 'serviceAccount', id: `s${number % 8}` },
      context: { clientIp: `10.${number % 8}.0.1`, userAgent: `svc${'abcdefgh'[number % 8]}/1.0` },
      ...keyOf(number % 8),
      payloadSizes: { plaintext: 300 },
    }),
  }
}

function keyOf(number: number) {
  return { resourceIdentity: `kms-${number}`, keySlug: `k${number}` }
}

/** One of them from elsewhere, with another program, every key, in bulk. */
const attack: Step = {
  action: 'kms.decrypt',
  after: '1m',
  times: 600,
  with: (number) => ({
    actor: { type: 'serviceAccount', id: 's1' },
    context: { clientIp: '203.0.113.7', userAgent: 'curl/8.5' },
    ...keyOf(number % 40),
    payloadSizes: { plaintext: 60_000 },
  }),
}

const foundByAttack = ['decrypt-volume', 'first-use', 'many-keys', 'new-agent', 'new-network', 'payload-outlier']

interface Played {
  readonly before: readonly Finding[]
  readonly found: ReadonlySet<string>
}

/** Ordinary life, its times changed, and then the attack. */
function play(changed: (at: number, number: number) => number): Played {
  const { entries } = playExample({ says: '', findings: 0, steps: [ordinary(45), attack] })
  const first = Date.parse(entries[0]?.createdAt ?? '')
  const detector = createDetector(rules)
  const take = (entry: AuditEntry, number: number) =>
    detector.take({
      ...entry,
      createdAt: new Date(first + changed(Date.parse(entry.createdAt) - first, number)).toISOString(),
    })
  const quiet = entries.length - 600
  const before = entries.slice(0, quiet).flatMap((entry, number) => [...take(entry, number)])
  const found = entries.slice(quiet).flatMap((entry, number) => [...take(entry, quiet + number)])
  assert.deepEqual(detector.health().failed, {})
  return { before, found: new Set(found.map(({ rule }) => rule)) }
}

const cases: Readonly<Record<string, (at: number, number: number) => number>> = {
  'a clock that is right': (at) => at,
  'set back by an hour': (at) => (at > 30 * day ? at - hour : at),
  'set back by ten days': (at) => (at > 30 * day ? at - 10 * day : at),
  'set back by a year': (at) => (at > 30 * day ? at - 365 * day : at),
  'a year ahead for a moment': (at, number) => (number >= 4320 && number < 4323 ? at + 365 * day : at),
  'a year ahead for an hour, again and again': (at, number) => (number % 1000 < 6 ? at + 365 * day : at),
  'two writers, five minutes apart': (at, number) => at - (number % 2) * 300_000,
  'two writers, half an hour apart': (at, number) => at - (number % 2) * 1_800_000,
}

describe('ordinary life tells nothing, and the attack is found', () => {
  for (const [name, changed] of Object.entries(cases))
    test(name, () => {
      const { before, found } = play(changed)
      assert.deepEqual(
        before.map(({ says }) => says),
        [],
      )
      assert.deepEqual(
        foundByAttack.filter((rule) => !found.has(rule)),
        [],
      )
    })
})
