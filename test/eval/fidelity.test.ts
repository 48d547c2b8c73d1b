/** Generated entries have the fields that keytrail's own have: held against the golden afternoon, and a Secrets Manager at work. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { AuditEntry } from '../../src/model/entry.ts'
import { rig } from '../integrations/secrets-manager/rig.ts'
import { attacks } from './attacks.ts'
import { liveOn } from './ordinary.ts'

const golden = new URL('../golden/entries.jsonl', import.meta.url)

/** What a caller may say or leave out, and what a key may have or not. */
const optional =
  /^(?:context|origin|reason|encryptionContext|payloadSizes\.encryptionContext|actor\.name|actor\.source|latestVersion|details\.(?:algorithm|recipient|count|keyRotationEnabled|rotationPeriodInDays|exportAllowed|minDecryptionVersion|wrappingKey|messages|messageLimit|flags|because|form|rule))/

// Two attacks have entries say less than they should.
const lessening = ['secret-read-without-decrypt', 'reopened-under-another-field-policy']
const whole = attacks.filter(({ kind }) => !lessening.includes(kind))
const generated = [...liveOn({ seed: 21, scale: 0.002, attacks: whole }).entries].filter(
  ({ details }) => details?.joined === undefined,
)

test('as in the golden afternoon', () => {
  const lines = readFileSync(golden, 'utf8').trimEnd().split('\n')
  // Lines of entries, masked.
  const real = lines.map((line) => JSON.parse(line) as AuditEntry)
  const compared = compare(real)
  for (const needed of [
    'kms.encrypt result success',
    'kms.encrypt result KEY_NOT_FOUND',
    'kms.decrypt result success',
    'kms.decrypt result INVALID_CIPHERTEXT authentication_failed',
    'kms.sign result success',
    'kms.verify result success',
    'kms.verify result success false',
    'kms.hmac result success',
    'kms.verify_hmac result success',
    'kms.rotate intent pending',
    'kms.rotate result success',
    'kms.rotate.scheduled intent pending',
    'kms.rotate.scheduled result success',
    'kms.export intent pending',
    'kms.export result success',
    'kms.generate_data_key result success',
    'kms.re_encrypt result success',
    'kms_key.create intent pending',
    'kms_key.create result success',
    'kms_key.get_public_key result success',
    'kms_key.describe result success',
    'kms_key.list result success',
    'kms_key.update result success',
    'kms_key.disable result success',
    'kms_key.enable result success',
    'kms_key.delete result success',
    'kms_key.cancel_deletion result success',
    'audit.opened result success',
    'audit.closed result success',
  ])
    assert.ok(compared.has(needed), needed)
  assert.ok(compared.size > 24, [...compared].join(', '))
})

test('as of a Secrets Manager', async () => {
  const { secrets, entries } = await rig()
  await secrets.create({ path: '/billing/database', key: 'orders', secretString: 'one' })
  await secrets.put({ path: '/billing/database', secretString: 'two' })
  await secrets.get({ path: '/billing/database' })
  await secrets.updatePolicy({ path: '/billing/database', policy: null })
  await assert.rejects(secrets.get({ path: '/billing/nothing' }))
  const compared = compare(entries().filter(({ action }) => action.startsWith('secret.')))
  for (const needed of [
    'secret.put_value intent pending',
    'secret.put_value result success',
    'secret.get_value result success',
    'secret.get_value result SECRET_NOT_FOUND',
    'secret.update_policy intent pending',
    'secret.update_policy result success',
  ])
    assert.ok(compared.has(needed), needed)
  await secrets.close()
})

/** Kinds of entries that both have; for each the fields must be the same. */
function compare(real: readonly AuditEntry[]): ReadonlySet<string> {
  const ours = new Map<string, Set<string>>()
  for (const entry of generated) ours.set(kindOf(entry), (ours.get(kindOf(entry)) ?? new Set()).add(fieldsOf(entry)))
  const compared = new Set<string>()
  for (const entry of real) {
    const kind = kindOf(entry)
    const made = ours.get(kind)
    // Here one leaves the type to the KMS, which the company never does.
    const isShort = entry.action === 'kms_key.create' && entry.keyType === undefined
    if (made === undefined || isShort) continue
    compared.add(kind)
    assert.deepEqual([...made], [fieldsOf(entry)], kind)
  }
  return compared
}

function kindOf({ action, phase, outcome, error, valid, details }: AuditEntry): string {
  const words = [action, phase, error ?? outcome, valid === false ? 'false' : undefined, details?.decryptFailure]
  return words.filter((word) => word !== undefined).join(' ')
}

function fieldsOf(entry: AuditEntry): string {
  return pathsOf(entry)
    .filter((path) => !optional.test(path))
    .join(' ')
}

function pathsOf(value: object, before = ''): readonly string[] {
  return Object.entries(value)
    .flatMap(([name, field]: [string, unknown]) =>
      typeof field === 'object' && field !== null && !Array.isArray(field)
        ? pathsOf(field, `${before}${name}.`)
        : [before + name],
    )
    .sort()
}
