/** Cases for each type of key that encrypts. */
import { decodeCiphertext, encodeCiphertext } from 'keytrail'
import { type PortableCase, scene } from './case.ts'
import { counted, demand, demandBytes, demandEqual, demandOwned, flipped, refused, utf8 } from './check.ts'
import { type EncryptingType, encryptingTypes } from './key-types.ts'
import { openFrame } from './web-crypto.ts'

const key = 'orders'
const plaintext = utf8('attack at dawn')
const encryptionContext = { order: '17', tenant: 'é' }

export const encryptingCases: readonly PortableCase[] = encryptingTypes.flatMap((type) =>
  casesOf(type).map(({ name, run }) => ({ name: `${type.keyType}: ${name}`, run })),
)

function casesOf(type: EncryptingType): readonly PortableCase[] {
  const { keyType, keyLength, nonceLength } = type
  const bodyAt = 37 + nonceLength

  return [
    {
      name: 'opens what it sealed, of any length, and leaves two entries',
      async run() {
        const { kms, entries, lines } = scene()
        await kms.createKey({ slug: key, keyType })
        for (const length of [1, 15, 16, 17, 1000, 65_535]) {
          const sealed = await kms.encrypt({ key, plaintext: counted(length), encryptionContext })
          demand(sealed.ciphertext.length === bodyAt + length + 16, 'a ciphertext must have the length of its layout')
          demandOwned(sealed.ciphertext, 'a ciphertext')
          const opened = await kms.decrypt({ key, ciphertext: sealed.ciphertext, encryptionContext })
          demandBytes(opened.plaintext, counted(length), 'the plaintext')
          demandOwned(opened.plaintext, 'a plaintext')
          demandEqual(lines().slice(-2), [`kms.encrypt success ${key} v1`, `kms.decrypt success ${key} v1`], 'entries')
          const [encrypt, decrypt] = entries().slice(-2)
          demandEqual([encrypt?.eventID, decrypt?.eventID], [sealed.eventID, opened.eventID], 'the eventIDs')
          demandEqual(encrypt?.encryptionContext, encryptionContext, 'the context of the entry')
          demand(encrypt?.keyType === keyType, 'an entry must tell the type')
          demand(encrypt.payloadSizes?.ciphertext === sealed.ciphertext.length, 'an entry must tell the sizes')
        }
      },
    },
    {
      name: 'refuses whatever was changed or cut, with one error, whose entry says why',
      async run() {
        const { kms, last } = scene()
        await kms.createKey({ slug: key, keyType })
        const { ciphertext } = await kms.encrypt({ key, plaintext, encryptionContext })
        const wrong: readonly (readonly [string, Uint8Array])[] = [
          ['malformed', flipped(ciphertext, 0)],
          ['malformed', ciphertext.slice(0, 20)],
          ['unknown_version', flipped(ciphertext, 2)],
          ['commitment_mismatch', flipped(ciphertext, 5)],
          ['commitment_mismatch', flipped(ciphertext, 36)],
          ['authentication_failed', flipped(ciphertext, 37)],
          ['authentication_failed', flipped(ciphertext, bodyAt)],
          ['authentication_failed', flipped(ciphertext, ciphertext.length - 1)],
          ['authentication_failed', ciphertext.slice(0, -1)],
          ['authentication_failed', Uint8Array.of(...ciphertext, 0)],
        ]
        for (const [why, changed] of wrong) {
          const refusal = await refused(
            kms.decrypt({ key, ciphertext: changed, encryptionContext }),
            'INVALID_CIPHERTEXT',
          )
          const { action, outcome, error, eventID, details } = last()
          const expected = ['kms.decrypt', 'failure', 'INVALID_CIPHERTEXT', refusal.eventID, why]
          demandEqual([action, outcome, error, eventID, details?.decryptFailure], expected, 'the entry')
        }
        await refused(kms.decrypt({ key, ciphertext }), 'INVALID_CIPHERTEXT')
        const otherContext = { ...encryptionContext, order: '18' }
        await refused(kms.decrypt({ key, ciphertext, encryptionContext: otherContext }), 'INVALID_CIPHERTEXT')
        demandBytes((await kms.decrypt({ key, ciphertext, encryptionContext })).plaintext, plaintext, 'the plaintext')
      },
    },
    {
      name: 'draws another nonce for each ciphertext',
      async run() {
        const { kms } = scene()
        await kms.createKey({ slug: key, keyType })
        const nonces = new Set<string>()
        for (let count = 0; count < 500; count++) {
          const { ciphertext } = await kms.encrypt({ key, plaintext })
          nonces.add(String(ciphertext.slice(37, bodyAt)))
        }
        demand(nonces.size === 500, `500 nonces must be 500 different ones, not ${nonces.size}`)
      },
    },
    {
      name: 'seals with the newest version after a rotation, and opens the older one',
      async run() {
        const { kms, last } = scene()
        await kms.createKey({ slug: key, keyType })
        const before = await kms.encrypt({ key, plaintext })
        demand((await kms.rotate({ key, expectLatestVersion: 1 })).keyVersion === 2, 'rotate must make version 2')
        await refused(kms.rotate({ key, expectLatestVersion: 1 }), 'VERSION_CONFLICT')
        const after = await kms.encrypt({ key, plaintext })
        demandEqual([before.keyVersion, after.keyVersion], [1, 2], 'the versions')
        const opened = await kms.decrypt({ key, ciphertext: before.ciphertext })
        demandBytes(opened.plaintext, plaintext, 'the plaintext of version 1')
        demandEqual([last().keyVersion, last().latestVersion], [1, false], 'the entry')
        await refused(kms.encrypt({ key, plaintext, keyVersion: 3 }), 'VERSION_NOT_FOUND')
      },
    },
    {
      name: 'exports its key where that is allowed, and the host’s own WebCrypto opens its ciphertexts with it',
      async run() {
        const { kms, lines } = scene()
        await kms.createKey({ slug: key, keyType, exportAllowed: true })
        await kms.createKey({ slug: 'sealed', keyType })
        const { keyMaterial, form } = await kms.export({ key })
        demandEqual([form, keyMaterial.length], ['raw', keyLength], 'the key material')
        demandOwned(keyMaterial, 'key material')
        demandEqual(lines().slice(-2), [`kms.export pending ${key}`, `kms.export success ${key} v1`], 'entries')
        await refused(kms.export({ key: 'sealed' }), 'EXPORT_NOT_ALLOWED')
        if (type.webCrypto === undefined) return
        const { ciphertext } = await kms.encrypt({ key, plaintext, encryptionContext })
        const opened = await openFrame({ type, key: keyMaterial, frame: ciphertext, encryptionContext })
        demandBytes(opened, plaintext, 'what WebCrypto opened')
      },
    },
    {
      name: 'makes data keys, moves ciphertexts to another key, and does many at once',
      async run() {
        const { kms } = scene()
        await kms.createKey({ slug: key, keyType })
        await kms.createKey({ slug: 'archive', keyType })
        const dataKey = await kms.generateDataKey({ key, length: 64, encryptionContext })
        demandOwned(dataKey.plaintext, 'a data key')
        const moved = await kms.reEncrypt({
          key,
          ciphertext: dataKey.ciphertext,
          encryptionContext,
          destinationKey: 'archive',
        })
        const opened = await kms.decrypt({ key: 'archive', ciphertext: moved.ciphertext, encryptionContext })
        demandBytes(opened.plaintext, dataKey.plaintext, 'the data key')
        await refused(kms.decrypt({ key, ciphertext: moved.ciphertext, encryptionContext }), 'INVALID_CIPHERTEXT')

        const sealed = await kms.encryptMany([
          { key, plaintext },
          { key: 'nobody', plaintext },
          { key, plaintext },
        ])
        const outcomes = sealed.map((one) => (one.ok ? 'ok' : one.error.code))
        demandEqual(outcomes, ['ok', 'KEY_NOT_FOUND', 'ok'], 'the answers')
      },
    },
    {
      name: 'has one spelling of its ciphertexts as text',
      async run() {
        const { kms } = scene()
        await kms.createKey({ slug: key, keyType })
        const { ciphertext } = await kms.encrypt({ key, plaintext })
        const spelt = encodeCiphertext(ciphertext)
        demand(/^keytrail:v1:[\w-]+$/.test(spelt), `must be keytrail:v1:…, not ${spelt}`)
        demandBytes(decodeCiphertext(spelt), ciphertext, 'the ciphertext of the text')
      },
    },
  ]
}
