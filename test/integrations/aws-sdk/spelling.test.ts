/** AWS's names in our words, and never more than they tell. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EncryptionAlgorithmSpec, KeySpec, MacAlgorithmSpec, SigningAlgorithmSpec } from '@aws-sdk/client-kms'
import { algorithmOf, keyTypeOfAlgorithm, keyTypeOfSpec } from '../../../src/integrations/aws-sdk/spelling.ts'

test('each key spec of AWS has our name where we have one, else its own', () => {
  const types = Object.values(KeySpec).map((spec) => [spec, keyTypeOfSpec(spec)])
  const own = types.filter(([, type]) => type?.startsWith('aws:')).map(([spec]) => spec)
  assert.deepEqual(
    own.sort(),
    Object.values(KeySpec)
      .filter((spec) => /^(?:SM2|HMAC_224|ML_KEM)/.test(spec))
      .sort(),
  )
  assert.equal(keyTypeOfSpec('SYMMETRIC_DEFAULT'), 'aes256-gcm96')
  assert.equal(keyTypeOfSpec('ECC_SECG_P256K1'), 'ecdsa-secp256k1')
  assert.equal(keyTypeOfSpec('NEW_1'), 'aws:NEW_1')
  assert.equal(keyTypeOfSpec('a b'), undefined)
  assert.equal(keyTypeOfSpec('constructor'), 'aws:constructor')
})

test('an algorithm tells the key type only where one type alone has it, or the length does', () => {
  const told = (algorithm: string, length?: number) => keyTypeOfAlgorithm(algorithm, length)
  assert.equal(told('ECDSA_SHA_256', 71), undefined)
  assert.equal(told('ECDSA_SHA_384'), 'ecdsa-p384')
  assert.equal(told('RSASSA_PKCS1_V1_5_SHA_512', 512), 'rsa-4096')
  assert.equal(told('RSAES_OAEP_SHA_1', 256), 'rsa-2048')
  assert.equal(told('RSAES_OAEP_SHA_1'), undefined)
  assert.equal(told('RSAES_OAEP_SHA_1', 10), undefined)
  assert.equal(told('ML_DSA_SHAKE_256', 3309), 'ml-dsa-65')
  assert.equal(told('toString'), undefined)
})

test('each algorithm of AWS has a spelling, and no two the same within a kind', () => {
  for (const kind of [SigningAlgorithmSpec, MacAlgorithmSpec, EncryptionAlgorithmSpec]) {
    const names = Object.values(kind).map((name) => algorithmOf(name))
    assert.equal(new Set(names).size, names.length)
    for (const name of names) if (name !== undefined) assert.match(name, /^[a-z0-9-]+$/)
  }
  assert.equal(algorithmOf('RSASSA_PKCS1_V1_5_SHA_384'), 'pkcs1v15-sha384')
  assert.equal(algorithmOf('ECDSA_SHA_256'), 'sha256')
  assert.equal(algorithmOf('RSAES_OAEP_SHA_1'), 'oaep-sha1')
  assert.equal(algorithmOf('SYMMETRIC_DEFAULT'), undefined)
  assert.equal(algorithmOf('ED25519_SHA_512'), 'ed25519-sha-512')
})
