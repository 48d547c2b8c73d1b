/** Cases for each type of key that makes MACs. */
import { type PortableCase, scene } from './case.ts'
import { counted, demand, demandBytes, demandEqual, demandOwned, flipped, utf8 } from './check.ts'
import { digestNames, type MacType, macTypes } from './key-types.ts'

const { subtle } = globalThis.crypto
const key = 'cookies'
const input = utf8('a message')

export const authenticatingCases: readonly PortableCase[] = macTypes.flatMap((type) =>
  casesOf(type).map(({ name, run }) => ({ name: `${type.keyType}: ${name}`, run })),
)

function casesOf({ keyType, keyLength, hashAlgorithm }: MacType): readonly PortableCase[] {
  return [
    {
      name: 'verifies what it authenticated, answers false to anything else, and leaves entries that say so',
      async run() {
        const { kms, lines } = scene()
        await kms.createKey({ slug: key, keyType })
        const { hmac } = await kms.hmac({ key, input })
        demandOwned(hmac, 'a MAC')
        demand(await kms.verifyHmac({ key, input, hmac }), 'its own MAC must verify')
        const wrong = [flipped(hmac, 0), flipped(hmac, hmac.length - 1), hmac.slice(1), Uint8Array.of(...hmac, 0)]
        for (const changed of wrong)
          demand(!(await kms.verifyHmac({ key, input, hmac: changed })), 'a changed one must not verify')
        demand(!(await kms.verifyHmac({ key, input: utf8('another'), hmac })), 'nor one of another input')
        const verdicts = [
          `kms.verify_hmac success ${key} v1 valid`,
          ...Array(5).fill(`kms.verify_hmac success ${key} invalid`),
        ]
        demandEqual(lines().slice(-7), [`kms.hmac success ${key} v1`, ...verdicts], 'entries')
      },
    },
    {
      name: 'makes the MAC that the host’s own WebCrypto makes of any length with the exported key',
      async run() {
        const { kms } = scene()
        await kms.createKey({ slug: key, keyType, exportAllowed: true })
        const { keyMaterial } = await kms.export({ key })
        demand(keyMaterial.length === keyLength, `the key must be ${keyLength} bytes, not ${keyMaterial.length}`)
        const algorithm = { name: 'HMAC', hash: digestNames[hashAlgorithm] }
        const signer = await subtle.importKey('raw', Uint8Array.from(keyMaterial), algorithm, false, ['sign'])
        for (const length of [0, 1, 63, 64, 128, 100_000]) {
          const { hmac } = await kms.hmac({ key, input: counted(length) })
          const expected = new Uint8Array(await subtle.sign('HMAC', signer, counted(length)))
          demandBytes(hmac, expected, `the MAC of ${length} bytes`)
        }
      },
    },
    {
      name: 'verifies with older versions after a rotation, and names the one that matched',
      async run() {
        const { kms } = scene()
        await kms.createKey({ slug: key, keyType })
        const first = await kms.hmac({ key, input })
        await kms.rotate({ key })
        const verified = await kms.call('verifyHmac', { key, input, hmac: first.hmac })
        demandEqual([verified.valid, verified.keyVersion], [true, 1], 'the verdict')
        const pinned = await kms.verifyHmac({ key, input, hmac: first.hmac, keyVersion: 2 })
        demand(!pinned, 'a MAC of version 1 must not verify with version 2')
      },
    },
  ]
}
