import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDetector } from '../../../src/detect/detector.ts'
import { playExample, type Step } from '../../../src/detect/example.ts'
import type { Finding } from '../../../src/detect/finding.ts'
import { shippedRules } from '../../../src/detect/shipped.ts'

/** What the rule finds, told without what the examples hold it to already. */
function told(id: string, ...steps: readonly Step[]) {
  const detector = createDetector(shippedRules().filter((rule) => rule.id === id))
  const { entries, end } = playExample({ says: '', findings: 0, steps })
  const findings: readonly Finding[] = [
    ...entries.flatMap((entry) => [...detector.take(entry)]),
    ...detector.advance(end + 600_000),
  ]
  return findings.map(({ level, subject, count, says }) => ({ level, subject, count, says }))
}

const wrong = { outcome: 'failure' } as const

test('repeated-400 names the actor, and the key where there is one', () => {
  assert.deepEqual(told('repeated-400', { action: 'kms.decrypt', times: 10, with: wrong }), [
    {
      level: 'medium',
      subject: { actor: 'serviceAccount:api', key: 'orders' },
      count: 10,
      says: '10 calls by serviceAccount:api with key orders were refused within 15 minutes',
    },
  ])
  const [probing] = told('repeated-400', {
    ...{ action: 'kms.decrypt', times: 10 },
    with: (number) => ({ ...wrong, keySlug: `k${number % 4}` }),
  })
  assert.deepEqual(probing?.subject, { actor: 'serviceAccount:api' })
  assert.equal(
    probing?.says,
    '10 calls by serviceAccount:api with 4 keys were refused within 15 minutes: it looks like probing',
  )
  const [ofKey] = told('repeated-400', {
    ...{ action: 'kms.decrypt', times: 10 },
    with: (number) => ({
      ...wrong,
      actor: { type: 'user', id: `u${number}` },
      context: { clientIp: `192.0.2.${number}` },
    }),
  })
  assert.deepEqual(ofKey?.subject, { key: 'orders' })
  assert.match(ofKey?.says ?? '', /^10 calls of key orders, by user:u0, .* and 5 more, were refused/)
})

test('ciphertext-swapping and forgery-attempts name who and what, once', () => {
  const swapped = { ...wrong, details: { decryptFailure: 'authentication_failed' } } as const
  assert.deepEqual(told('ciphertext-swapping', { action: 'kms.decrypt', times: 4, with: swapped }), [
    {
      level: 'medium',
      subject: { key: 'orders', actor: 'serviceAccount:api' },
      count: 3,
      says: '3 decryptions with key orders by serviceAccount:api failed within 60 minutes although the key fits: ciphertexts or their contexts were changed or swapped',
    },
  ])
  assert.deepEqual(told('forgery-attempts', { action: 'kms.verify_hmac', times: 10, with: { valid: false } }), [
    {
      level: 'medium',
      subject: { key: 'orders', actor: 'serviceAccount:api' },
      count: 10,
      says: '10 signatures or MACs of key orders, given by serviceAccount:api, did not hold within 15 minutes',
    },
  ])
})

test('a burst of forgeries does not become what is usual: the next day it is found again', () => {
  const valid: Step = { action: 'kms.verify', times: 1500, every: '20s', with: { valid: true } }
  const forged: Step = { action: 'kms.verify', times: 90, every: '15s', with: { valid: false } }
  const some: Step = { ...valid, times: 90, every: '10s', with: (number) => ({ valid: number % 5 !== 0 }) }
  const found = (...steps: readonly Step[]) => told('forgery-attempts', ...steps).length
  const before = found(valid, forged)
  assert.ok(before > 0)
  assert.equal(found(valid, forged, { ...valid, times: 200 }, some), before + 1)
})

test('denied-actions counts a program that goes on for days once in three days', () => {
  const denied = { ...wrong, statusCode: 403, error: 'ACCESS_DENIED' } as const
  const found = told('denied-actions', { action: 'kms.decrypt', times: 8 * 24 * 6, every: '10m', with: denied })
  assert.deepEqual(found.map(({ count }) => count)[0], 50)
  assert.equal(found.length, 3)
})

test('sink-down, when nothing comes after it', () => {
  const sinks = [{ name: 'siem', durability: 'remote', required: false }] as const
  const opened: Step = { action: 'audit.opened', with: { details: { sinks } } }
  assert.deepEqual(told('sink-down', opened, { action: 'audit.sink_down', with: { details: { sink: 'siem' } } }), [
    {
      level: 'low',
      subject: { sink: 'siem', instance: 'main-example1' },
      count: 1,
      says: 'sink siem of main is down for 60 seconds: its copy of the log stands still',
    },
  ])
})

test('field-policy-changed says what was and what is', () => {
  const [changed] = told(
    'field-policy-changed',
    {
      action: 'audit.opened',
      with: { instance: 'main-a', sequence: 0, details: { fields: 'clientIp=full drop=route' } },
    },
    { action: 'audit.opened', with: { instance: 'main-b', sequence: 0, details: { fields: 'clientIp=prefix' } } },
  )
  assert.equal(
    changed?.says,
    'the log of main is kept in another way since this start: clientIp was full and is prefix; drop was route and is nothing',
  )
  assert.deepEqual([changed?.level, changed?.count], ['medium', 2])
})
