/** Every type of signature and MAC: what the audit costs beside the bare call. One caller and a memory sink. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { mlDsa } from '../../src/crypto/ml-dsa.ts'
import type { KeyType } from '../../src/model/key.ts'
import { type BareSigner, bareEcdsa, bareEd25519, bareHmac, bareMlDsa, bareRsa, kibibyte, repeated } from './bare.ts'
import { remembered } from './clients.ts'
import type { Contest, Figure } from './figure.ts'

const key = 'key'
const aim = { atMost: 1.15 } as const

interface Signatures {
  readonly name: string
  readonly title: string
  readonly keyType: KeyType
  readonly bare: () => BareSigner
  /** Calls a turn: few milliseconds. */
  readonly calls: number
  /** Where verifying takes a fraction of it. */
  readonly verifyCalls?: number
}

const signatures: readonly Signatures[] = [
  { name: 'ed25519', title: 'Ed25519', keyType: 'ed25519', bare: bareEd25519, calls: 40 },
  { name: 'p256', title: 'P-256', keyType: 'ecdsa-p256', bare: () => bareEcdsa('P-256', 'sha256'), calls: 40 },
  { name: 'p384', title: 'P-384', keyType: 'ecdsa-p384', bare: () => bareEcdsa('P-384', 'sha384'), calls: 5 },
  { name: 'p521', title: 'P-521', keyType: 'ecdsa-p521', bare: () => bareEcdsa('P-521', 'sha512'), calls: 5 },
  {
    name: 'secp256k1',
    title: 'secp256k1',
    keyType: 'ecdsa-secp256k1',
    bare: () => bareEcdsa('secp256k1', 'sha256'),
    calls: 10,
  },
  { name: 'rsa-2048', title: 'RSA-2048', keyType: 'rsa-2048', bare: () => bareRsa(2048), calls: 5, verifyCalls: 100 },
  { name: 'rsa-3072', title: 'RSA-3072', keyType: 'rsa-3072', bare: () => bareRsa(3072), calls: 2, verifyCalls: 60 },
  { name: 'rsa-4096', title: 'RSA-4096', keyType: 'rsa-4096', bare: () => bareRsa(4096), calls: 2, verifyCalls: 40 },
  { name: 'ml-dsa-44', title: 'ML-DSA-44', keyType: 'ml-dsa-44', bare: () => bareMlDsa('ml-dsa-44'), calls: 2 },
  { name: 'ml-dsa-65', title: 'ML-DSA-65', keyType: 'ml-dsa-65', bare: () => bareMlDsa('ml-dsa-65'), calls: 2 },
  { name: 'ml-dsa-87', title: 'ML-DSA-87', keyType: 'ml-dsa-87', bare: () => bareMlDsa('ml-dsa-87'), calls: 2 },
]

const macs = [
  { name: 'hmac', title: 'HMAC-SHA-256', keyType: 'hmac-sha256', hash: 'sha256' },
  { name: 'hmac-sha384', title: 'HMAC-SHA-384', keyType: 'hmac-sha384', hash: 'sha384' },
  { name: 'hmac-sha512', title: 'HMAC-SHA-512', keyType: 'hmac-sha512', hash: 'sha512' },
] as const

export const signatureFigures: readonly Figure[] = [
  ...signatures.flatMap((type): Figure[] => {
    const { name, title } = type
    return [
      { name: `${name}-sign`, text: `${title} sign, memory sink ÷ bare`, of: 'time', aim, open: () => sign(type) },
      {
        name: `${name}-verify`,
        text: `${title} verify, memory sink ÷ bare`,
        of: 'time',
        aim,
        open: () => verify(type),
      },
    ]
  }),
  ...macs.map(
    ({ name, title, keyType, hash }): Figure => ({
      name,
      text: `${title} 1 KiB, memory sink ÷ bare`,
      of: 'time',
      aim,
      open: () => hmac(keyType, hash),
    }),
  ),
]

async function sign({ keyType, bare, calls }: Signatures): Promise<Contest> {
  const { kms, side } = await remembered(keyType, {}, { mlDsa })
  const signer = bare()
  return {
    reference: repeated(calls, () => signer.sign(kibibyte)),
    ours: side(calls, () => kms.sign({ key, input: kibibyte })),
    close: () => kms.close(),
  }
}

async function verify({ keyType, bare, calls: signing, verifyCalls: calls = signing }: Signatures): Promise<Contest> {
  const { kms, side } = await remembered(keyType, {}, { mlDsa })
  const signer = bare()
  const bareSignature = signer.sign(kibibyte)
  strictEqual(signer.verify(kibibyte, bareSignature), true)
  const { signature } = await kms.sign({ key, input: kibibyte })
  strictEqual(await kms.verify({ key, input: kibibyte, signature }), true)
  return {
    reference: repeated(calls, () => signer.verify(kibibyte, bareSignature)),
    ours: side(calls, () => kms.verify({ key, input: kibibyte, signature })),
    close: () => kms.close(),
  }
}

const macCalls = 200

async function hmac(keyType: KeyType, hash: 'sha256' | 'sha384' | 'sha512'): Promise<Contest> {
  const { kms, side } = await remembered(keyType)
  const bare = bareHmac(hash)
  deepStrictEqual((await kms.hmac({ key, input: kibibyte })).hmac.length, bare(kibibyte).length)
  return {
    reference: repeated(macCalls, () => bare(kibibyte)),
    ours: side(macCalls, () => kms.hmac({ key, input: kibibyte })),
    close: () => kms.close(),
  }
}
