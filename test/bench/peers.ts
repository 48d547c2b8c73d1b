/** @node The same round trip by libraries that encrypt and keep no trail. */
import { deepStrictEqual } from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node'
import { CompactEncrypt, compactDecrypt } from 'jose'
import { kibibyte } from './bare.ts'
import { remembered } from './clients.ts'
import type { Contest, Figure, Side } from './figure.ts'

export const peerFigures: readonly Figure[] = [
  {
    name: 'aws-unsigned',
    text: 'round trip, AWS Encryption SDK unsigned ÷ ours',
    of: 'speed',
    aim: { atLeast: 70 },
    open: () => against(awsRoundTrip(unsigned), 5),
  },
  {
    name: 'aws-default',
    text: 'round trip, AWS Encryption SDK default ÷ ours',
    of: 'speed',
    aim: { atLeast: 300 },
    open: () => against(awsRoundTrip(), 2),
  },
  {
    name: 'jose',
    text: 'round trip, jose JWE dir A256GCM ÷ ours',
    of: 'speed',
    open: () => against(joseRoundTrip(), 20),
  },
]

type RoundTrip = () => Promise<Uint8Array>

async function against(roundTrip: RoundTrip, calls: number): Promise<Contest> {
  deepStrictEqual(new Uint8Array(await roundTrip()), kibibyte)
  const { kms, side } = await remembered('aes256-gcm96')
  const pairs = 100
  const ours = side(2 * pairs, async () => {})
  return {
    reference: awaited(calls, roundTrip),
    ours: {
      ...ours,
      calls: pairs,
      async run() {
        for (let pair = 0; pair < pairs; pair++) {
          const { ciphertext } = await kms.encrypt({ key: 'key', plaintext: kibibyte })
          await kms.decrypt({ key: 'key', ciphertext })
        }
      },
    },
    turns: 3,
    rounds: 20,
    close: () => kms.close(),
  }
}

function awaited(calls: number, one: RoundTrip): Side {
  return {
    calls,
    async run() {
      for (let call = 0; call < calls; call++) await one()
    },
  }
}

const unsigned = { suiteId: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY } as const

function awsRoundTrip(options: Partial<typeof unsigned> = {}): RoundTrip {
  const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
  const keyring = new RawAesKeyringNode({
    keyNamespace: 'bench',
    keyName: 'key',
    unencryptedMasterKey: new Uint8Array(randomBytes(32)),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  })
  return async () => {
    const { result } = await encrypt(keyring, kibibyte, options)
    return (await decrypt(keyring, result)).plaintext
  }
}

function joseRoundTrip(): RoundTrip {
  const secret = createSecretKey(randomBytes(32))
  return async () => {
    const sealing = new CompactEncrypt(kibibyte).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    return (await compactDecrypt(await sealing.encrypt(secret), secret)).plaintext
  }
}
