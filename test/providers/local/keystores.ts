/** Every keystore that can be, for property tests. */
import fc from 'fast-check'
import { algorithms } from '../../../src/crypto/algorithms.ts'
import type { KeyStatus, KeyType } from '../../../src/model/key.ts'
import type { Keystore, StoredKey } from '../../../src/providers/local/keystore.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const time = fc.nat({ max: 2 ** 45 })
const texts = fc.dictionary(text, text, { maxKeys: 4, noNullPrototype: true })

const fields = {
  identity: text,
  slug: text,
  name: text,
  status: fc.constantFrom<KeyStatus>('active', 'disabled', 'pending_deletion'),
  exportAllowed: fc.boolean(),
  keyRotationEnabled: fc.boolean(),
  createdAt: time,
  updatedAt: time,
  objectVersion: fc.nat(),
}
const optionalFields = {
  description: text,
  labels: texts,
  annotations: texts,
  region: text,
  project: text,
  statusBefore: fc.constantFrom('active' as const, 'disabled' as const),
  deletionScheduledAt: time,
  rotationPeriodInDays: fc.integer({ min: 1, max: 3650 }),
}

const keyTypes = Object.keys(algorithms) as KeyType[] // the table's own names

const key: fc.Arbitrary<StoredKey> = fc.constantFrom(...keyTypes).chain((keyType) => {
  const { materialLength } = algorithms[keyType]
  const material = fc.uint8Array({ minLength: materialLength, maxLength: materialLength })
  const versions = fc
    .array(fc.record({ createdAt: time, material }, { noNullPrototype: true }), { minLength: 1, maxLength: 4 })
    .map((all) => all.map((version, at) => ({ version: at + 1, ...version })))
  return fc.record(
    { ...fields, ...optionalFields, keyType: fc.constant(keyType), versions },
    {
      requiredKeys: [...(Object.keys(fields) as (keyof typeof fields)[]), 'keyType', 'versions'],
      noNullPrototype: true,
    },
  )
})

const seed = fc.uint8Array({ minLength: 32, maxLength: 32 })

export const keystores: fc.Arbitrary<Keystore> = fc.record(
  {
    id: text,
    generation: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    keys: fc.array(key, { maxLength: 5 }),
    signerSeed: seed,
    formerSeeds: fc.array(seed, { maxLength: 3 }),
    anchor: fc.record(
      {
        origin: text,
        size: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      },
      { noNullPrototype: true },
    ),
    changes: fc.record(
      { operationIDs: fc.array(text, { maxLength: 5 }), forgotten: text },
      { requiredKeys: ['operationIDs'], noNullPrototype: true },
    ),
  },
  { requiredKeys: ['id', 'generation', 'keys', 'signerSeed', 'formerSeeds', 'changes'], noNullPrototype: true },
)
