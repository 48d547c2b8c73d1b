/** @node The operations that use key material. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { demandUsage, type KeyStore, type ServiceKey } from './keys.ts'
import { headOf, makePair, open, rsaDecrypt, rsaEncrypt, seal, spkiOf } from './material.ts'
import type { Handler, RequestBody } from './operation.ts'
import { invalid, refusal } from './refusal.ts'
import { isSignature, type Message, makeSignature } from './signatures.ts'
import { specs } from './specs.ts'

export function cryptoOperations(store: KeyStore): Readonly<Record<string, Handler>> {
  function encryptWith(key: ServiceKey, plaintext: Buffer, context: object, asked: string | undefined, what: string) {
    demandUsage(key, 'ENCRYPT_DECRYPT', what)
    const algorithm = asked ?? 'SYMMETRIC_DEFAULT'
    demandAlgorithm(key, key.spec.encryption, algorithm)
    if (key.pair === undefined) {
      const material = key.materials.length - 1
      const blob = seal(key.materials[material] ?? Buffer.alloc(0), { keyId: key.id, material }, context, plaintext)
      return { blob, algorithm }
    }
    demandNoContext(context)
    return { blob: rsaEncrypt(key.pair, algorithm, plaintext), algorithm }
  }

  function decryptWith(body: RequestBody, names: { key: string; context: string; algorithm: string }, what: string) {
    const blob = body.bytes('CiphertextBlob')
    const context = body.map(names.context)
    const algorithm = body.text(names.algorithm) ?? 'SYMMETRIC_DEFAULT'
    const asked = body.text(names.key)
    if (algorithm !== 'SYMMETRIC_DEFAULT') {
      if (asked === undefined)
        throw refusal('ValidationException', 'KeyId is required for asymmetric encryption algorithms')
      const key = store.find(asked)
      demandUsage(key, 'ENCRYPT_DECRYPT', what)
      demandAlgorithm(key, key.spec.encryption, algorithm)
      demandNoContext(context)
      if (key.pair === undefined) throw refusal('KMSInternalException')
      return { key, plaintext: rsaDecrypt(key.pair, algorithm, blob), algorithm }
    }
    const named = asked === undefined ? undefined : store.find(asked)
    if (named !== undefined) {
      demandUsage(named, 'ENCRYPT_DECRYPT', what)
      demandAlgorithm(named, named.spec.encryption, algorithm)
    }
    const head = headOf(blob)
    if (head === undefined) throw refusal('InvalidCiphertextException')
    const key = store.keys.get(head.keyId)
    if (named !== undefined && named !== key)
      throw refusal(
        'IncorrectKeyException',
        'The key ID in the request does not identify a CMK that can perform this operation.',
      )
    if (key === undefined)
      throw refusal(
        'AccessDeniedException',
        'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.',
      )
    demandUsage(key, 'ENCRYPT_DECRYPT', what)
    const material = key.materials[head.material]
    if (material === undefined) throw refusal('InvalidCiphertextException')
    return { key, plaintext: open(material, context, blob), algorithm }
  }

  function dataKey(body: RequestBody, what: string) {
    const key = store.find(body.required('KeyId'))
    demandUsage(key, 'ENCRYPT_DECRYPT', what)
    if (key.pair !== undefined)
      throw refusal('InvalidKeyUsageException', `${key.arn} key usage is not valid for ${what}.`)
    const spec = body.text('KeySpec')
    const count = body.number('NumberOfBytes')
    if ((spec === undefined) === (count === undefined))
      throw refusal('ValidationException', 'Please specify either number of bytes or key spec.')
    const plaintext = randomBytes(count ?? (spec === 'AES_128' ? 16 : 32))
    const { blob } = encryptWith(key, plaintext, body.map('EncryptionContext'), undefined, what)
    return { key, plaintext, blob }
  }

  async function dataKeyPair(body: RequestBody, what: string) {
    const key = store.find(body.required('KeyId'))
    demandUsage(key, 'ENCRYPT_DECRYPT', what)
    const specName = body.required('KeyPairSpec')
    const spec = specs[specName]
    if (spec === undefined || key.pair !== undefined) throw refusal('UnsupportedOperationException')
    const pair = await makePair(spec)
    const plaintext = pair.privateKey.export({ type: 'pkcs8', format: 'der' })
    const { blob } = encryptWith(key, plaintext, body.map('EncryptionContext'), undefined, what)
    return {
      PrivateKeyCiphertextBlob: blob,
      PrivateKeyPlaintext: plaintext,
      PublicKey: spkiOf(pair),
      KeyId: key.arn,
      KeyPairSpec: specName,
    }
  }

  function signing(body: RequestBody, what: string) {
    const key = store.find(body.required('KeyId'))
    demandUsage(key, 'SIGN_VERIFY', what)
    const algorithm = body.required('SigningAlgorithm')
    demandAlgorithm(key, key.spec.signing, algorithm)
    const message: Message = {
      algorithm,
      isDigest: body.text('MessageType') === 'DIGEST',
      bytes: body.bytes('Message'),
    }
    if (message.isDigest && message.bytes.length !== Number(algorithm.slice(-3)) / 8)
      throw refusal('ValidationException', `Digest is invalid length for algorithm ${algorithm}.`)
    if (key.pair === undefined) throw refusal('KMSInternalException')
    return { key, pair: key.pair, message, algorithm }
  }

  function mac(body: RequestBody, what: string) {
    const key = store.find(body.required('KeyId'))
    demandUsage(key, 'GENERATE_VERIFY_MAC', what)
    const algorithm = body.required('MacAlgorithm')
    demandAlgorithm(key, key.spec.macs, algorithm)
    const made = createHmac(`sha${algorithm.slice(-3)}`, key.materials[0] ?? '')
    return { key, algorithm, mac: made.update(body.bytes('Message')).digest() }
  }

  return {
    Encrypt(body) {
      const key = store.find(body.required('KeyId'))
      const asked = body.text('EncryptionAlgorithm')
      const { blob, algorithm } = encryptWith(
        key,
        body.bytes('Plaintext'),
        body.map('EncryptionContext'),
        asked,
        'Encrypt',
      )
      return { CiphertextBlob: blob, KeyId: key.arn, EncryptionAlgorithm: algorithm }
    },
    Decrypt(body) {
      const names = { key: 'KeyId', context: 'EncryptionContext', algorithm: 'EncryptionAlgorithm' }
      const { key, plaintext, algorithm } = decryptWith(body, names, 'Decrypt')
      return { KeyId: key.arn, Plaintext: plaintext, EncryptionAlgorithm: algorithm }
    },
    ReEncrypt(body) {
      const names = {
        key: 'SourceKeyId',
        context: 'SourceEncryptionContext',
        algorithm: 'SourceEncryptionAlgorithm',
      }
      const destination = store.find(body.required('DestinationKeyId'))
      const source = decryptWith(body, names, 'ReEncrypt')
      const { blob, algorithm } = encryptWith(
        destination,
        source.plaintext,
        body.map('DestinationEncryptionContext'),
        body.text('DestinationEncryptionAlgorithm'),
        'ReEncrypt',
      )
      return {
        CiphertextBlob: blob,
        SourceKeyId: source.key.arn,
        KeyId: destination.arn,
        SourceEncryptionAlgorithm: source.algorithm,
        DestinationEncryptionAlgorithm: algorithm,
      }
    },
    GenerateDataKey(body) {
      const { key, plaintext, blob } = dataKey(body, 'GenerateDataKey')
      return { CiphertextBlob: blob, Plaintext: plaintext, KeyId: key.arn }
    },
    GenerateDataKeyWithoutPlaintext(body) {
      const { key, blob } = dataKey(body, 'GenerateDataKeyWithoutPlaintext')
      return { CiphertextBlob: blob, KeyId: key.arn }
    },
    GenerateDataKeyPair: (body) => dataKeyPair(body, 'GenerateDataKeyPair'),
    async GenerateDataKeyPairWithoutPlaintext(body) {
      const { PrivateKeyPlaintext: _none, ...answer } = await dataKeyPair(body, 'GenerateDataKeyPairWithoutPlaintext')
      return answer
    },
    GenerateRandom(body) {
      const count = body.number('NumberOfBytes')
      if (count === undefined) throw invalid('numberOfBytes', 'Member must not be null')
      return { Plaintext: randomBytes(count) }
    },
    Sign(body) {
      const { key, pair, message, algorithm } = signing(body, 'Sign')
      return { KeyId: key.arn, Signature: makeSignature(pair, message), SigningAlgorithm: algorithm }
    },
    Verify(body) {
      const { key, pair, message, algorithm } = signing(body, 'Verify')
      if (!isSignature(pair, message, body.bytes('Signature'))) throw refusal('KMSInvalidSignatureException')
      return { KeyId: key.arn, SignatureValid: true, SigningAlgorithm: algorithm }
    },
    GenerateMac(body) {
      const { key, algorithm, mac: made } = mac(body, 'GenerateMac')
      return { Mac: made, MacAlgorithm: algorithm, KeyId: key.arn }
    },
    VerifyMac(body) {
      const { key, algorithm, mac: made } = mac(body, 'VerifyMac')
      const given = body.bytes('Mac')
      if (given.length !== made.length || !timingSafeEqual(given, made)) throw refusal('KMSInvalidMacException')
      return { KeyId: key.arn, MacValid: true, MacAlgorithm: algorithm }
    },
  }
}

function demandAlgorithm(key: ServiceKey, known: readonly string[] | undefined, algorithm: string): void {
  if (known?.includes(algorithm) !== true)
    throw refusal('InvalidKeyUsageException', `Algorithm ${algorithm} is incompatible with key spec ${key.specName}.`)
}

function demandNoContext(context: object): void {
  if (Object.keys(context).length > 0)
    throw refusal('ValidationException', 'Encryption context is not supported for asymmetric keys.')
}
