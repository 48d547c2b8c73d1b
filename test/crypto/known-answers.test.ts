/** Answers from the standards themselves, which need no file beside the repository. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AeadName } from '../../src/crypto/aead.ts'
import { concat, hex, toBase64, utf8 } from '../../src/crypto/bytes.ts'
import { ed25519Public, ed25519Sign, ed25519Verify } from '../../src/crypto/ed25519.ts'
import { hkdfSha256, scrypt } from '../../src/crypto/kdf.ts'
import { hmacSha256 } from '../../src/crypto/mac.ts'
import { hchacha20 } from '../../src/crypto/xchacha.ts'
import { engines, fixed, sealed, unhex } from './engines.ts'

const none = new Uint8Array(0)

const aeadAnswers: readonly {
  readonly from: string
  readonly name: AeadName
  readonly key: string
  readonly nonce: string
  readonly aad: string
  readonly plaintext: Uint8Array
  readonly sealed: string
}[] = [
  {
    from: 'GCM specification (McGrew, Viega), test case 2',
    name: 'aes-128-gcm',
    key: '00'.repeat(16),
    nonce: '00'.repeat(12),
    aad: '',
    plaintext: new Uint8Array(16),
    sealed: '0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf',
  },
  {
    from: 'GCM specification (McGrew, Viega), test case 14',
    name: 'aes-256-gcm',
    key: '00'.repeat(32),
    nonce: '00'.repeat(12),
    aad: '',
    plaintext: new Uint8Array(16),
    sealed: 'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919',
  },
  {
    from: 'RFC 8439 §2.8.2',
    name: 'chacha20-poly1305',
    key: hex(fixed(32, 0x80)),
    nonce: '070000004041424344454647',
    aad: '50515253c0c1c2c3c4c5c6c7',
    plaintext: utf8(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    ),
    sealed:
      'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b' +
      '1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc' +
      '3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691',
  },
  {
    from: 'c2sp.org/XAES-256-GCM, second example',
    name: 'xaes-256-gcm',
    key: '03'.repeat(32),
    nonce: '4142434445464748494a4b4c4d4e4f505152535455565758',
    aad: '633273702e6f72672f584145532d3235362d47434d',
    plaintext: utf8('XAES-256-GCM'),
    sealed: '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d',
  },
  {
    from: 'draft-irtf-cfrg-xchacha-03 §A.3.1',
    name: 'xchacha20-poly1305',
    key: hex(fixed(32, 0x80)),
    nonce: hex(fixed(24, 0x40)),
    aad: '50515253c0c1c2c3c4c5c6c7',
    plaintext: utf8(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    ),
    sealed:
      'bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39' +
      'ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9' +
      '21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49',
  },
]

test('draft-irtf-cfrg-xchacha-03 §2.2.1: HChaCha20', () => {
  assert.equal(
    hex(hchacha20(fixed(32), unhex('000000090000004a0000000031415927'))),
    '82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc',
  )
})

for (const engine of engines) {
  describe(`known answers, ${engine.name}`, () => {
    for (const answer of aeadAnswers) {
      test(answer.from, () => {
        const { name, plaintext } = answer
        const [key, nonce, aad] = [unhex(answer.key), unhex(answer.nonce), unhex(answer.aad)]
        const made = sealed(engine, name, { key, nonce, aad, plaintext })
        assert.equal(hex(made), answer.sealed)
        assert.deepEqual(engine.aead(name, key).open(nonce, aad, made, 0), plaintext)
        // From an offset, as a frame has it.
        assert.deepEqual(engine.aead(name, key).open(nonce, aad, concat([fixed(5), made]), 5), plaintext)
      })
    }

    test('FIPS 180-4: digests of "abc"', () => {
      assert.equal(
        hex(engine.hash('sha256', utf8('abc'))),
        'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
      )
      assert.equal(
        hex(engine.hash('sha384', utf8('abc'))),
        'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
      )
      assert.equal(
        hex(engine.hash('sha512', utf8('abc'))),
        'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a' +
          '2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
      )
    })

    test('RFC 4231 §4.2: HMAC', () => {
      const key = new Uint8Array(20).fill(0x0b)
      assert.equal(
        hex(hmacSha256(engine, key, utf8('Hi There'))),
        'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
      )
      assert.equal(
        hex(engine.hmac('sha384', key).compute(utf8('Hi There'))),
        'afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6',
      )
      assert.equal(
        hex(engine.hmac('sha512', key).compute(utf8('Hi There'))),
        '87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde' +
          'daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854',
      )
    })

    test('RFC 4231 §4.7: HMAC under a key that is longer than a block', () => {
      const key = new Uint8Array(131).fill(0xaa)
      const input = utf8('Test Using Larger Than Block-Size Key - Hash Key First')
      assert.equal(
        hex(engine.hmac('sha256', key).compute(input)),
        '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
      )
      assert.equal(
        hex(engine.hmac('sha384', key).compute(input)),
        '4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952',
      )
    })

    test('RFC 5869 §A.1: HKDF', () => {
      const okm = hkdfSha256(engine, {
        key: new Uint8Array(22).fill(0x0b),
        salt: fixed(13),
        info: fixed(10, 0xf0),
        length: 42,
      })
      assert.equal(hex(okm), '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865')
    })

    test('RFC 7914 §12: scrypt', async () => {
      const small = await scrypt(engine, { passphrase: none, salt: none, N: 16, r: 1, p: 1, length: 64 })
      assert.equal(
        hex(small),
        '77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442' +
          'fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906',
      )
      const input = { passphrase: utf8('password'), salt: utf8('NaCl'), N: 1024, r: 8, p: 16, length: 64 }
      assert.equal(
        hex(await scrypt(engine, input)),
        'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162' +
          '2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640',
      )
    })

    const ed25519Answers = [
      {
        seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
        publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
        message: '',
        signature:
          'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
      },
      {
        seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
        publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
        message: '72',
        signature:
          '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
      },
    ]
    test('RFC 8032 §7.1: Ed25519, tests 1 and 2', () => {
      for (const answer of ed25519Answers) {
        const seed = unhex(answer.seed)
        const message = unhex(answer.message)
        assert.equal(hex(ed25519Public(engine, seed)), answer.publicKey)
        assert.equal(hex(ed25519Sign(engine, seed)(message)), answer.signature)
        const verify = ed25519Verify(engine, unhex(answer.publicKey))
        assert.equal(verify(message, unhex(answer.signature)), true)
        assert.equal(verify(concat([message, fixed(1)]), unhex(answer.signature)), false)
      }
    })

    test('RFC 4648 §10, by way of a digest: base64 of SHA-256("")', () => {
      assert.equal(toBase64(engine.hash('sha256', none)), '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=')
    })
  })
}
