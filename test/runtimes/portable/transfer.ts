/** Key material in and out, in whatever runtime this is. */
import { decodeCiphertext, unwrapKeyMaterial, wrapKeyMaterial } from 'keytrail'
import { type PortableCase, scene } from './case.ts'
import { demand, demandBytes, demandEqual, refused, utf8 } from './check.ts'

const plaintext = utf8('attack at dawn')

/** Of src/crypto/frame-vectors.json: made on Node, once. */
const vector = {
  key: '45efb14b5789d7e08e4c5646b04ce42d8996fd960359595917008f809542cb6b',
  text: 'keytrail:v7:AQAAAAdvW-XeDOmFn-nci8OeZtMgaM7IUazWp91xJNxRBt5XPzGkMXZNwxLR08dT3dY8ZxIpI8aU9YO4ipw1PfJSwNaNr5dcRk-bk8Zc8rBS',
}

export const transferCases: readonly PortableCase[] = [
  {
    name: 'an imported key opens a ciphertext that was made elsewhere, long ago',
    async run() {
      const { kms } = scene()
      const keyMaterial = Uint8Array.from(vector.key.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16))
      await kms.importKey({ slug: 'old', keyType: 'xaes256-gcm', keyMaterial, keyVersion: 7 })
      const ciphertext = decodeCiphertext(vector.text)
      const encryptionContext = { order: '17', é: 'ü', '\ue000': 'x', '\u{10000}': 'y' }
      const opened = await kms.decrypt({ key: 'old', ciphertext, encryptionContext })
      demandBytes(opened.plaintext, utf8('\u{1f511}'), 'the plaintext')
    },
  },
  {
    name: 'what was exported as a JWK is imported as one, and verifies what it signed',
    async run() {
      const { kms } = scene()
      for (const keyType of ['ed25519', 'ecdsa-p521', 'ecdsa-secp256k1', 'ml-dsa-44'] as const) {
        await kms.createKey({ slug: keyType, keyType, exportAllowed: true })
        const { signature } = await kms.sign({ key: keyType, input: plaintext })
        const { keyMaterial } = await kms.export({ key: keyType, form: 'jwk' })
        const slug = `${keyType}-again`
        const { key } = await kms.importKey({ slug, keyType, keyMaterial, form: 'jwk' })
        demandEqual([key.imported, key.allowRotation], [true, false], 'what is told of an imported key')
        demand(await kms.verify({ key: slug, input: plaintext, signature }), `${keyType} must verify`)
        await refused(kms.rotate({ key: slug }), 'INVALID_INPUT')
      }
    },
  },
  {
    name: 'a key is wrapped for an RSA key, and opens with it only',
    async run() {
      const { kms } = scene({ deadlineMs: 60_000 })
      await kms.createKey({ slug: 'mine', keyType: 'rsa-2048', exportAllowed: true })
      await kms.createKey({ slug: 'orders', exportAllowed: true })
      const { spki } = await kms.getPublicKey({ key: 'mine' })
      const clear = await kms.export({ key: 'orders' })
      const wrapped = await kms.export({ key: 'orders', recipient: spki })
      demandEqual(wrapped.form, 'wrapped', 'the form')
      const { keyMaterial: privateKey } = await kms.export({ key: 'mine' })
      const opened = await unwrapKeyMaterial({ wrapped: wrapped.keyMaterial, privateKey })
      demandBytes(opened, clear.keyMaterial, 'the key material')
      const own = await wrapKeyMaterial({ keyMaterial: plaintext, recipient: spki })
      demandBytes(await unwrapKeyMaterial({ wrapped: own, privateKey }), plaintext, 'what was wrapped')
      await kms.rotate({ key: 'mine' })
      const { keyMaterial: other } = await kms.export({ key: 'mine' })
      await refused(unwrapKeyMaterial({ wrapped: own, privateKey: other }), 'INVALID_INPUT')
    },
  },
]
