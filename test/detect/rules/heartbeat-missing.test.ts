import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDetector } from '../../../src/detect/detector.ts'
import { exampleStart, playExample, type Step } from '../../../src/detect/example.ts'
import { heartbeatMissing } from '../../../src/detect/rules/heartbeat-missing.ts'

const hour = 3_600_000

function watched(...steps: readonly Step[]) {
  const detector = createDetector([heartbeatMissing])
  for (const entry of playExample({ says: '', findings: 0, steps }).entries) assert.deepEqual(detector.take(entry), [])
  return detector
}

test('nothing comes any more at all: the time alone tells it, once, with the last entry', () => {
  const detector = watched({ action: 'kms.encrypt', times: 4, every: '10m' })
  const last = exampleStart + hour / 2
  assert.deepEqual(detector.advance(last + 2 * hour), [])
  const [finding, ...others] = detector.advance(last + 3 * hour)
  assert.ok(finding !== undefined && others.length === 0)
  assert.equal(finding.says, 'main is silent for 2 hours, without its heartbeat')
  assert.deepEqual(finding.subject, { instance: 'main-example1' })
  assert.equal(finding.evidence[0]?.endsWith('3'), true)
  assert.deepEqual(detector.advance(last + 500 * hour), [])
})

test('after its clock was set back by a day it is watched by the new time', () => {
  const detector = watched(
    { action: 'kms.encrypt' },
    { action: 'kms.encrypt', with: { createdAt: new Date(exampleStart - 24 * hour).toISOString() } },
  )
  assert.equal(detector.advance(exampleStart - 21 * hour).length, 1)
})

test('of two that write under one name a start replaces only the latest, and whoever writes again is watched again', () => {
  const detector = watched(
    { action: 'kms.encrypt', with: { instance: 'main-a', sequence: 0 } },
    { action: 'audit.opened', with: { instance: 'main-b', sequence: 0 } },
    { action: 'kms.encrypt', after: '10m', with: { instance: 'main-a', sequence: 1 } },
    { action: 'audit.closed', with: { instance: 'main-b', sequence: 1 } },
  )
  assert.deepEqual(
    detector.advance(exampleStart + 5 * hour).map(({ subject }) => subject),
    [{ instance: 'main-a' }],
  )
})

test('a heartbeat that tells of a hundred years, or of nothing, is not believed', () => {
  for (const idleMs of [1e15, 0, -5]) {
    const detector = watched({ action: 'audit.heartbeat', with: { details: { idleMs } } })
    assert.equal(detector.advance(exampleStart + 15 * 24 * hour).length, 1)
  }
})

test('periods below one are refused', () => {
  assert.throws(() => heartbeatMissing.withParameters({ periods: 0.5 }), { code: 'INVALID_INPUT', message: /periods/ })
})
