/** Cases for each type of key that signs. */
import type { SignatureFormat } from 'keytrail'
import { type PortableCase, scene } from './case.ts'
import { demand, demandBytes, demandEqual, demandOwned, flipped, refused, utf8 } from './check.ts'
import { digestNames, type SigningType, signingTypes } from './key-types.ts'

const { subtle } = globalThis.crypto
const key = 'releases'
const input = utf8('a release')

export const signingCases: readonly PortableCase[] = signingTypes.flatMap((type) =>
  casesOf(type).map(({ name, run }) => ({ name: `${type.keyType}: ${name}`, run })),
)

function casesOf(type: SigningType): readonly PortableCase[] {
  const { keyType, signatureLength, hashAlgorithms } = type
  const isEcdsa = hashAlgorithms.length > 0
  // The format whose length is fixed, where there is a choice.
  const fixed: { readonly format?: SignatureFormat } = isEcdsa ? { format: 'ieee-p1363' } : {}

  return [
    {
      name: 'verifies what it signed, answers false to anything else, and leaves entries that say so',
      async run() {
        const { kms, lines } = scene()
        await kms.createKey({ slug: key, keyType })
        const { signature } = await kms.sign({ key, input, ...fixed })
        demand(signature.length === signatureLength, `a signature must be ${signatureLength} bytes`)
        demandOwned(signature, 'a signature')
        demand(await kms.verify({ key, input, signature, ...fixed }), 'its own signature must verify')
        const places = [0, signatureLength >> 1, signatureLength - 1]
        const wrong = [
          ...places.map((at) => flipped(signature, at)),
          signature.slice(1),
          new Uint8Array(signatureLength),
        ]
        for (const changed of wrong)
          demand(!(await kms.verify({ key, input, signature: changed, ...fixed })), 'a changed one must not verify')
        demand(!(await kms.verify({ key, input: utf8('another'), signature, ...fixed })), 'nor one of another input')
        const verdicts = [`kms.verify success ${key} v1 valid`, ...Array(6).fill(`kms.verify success ${key} invalid`)]
        demandEqual(lines().slice(-8), [`kms.sign success ${key} v1`, ...verdicts], 'entries')
      },
    },
    {
      name: 'verifies with older versions after a rotation, and names the one that matched',
      async run() {
        const { kms } = scene()
        await kms.createKey({ slug: key, keyType })
        const first = await kms.sign({ key, input })
        await kms.rotate({ key })
        const second = await kms.sign({ key, input })
        demandEqual([first.keyVersion, second.keyVersion], [1, 2], 'the versions')
        for (const { signature, keyVersion } of [first, second]) {
          const verified = await kms.call('verify', { key, input, signature })
          demandEqual([verified.valid, verified.keyVersion], [true, keyVersion], 'the verdict')
        }
        const pinned = await kms.verify({ key, input, signature: first.signature, keyVersion: 2 })
        demand(!pinned, 'a signature of version 1 must not verify with version 2')
      },
    },
    {
      name: 'is understood by the host’s own WebCrypto, and understands it',
      async run() {
        if (type.webCrypto === undefined) return
        const { kms } = scene()
        await kms.createKey({ slug: key, keyType, exportAllowed: true })
        const { spki } = await kms.getPublicKey({ key })
        const { keyMaterial, form } = await kms.export({ key })
        demand(form === 'pkcs8', `a signing key must be exported as pkcs8, not ${form}`)
        const verifier = await subtle.importKey('spki', Uint8Array.from(spki), type.webCrypto, false, ['verify'])
        const signer = await subtle.importKey('pkcs8', Uint8Array.from(keyMaterial), type.webCrypto, false, ['sign'])
        for (const hashAlgorithm of isEcdsa ? hashAlgorithms : [undefined]) {
          const options = { ...fixed, ...(hashAlgorithm && { hashAlgorithm }) }
          const algorithm = { name: type.webCrypto.name, ...(hashAlgorithm && { hash: digestNames[hashAlgorithm] }) }
          const { signature } = await kms.sign({ key, input, ...options })
          const accepted = await subtle.verify(algorithm, verifier, Uint8Array.from(signature), input)
          demand(accepted, `WebCrypto must verify the signature (${hashAlgorithm ?? 'own digest'})`)
          const foreign = new Uint8Array(await subtle.sign(algorithm, signer, input))
          const verified = await kms.verify({ key, input, signature: foreign, ...options })
          demand(verified, `WebCrypto's signature must verify (${hashAlgorithm ?? 'own digest'})`)
        }
      },
    },
    {
      name: 'takes each format, digest and prepared digest that it says, and no other',
      async run() {
        const { kms } = scene()
        await kms.createKey({ slug: key, keyType })
        if (!isEcdsa) {
          await refused(kms.sign({ key, input, format: 'ieee-p1363' }), 'INVALID_INPUT')
          await refused(kms.sign({ key, input, prehashed: true }), 'INVALID_INPUT')
          return
        }
        for (const format of ['der', 'ieee-p1363'] as const) {
          for (const hashAlgorithm of hashAlgorithms) {
            const { signature } = await kms.sign({ key, input, format, hashAlgorithm })
            const digest = new Uint8Array(await subtle.digest(digestNames[hashAlgorithm], input))
            const verified = await kms.verify({
              key,
              input: digest,
              signature,
              format,
              hashAlgorithm,
              prehashed: true,
            })
            demand(verified, `a signature of the digest must be one of the input (${format}, ${hashAlgorithm})`)
          }
        }
        const { signature } = await kms.sign({ key, input })
        demand(!(await kms.verify({ key, input, signature, format: 'ieee-p1363' })), 'DER is not P1363')
      },
    },
    {
      name: 'gives its public key, and another after a rotation',
      async run() {
        const { kms } = scene()
        await kms.createKey({ slug: key, keyType })
        const first = await kms.getPublicKey({ key })
        demand(first.spki[0] === 0x30 && first.publicKey !== '', 'a public key must be DER and text')
        demandOwned(first.spki, 'a public key')
        await kms.rotate({ key })
        const second = await kms.getPublicKey({ key })
        demand(second.publicKey !== first.publicKey, 'another version must have another public key')
        demandBytes((await kms.getPublicKey({ key, keyVersion: 1 })).spki, first.spki, 'the public key of version 1')
      },
    },
  ]
}
