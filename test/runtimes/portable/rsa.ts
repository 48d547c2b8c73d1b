/** RSA: OpenSSL's on Node, the host's own WebCrypto elsewhere. */
import { type PortableCase, scene } from './case.ts'
import { demand, demandBytes, demandEqual, demandOwned, flipped, refused, utf8 } from './check.ts'

const key = 'letters'
const input = utf8('a release')
const plaintext = utf8('attack at dawn')
const encryptionContext = { order: '17' }

export const rsaCases: readonly PortableCase[] = [
  {
    name: 'rsa-2048: is made in time, encrypts and signs, before and after a rotation, and leaves entries that say so',
    async run({ engine }) {
      // The key is made while the call waits: seconds, on a busy machine.
      const { kms, lines } = scene({ deadlineMs: 60_000 })
      await kms.createKey({ slug: key, keyType: 'rsa-2048' })
      const before = lines().length
      const { ciphertext } = await kms.encrypt({ key, plaintext, encryptionContext })
      demand(ciphertext.length === 293, `a ciphertext must be 293 bytes, not ${ciphertext.length}`)
      demandOwned(ciphertext, 'a ciphertext')
      const opened = await kms.decrypt({ key, ciphertext, encryptionContext })
      demandBytes(opened.plaintext, plaintext, 'the plaintext')
      demandOwned(opened.plaintext, 'a plaintext')
      await refused(kms.decrypt({ key, ciphertext: flipped(ciphertext, 292), encryptionContext }), 'INVALID_CIPHERTEXT')
      await refused(kms.decrypt({ key, ciphertext }), 'INVALID_CIPHERTEXT')
      await refused(kms.encrypt({ key, plaintext: new Uint8Array(191) }), 'INVALID_INPUT')
      for (const padding of ['pss', 'pkcs1v15'] as const) {
        for (const hashAlgorithm of ['sha256', 'sha384', 'sha512'] as const) {
          const { signature } = await kms.sign({ key, input, padding, hashAlgorithm })
          demand(signature.length === 256, `a signature must be 256 bytes, not ${signature.length}`)
          demand(await kms.verify({ key, input, signature, padding, hashAlgorithm }), 'its own signature must verify')
          const changed = { key, input, signature: flipped(signature, 128), padding, hashAlgorithm }
          demand(!(await kms.verify(changed)), 'a changed one must not')
        }
      }
      const digest = new Uint8Array(32)
      if (engine === 'node') await kms.sign({ key, input: digest, prehashed: true })
      else await refused(kms.sign({ key, input: digest, prehashed: true }), 'UNSUPPORTED_OPERATION')
      demandEqual(
        lines().slice(before, before + 5),
        [
          `kms.encrypt success ${key} v1`,
          `kms.decrypt success ${key} v1`,
          `kms.decrypt failure ${key} v1 INVALID_CIPHERTEXT`,
          `kms.decrypt failure ${key} v1 INVALID_CIPHERTEXT`,
          `kms.encrypt failure ${key} INVALID_INPUT`,
        ],
        'entries',
      )
      const { signature } = await kms.sign({ key, input })
      await kms.rotate({ key })
      const old = await kms.call('verify', { key, input, signature })
      demandEqual([old.valid, old.keyVersion], [true, 1], 'the verdict on a signature of version 1')
      const again = await kms.decrypt({ key, ciphertext, encryptionContext })
      demandEqual(again.keyVersion, 1, 'the version that opened')
    },
  },
]
