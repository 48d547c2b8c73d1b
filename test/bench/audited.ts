/** One caller and a memory sink: what the audit costs beside bare node:crypto. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { KeyType } from '../../src/model/key.ts'
import {
  type BareSigner,
  bareDecrypt,
  bareEd25519,
  bareEncrypt,
  bareHmac,
  bareP256,
  kibibyte,
  repeated,
} from './bare.ts'
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
  {
    name: 'ed25519-sign',
    text: 'Ed25519 sign, memory sink ÷ bare',
    of: 'time',
    aim: { atMost: 1.15 },
    open: () => sign('ed25519', bareEd25519()),
  },
  {
    name: 'ed25519-verify',
    text: 'Ed25519 verify, memory sink ÷ bare',
    of: 'time',
    aim: { atMost: 1.15 },
    open: () => verify('ed25519', bareEd25519()),
  },
  {
    name: 'p256-sign',
    text: 'P-256 sign, memory sink ÷ bare',
    of: 'time',
    aim: { atMost: 1.15 },
    open: () => sign('ecdsa-p256', bareP256()),
  },
  {
    name: 'p256-verify',
    text: 'P-256 verify, memory sink ÷ bare',
    of: 'time',
    aim: { atMost: 1.15 },
    open: () => verify('ecdsa-p256', bareP256()),
  },
  { name: 'hmac', text: 'HMAC-SHA-256, memory sink ÷ bare', of: 'time', aim: { atMost: 1.3 }, open: hmac },
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

const signatures = 40

async function sign(keyType: KeyType, bare: BareSigner): Promise<Contest> {
  const { kms, side } = await remembered(keyType)
  return {
    reference: repeated(signatures, () => bare.sign(kibibyte)),
    ours: side(signatures, () => kms.sign({ key, input: kibibyte })),
    close: () => kms.close(),
  }
}

async function verify(keyType: KeyType, bare: BareSigner): Promise<Contest> {
  const { kms, side } = await remembered(keyType)
  const bareSignature = bare.sign(kibibyte)
  const { signature } = await kms.sign({ key, input: kibibyte })
  strictEqual(await kms.verify({ key, input: kibibyte, signature }), true)
  return {
    reference: repeated(signatures, () => bare.verify(kibibyte, bareSignature)),
    ours: side(signatures, () => kms.verify({ key, input: kibibyte, signature })),
    close: () => kms.close(),
  }
}

async function hmac(): Promise<Contest> {
  const { kms, side } = await remembered('hmac-sha256')
  return {
    reference: repeated(calls, () => bareHmac(kibibyte)),
    ours: side(calls, () => kms.hmac({ key, input: kibibyte })),
    close: () => kms.close(),
  }
}
