/** Every keystore that can be, for property tests. */
import fc from 'fast-check'
import { algorithms } from '../../../src/crypto/algorithms.ts'
import { withMlDsa } from '../../../src/crypto/engine.ts'
import { mlDsa } from '../../../src/crypto/ml-dsa.ts'
import { engine } from '../../../src/crypto/node.ts'
import type { KeyStatus, KeyType } from '../../../src/model/key.ts'
import type { Keystore, RetiredKey, StoredKey } from '../../../src/providers/local/keystore.ts'

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
  imported: fc.record({ allowRotation: fc.boolean() }, { noNullPrototype: true }),
  minDecryptionVersion: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
}

/** For every type of the table. */
const complete = withMlDsa(engine, mlDsa)

// The table's own names; material that takes seconds to make is as good as any other here.
const keyTypes = (Object.keys(algorithms) as KeyType[]).filter(
  (keyType) => typeof algorithms[keyType].generate(complete) !== 'function',
)

/** What the type generates when these are the random bytes, and sevens after them. */
function materials(keyType: KeyType): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: 66, maxLength: 66 }).map((bytes) => {
    let drawn = false
    const randomFill = (out: Uint8Array) => {
      if (drawn) out.fill(7)
      else out.set(bytes.subarray(0, out.length))
      drawn = true
    }
    const material = algorithms[keyType].generate({ ...complete, randomFill })
    if (typeof material === 'function') throw new Error(`${keyType} takes time to make`)
    return material
  })
}

/** Rising, with gaps as an imported key may have them. */
function versionNumbers(length: number): fc.Arbitrary<readonly number[]> {
  return fc
    .uniqueArray(fc.integer({ min: 1, max: 2 ** 32 - 1 }), { minLength: length, maxLength: length })
    .map((numbers) => numbers.sort((a, b) => a - b))
}

function numbered<T extends object>(numbers: readonly number[], all: readonly T[]): (T & { version: number })[] {
  return all.map((version, at) => ({ version: numbers[at] ?? 0, ...version }))
}

const key: fc.Arbitrary<StoredKey> = fc.constantFrom(...keyTypes).chain((keyType) => {
  const versions = fc
    .array(fc.record({ createdAt: time, material: materials(keyType) }, { noNullPrototype: true }), {
      minLength: 1,
      maxLength: 4,
    })
    .chain((all) => versionNumbers(all.length).map((numbers) => numbered(numbers, all)))
  return fc.record(
    { ...fields, ...optionalFields, keyType: fc.constant(keyType), versions },
    {
      requiredKeys: [...(Object.keys(fields) as (keyof typeof fields)[]), 'keyType', 'versions'],
      noNullPrototype: true,
    },
  )
})

const retired: fc.Arbitrary<RetiredKey> = fc.record(
  { identity: text, slug: text, region: text, project: text, destroyedAt: time },
  { requiredKeys: ['identity', 'slug', 'destroyedAt'], noNullPrototype: true },
)

const seed = fc.uint8Array({ minLength: 32, maxLength: 32 })

export const keystores: fc.Arbitrary<Keystore> = fc.record(
  {
    id: text,
    generation: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    keys: fc.array(key, { maxLength: 5 }),
    retired: fc.array(retired, { maxLength: 3 }),
    usage: fc.array(fc.record({ identity: text, version: fc.nat(), messages: time }, { noNullPrototype: true }), {
      maxLength: 4,
    }),
    usageKey: seed,
    wrappingKey: fc.uint8Array({ maxLength: 2400 }),
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
  {
    requiredKeys: ['id', 'generation', 'keys', 'retired', 'usage', 'usageKey', 'signerSeed', 'formerSeeds', 'changes'],
    noNullPrototype: true,
  },
)
