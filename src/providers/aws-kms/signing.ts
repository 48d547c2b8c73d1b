/** Signatures, MACs and public keys. */
import { engine } from '#engine'
import { readDer, tags } from '../../crypto/der.ts'
import { parseDer, parseP1363, toDer, withLowS } from '../../crypto/ecdsa.ts'
import { publicKeyPem } from '../../crypto/pkcs8.ts'
import { KmsError } from '../../model/errors.ts'
import type { ResolvedKey } from '../../model/key.ts'
import type { Operation } from '../../model/operation.ts'
import type { KmsProvider } from '../../model/provider.ts'
import { maxCiphertext, maxPayload, type rowOf } from './key-specs.ts'
import type { MacAlgorithm } from './sdk.ts'
import { type SigningOptions, signingRequest } from './signing-request.ts'
import { abilityOf, demandLatest, keyFor, refIn, type Tools, used, versionIn } from './use.ts'

type Signing = Required<Pick<KmsProvider['operations'], 'sign' | 'verify' | 'hmac' | 'verifyHmac' | 'getPublicKey'>>

export function signing(tools: Tools): Signing {
  const { service } = tools
  return {
    async sign({ key: name, keyVersion, ...given }, call) {
      const key = await keyFor(tools, name, call)
      const signs = abilityOf(key, 'signs', 'sign')
      const request = signingRequest(engine, key.keyType, signs, given)
      await demandLatest(tools, key, keyVersion, call)
      const input = { KeyId: key.identity, ...request }
      const answer = await used(tools, key, () => service.ask('Sign', input, { signal: call.signal }))
      answer.demandKey(key.identity)
      const signature = signatureIn(signs, given, answer.bytes('Signature'))
      if (signature === undefined) throw answer.bad("a 'Signature' that is no DER")
      return { signature, key: refIn(key), ...versionIn(key), provider: answer.trace }
    },

    async verify({ key: name, keyVersion, signature, ...given }, call) {
      const key = await keyFor(tools, name, call)
      const signs = abilityOf(key, 'signs', 'verify')
      const request = signingRequest(engine, key.keyType, signs, given)
      await demandLatest(tools, key, keyVersion, call)
      const sent = derOf(signs, given, signature)
      // What AWS would not even read: the answer is no, of a key that may be used.
      if (sent === undefined) return notValid(key)
      const input = { KeyId: key.identity, ...request, Signature: sent }
      const asking = { signal: call.signal, no: 'KMSInvalidSignatureException' }
      const answer = await used(tools, key, () => service.ask('Verify', input, asking))
      if (!answer.isNo) answer.demandKey(key.identity)
      const valid = !answer.isNo && answer.flag('SignatureValid')
      return { valid, key: refIn(key), ...versionIn(key), provider: answer.trace }
    },

    async hmac({ key: name, input: message, keyVersion, hashAlgorithm }, call) {
      const key = await keyFor(tools, name, call)
      const algorithm = macAlgorithm(key, 'hmac', hashAlgorithm)
      demandMessage(message)
      await demandLatest(tools, key, keyVersion, call)
      const input = { KeyId: key.identity, Message: message, MacAlgorithm: algorithm }
      const answer = await used(tools, key, () => service.ask('GenerateMac', input, { signal: call.signal }))
      answer.demandKey(key.identity)
      return { hmac: answer.bytes('Mac'), key: refIn(key), ...versionIn(key), provider: answer.trace }
    },

    async verifyHmac({ key: name, input: message, hmac, keyVersion, hashAlgorithm }, call) {
      const key = await keyFor(tools, name, call)
      const algorithm = macAlgorithm(key, 'verifyHmac', hashAlgorithm)
      demandMessage(message)
      await demandLatest(tools, key, keyVersion, call)
      if (hmac.length > maxCiphertext) return notValid(key)
      const input = { KeyId: key.identity, Message: message, MacAlgorithm: algorithm, Mac: hmac }
      const asking = { signal: call.signal, no: 'KMSInvalidMacException' }
      const answer = await used(tools, key, () => service.ask('VerifyMac', input, asking))
      if (!answer.isNo) answer.demandKey(key.identity)
      const valid = !answer.isNo && answer.flag('MacValid')
      return { valid, key: refIn(key), ...versionIn(key), provider: answer.trace }
    },

    async getPublicKey({ key: name, keyVersion }, call) {
      const key = await keyFor(tools, name, call)
      await demandLatest(tools, key, keyVersion, call)
      const answer = await used(tools, key, () =>
        service.ask('GetPublicKey', { KeyId: key.identity }, { signal: call.signal }),
      )
      answer.demandKey(key.identity)
      const spki = answer.bytes('PublicKey')
      if (!isSpki(spki)) throw answer.bad("a 'PublicKey' that is no SubjectPublicKeyInfo")
      // Every asymmetric key of AWS has one version.
      return { publicKey: publicKeyPem(spki), spki, key: refIn(key), keyVersion: 1, provider: answer.trace }
    },
  }
}

type Signs = NonNullable<NonNullable<ReturnType<typeof rowOf>>['signs']>

/** The signature as it was asked for, with the lower s where that is the curve's way; undefined for what is none. */
function signatureIn(signs: Signs, { format }: SigningOptions, made: Uint8Array): Uint8Array | undefined {
  if (signs.scheme === 'rsa') return made
  const { curve } = signs
  const parsed = parseDer(curve, made)
  if (parsed === undefined) return undefined
  const lower = curve.lowS ? withLowS(curve, parsed) : parsed
  if (format === 'ieee-p1363') return lower
  return lower === parsed ? made : toDer(lower)
}

/** The signature as AWS takes it; undefined for bytes that are none. */
function derOf(signs: Signs, { format }: SigningOptions, signature: Uint8Array): Uint8Array | undefined {
  if (signature.length > maxCiphertext) return undefined
  if (signs.scheme === 'rsa' || format !== 'ieee-p1363') return signature
  const parsed = parseP1363(signs.curve, signature)
  return parsed && toDer(parsed)
}

function notValid(key: ResolvedKey) {
  if (key.status !== undefined && key.status !== 'active') throw new KmsError('KEY_NOT_ACTIVE', `key is ${key.status}`)
  return { valid: false, key: refIn(key), ...versionIn(key) }
}

function macAlgorithm(key: ResolvedKey, operation: Operation, asked: string | undefined): MacAlgorithm {
  const { algorithm, hashAlgorithm } = abilityOf(key, 'authenticates', operation)
  if (asked !== undefined && asked !== hashAlgorithm)
    throw new KmsError('INVALID_INPUT', `hashAlgorithm must be ${hashAlgorithm ?? 'absent'} for ${key.keyType} keys`)
  return algorithm
}

function demandMessage(message: Uint8Array): void {
  if (message.length >= 1 && message.length <= maxPayload) return
  const advice = message.length === 0 ? '' : ': hash it yourself and authenticate the digest'
  const text = `AWS KMS authenticates messages of 1–${maxPayload} bytes, and this has ${message.length}${advice}`
  throw new KmsError('INVALID_INPUT', text)
}

/** RFC 5280 §4.1.2.7: an algorithm and a bit string. */
function isSpki(bytes: Uint8Array): boolean {
  const read = readDer(bytes, (from) =>
    from.within(tags.sequence, () => [from.take(tags.sequence), from.take(tags.bitString)]),
  )
  return read !== undefined
}
