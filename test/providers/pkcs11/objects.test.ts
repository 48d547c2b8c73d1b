/** @node Reading what a module answers: objects that changed, and answers that are none. No token is needed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assembleKeys } from '../../../src/providers/pkcs11/assemble.ts'
import { cka, ckk, cko } from '../../../src/providers/pkcs11/constants.ts'
import { type Cryptoki, faultOf, type Pkcs11Js, ulong } from '../../../src/providers/pkcs11/cryptoki.ts'
import { decodeKeyId, encodeKeyId, operationBytes, timeOf } from '../../../src/providers/pkcs11/key-id.ts'
import { check, inventory, stale } from '../../../src/providers/pkcs11/objects.ts'
import type { ObjectFacts } from '../../../src/providers/pkcs11/protocol.ts'
import type { Connection } from '../../../src/providers/pkcs11/session.ts'

const handle = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])

/** A module with one object, whose attributes are as given. */
function withObject(values: Readonly<Record<number, unknown>>): Connection {
  const api = {
    C_FindObjectsInit: () => undefined,
    C_FindObjects: () => [handle],
    C_FindObjectsFinal: () => undefined,
    C_GetAttributeValue: (_session: Buffer, _object: Buffer, wanted: readonly { readonly type: number }[]) =>
      wanted.map(({ type }) => ({ type, value: values[type] })),
  }
  // Only what reading objects calls.
  return { api: api as unknown as Cryptoki, library: {} as Pkcs11Js, session: handle, slot: handle }
}

test('a handle that has come to mean another object is not used', () => {
  const found = { [cka.LABEL]: Buffer.from('orders/v1'), [cka.ID]: Buffer.from([7]) }
  const key = { handle, label: 'orders/v1', id: Uint8Array.of(7) }
  assert.deepEqual(check(withObject(found), key), handle)
  for (const other of [
    { [cka.LABEL]: Buffer.from('invoices/v1') },
    { [cka.ID]: Buffer.from([8]) },
    { [cka.ID]: undefined },
  ])
    assert.throws(
      () => check(withObject({ ...found, ...other }), key),
      (error) => error === stale,
    )
})

test('objects that tell too little, or tell it in the wrong type, are no keys', () => {
  const good = {
    [cka.LABEL]: Buffer.from('orders/v1'),
    [cka.ID]: Buffer.from([7]),
    [cka.KEY_TYPE]: Buffer.from([0x1f, 0, 0, 0, 0, 0, 0, 0]),
  }
  const { fresh } = inventory(withObject(good), { known: [] })
  assert.equal(fresh[0]?.label, 'orders/v1')
  const bad: readonly object[] = [
    { [cka.LABEL]: Buffer.from([0xff, 0xfe]) },
    { [cka.LABEL]: 'text' },
    { [cka.KEY_TYPE]: Buffer.from([1]) },
    { [cka.KEY_TYPE]: 31 },
    { [cka.KEY_TYPE]: undefined },
  ]
  for (const values of bad) assert.deepEqual(inventory(withObject({ ...good, ...values }), { known: [] }).fresh, [])
  const silent = { ...withObject(good), api: { ...withObject(good).api, C_GetAttributeValue: () => 'nonsense' } }
  assert.deepEqual(inventory(silent, { known: [] }).fresh, [])
})

test('errors of the package are read whichever way it throws them', () => {
  assert.deepEqual(faultOf(Object.assign(new Error('CKR_PIN_INCORRECT'), { code: 160 })), {
    rv: 160,
    name: 'CKR_PIN_INCORRECT',
  })
  assert.deepEqual(faultOf(new Error('CKR_VENDOR_DEFINED:27\n at PKCS11.C_X')), { rv: 27, name: 'CKR_VENDOR_DEFINED' })
  for (const other of [new Error('cannot open shared object file'), new Error('CKR_OK'), 'CKR_OK:0', undefined])
    assert.equal(faultOf(other), undefined)
  assert.equal(ulong(Buffer.from([1, 2, 0, 0, 0, 0, 0, 0])), 513)
  assert.equal(ulong(Buffer.from([1, 2, 0, 0])), 513)
  assert.equal(ulong(Buffer.from([1])), undefined)
  assert.equal(ulong(Buffer.alloc(8, 255)), undefined)
})

test('a CKA_ID of ours tells key, version, intent and time, and comes back as it was', () => {
  const operation = operationBytes('0199c9d0-1b00-7abc-8def-0123456789ab', 0)
  const id = { key: new Uint8Array(12).fill(3), version: 4_000_000, operation, plainHmac: true }
  const encoded = encodeKeyId(id)
  assert.equal(encoded.length, 33)
  assert.deepEqual(decodeKeyId(encoded), id)
  assert.equal(timeOf(operation), 0x0199c9d01b00)
  assert.equal(timeOf(operationBytes('', 1_700_000_000_123)), 1_700_000_000_123)
  for (const other of [encoded.slice(1), encoded.with(0, 3), new Uint8Array(33), new Uint8Array(0)])
    assert.equal(decodeKeyId(other), undefined)
})

test('versions of two keys of one name, of two types, or under a number that is not theirs, are doubted', () => {
  const operation = new Uint8Array(16)
  const object = (label: string, id: Uint8Array, valueLength = 32): ObjectFacts => {
    return { handle, label, id, objectClass: cko.SECRET_KEY, keyType: ckk.AES, valueLength }
  }
  const own = (key: number, version: number) =>
    encodeKeyId({ key: new Uint8Array(12).fill(key), version, operation, plainHmac: false })
  const doubts = (...objects: ObjectFacts[]) =>
    assembleKeys(objects, 'serial').flatMap(({ versions }) => versions.map(({ doubt }) => doubt !== undefined))
  assert.deepEqual(doubts(object('a/v1', own(1, 1)), object('a/v2', own(1, 2))), [false, false])
  assert.deepEqual(doubts(object('a/v1', own(1, 1)), object('a/v2', own(2, 2))), [false, true])
  assert.deepEqual(doubts(object('a/v1', own(1, 1)), object('a/v2', own(1, 2), 16)), [false, true])
  assert.deepEqual(doubts(object('a/v1', own(1, 1)), object('a/v3', own(1, 2))), [false, true])
  assert.deepEqual(doubts(object('a', Uint8Array.of(1)), object('a', Uint8Array.of(2))), [true])
  // The bare name counts only where there is no version 1.
  assert.deepEqual(doubts(object('a', Uint8Array.of(1)), object('a/v1', own(1, 1))), [false])
  for (const label of ['A', 'a/v0', 'a/v01', 'a/x', 'kms-a', 'a b', '', `${'a'.repeat(64)}/v1`])
    assert.deepEqual(doubts(object(label, own(1, 1))), [])
})
