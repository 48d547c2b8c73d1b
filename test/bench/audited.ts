/** Encryption by one caller with a memory sink: what the audit costs beside bare node:crypto. */
import { deepStrictEqual } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { KeyType } from '../../src/model/key.ts'
import { bareDecrypt, bareEncrypt, kibibyte, repeated } from './bare.ts'
import { remembered } from './clients.ts'
import type { Contest, Figure } from './figure.ts'
import { browser } from './requests.ts'

const key = 'key'
const calls = 200

export const auditedFigures: readonly Figure[] = [
  {
    name: 'encrypt',
    text: 'encrypt, memory sink ÷ bare',
    of: 'time',
    aim: { atMost: 0.9 },
    open: () => encrypt('aes256-gcm96'),
  },
  {
    name: 'decrypt',
    text: 'decrypt, memory sink ÷ bare',
    of: 'time',
    aim: { atMost: 1.5 },
    open: () => decrypt('aes256-gcm96'),
  },
  { name: 'encrypt-xaes', text: 'encrypt, xaes256-gcm ÷ bare AES-GCM', of: 'time', open: () => encrypt('xaes256-gcm') },
  { name: 'decrypt-xaes', text: 'decrypt, xaes256-gcm ÷ bare AES-GCM', of: 'time', open: () => decrypt('xaes256-gcm') },
  { name: 'encrypt-bound', text: "encrypt in a browser's request ÷ bare", of: 'time', open: encryptBound },
  {
    name: 'encrypt-1mib',
    text: 'encrypt 1 MiB, memory sink ÷ bare',
    of: 'time',
    aim: { atMost: 1.05 },
    open: encryptMebibyte,
  },
]

async function encrypt(keyType: KeyType): Promise<Contest> {
  const { kms, side } = await remembered(keyType)
  return {
    reference: repeated(calls, () => bareEncrypt(kibibyte)),
    ours: side(calls, () => kms.encrypt({ key, plaintext: kibibyte })),
    close: () => kms.close(),
  }
}

async function decrypt(keyType: KeyType): Promise<Contest> {
  const { kms, side } = await remembered(keyType)
  const sealed = bareEncrypt(kibibyte)
  const { ciphertext } = await kms.encrypt({ key, plaintext: kibibyte })
  deepStrictEqual((await kms.decrypt({ key, ciphertext })).plaintext, kibibyte)
  return {
    reference: repeated(calls, () => bareDecrypt(sealed)),
    ours: side(calls, () => kms.decrypt({ key, ciphertext })),
    close: () => kms.close(),
  }
}

async function encryptBound(): Promise<Contest> {
  const { kms, side } = await remembered('aes256-gcm96')
  const bound = kms.with(browser)
  const encryptionContext = { order: '17', tenant: 'acme' }
  return {
    reference: repeated(calls, () => bareEncrypt(kibibyte)),
    ours: side(calls, () => bound.encrypt({ key, plaintext: kibibyte, encryptionContext })),
    close: () => kms.close(),
  }
}

async function encryptMebibyte(): Promise<Contest> {
  const plaintext = new Uint8Array(randomBytes(1024 * 1024))
  const limits = { plaintext: plaintext.length, ciphertext: plaintext.length + 1024 }
  const { kms, side } = await remembered('aes256-gcm96', { limits })
  return {
    reference: repeated(20, () => bareEncrypt(plaintext)),
    ours: side(20, () => kms.encrypt({ key, plaintext })),
    collects: true,
    turns: 1,
    close: () => kms.close(),
  }
}
