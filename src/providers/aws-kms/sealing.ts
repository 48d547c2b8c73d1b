/** Encryption, decryption, data keys and re-encryption. */
import { KmsError } from '../../model/errors.ts'
import type { ResolvedKey } from '../../model/key.ts'
import type { EncryptionContext, Operation } from '../../model/operation.ts'
import type { KmsProvider } from '../../model/provider.ts'
import { closedMessage } from './failure.ts'
import { maxCiphertext } from './key-specs.ts'
import { abilityOf, demandLatest, keyFor, refIn, type Tools, used, versionIn } from './use.ts'

type Sealing = Required<Pick<KmsProvider['operations'], 'encrypt' | 'decrypt' | 'generateDataKey' | 'reEncrypt'>>

export function sealing(tools: Tools): Sealing {
  const { service, cache } = tools
  return {
    async encrypt({ key: name, plaintext, keyVersion, encryptionContext }, call) {
      const key = await keyFor(tools, name, call)
      const { algorithm, maxPlaintext } = abilityOf(key, 'seals', 'encrypt')
      if (plaintext.length > maxPlaintext) throw tooLong(key, plaintext.length, maxPlaintext)
      const context = contextFor(key, encryptionContext, 'encrypt')
      await demandLatest(tools, key, keyVersion, call)
      const input = { KeyId: key.identity, Plaintext: plaintext, EncryptionAlgorithm: algorithm, ...context }
      const answer = await used(tools, key, () => service.ask('Encrypt', input, { signal: call.signal }))
      answer.demandKey(key.identity)
      return {
        ciphertext: answer.bytes('CiphertextBlob'),
        key: refIn(key),
        ...versionIn(key),
        provider: answer.trace,
      }
    },

    async decrypt({ key: name, ciphertext, encryptionContext }, call) {
      const key = await keyFor(tools, name, call)
      const { algorithm } = abilityOf(key, 'seals', 'decrypt')
      if (ciphertext.length > maxCiphertext) throw closed('malformed')
      // Nothing was ever sealed so.
      if (!takesContext(key) && !isEmpty(encryptionContext)) throw closed()
      const input = {
        KeyId: key.identity,
        CiphertextBlob: ciphertext,
        EncryptionAlgorithm: algorithm,
        ...sent(encryptionContext),
      }
      const asking = { signal: call.signal, opens: true }
      const answer = await used(tools, key, () => service.ask('Decrypt', input, asking))
      answer.demandKey(key.identity)
      return { plaintext: answer.secret('Plaintext'), key: refIn(key), ...versionIn(key), provider: answer.trace }
    },

    async generateDataKey({ key: name, length = 32, encryptionContext }, call) {
      const key = await keyFor(tools, name, call)
      abilityOf(key, 'seals', 'generateDataKey')
      if (!takesContext(key)) {
        const message = `AWS KMS makes data keys under symmetric keys alone, not under ${key.keyType}`
        throw new KmsError('UNSUPPORTED_OPERATION', message)
      }
      const input = { KeyId: key.identity, NumberOfBytes: length, ...sent(encryptionContext) }
      const answer = await used(tools, key, () => service.ask('GenerateDataKey', input, { signal: call.signal }))
      answer.demandKey(key.identity)
      const plaintext = answer.secret('Plaintext')
      if (plaintext.length !== length) throw answer.bad('a data key of another length than was asked for')
      return { plaintext, ciphertext: answer.bytes('CiphertextBlob'), key: refIn(key), provider: answer.trace }
    },

    async reEncrypt(given, call) {
      const { ciphertext, encryptionContext, destinationEncryptionContext = encryptionContext } = given
      const key = await keyFor(tools, given.key, call)
      const destination =
        given.destinationKey === undefined ? key : await cache.resolve(given.destinationKey, call.scope)
      const from = abilityOf(key, 'seals', 'reEncrypt')
      const to = abilityOf(destination, 'seals', 'reEncrypt')
      if (ciphertext.length > maxCiphertext) throw closed('malformed')
      if (!takesContext(key) && !isEmpty(encryptionContext)) throw closed()
      const sealedUnder = contextFor(destination, destinationEncryptionContext, 'reEncrypt').EncryptionContext
      const input = {
        CiphertextBlob: ciphertext,
        SourceKeyId: key.identity,
        SourceEncryptionAlgorithm: from.algorithm,
        ...(!isEmpty(encryptionContext) && { SourceEncryptionContext: encryptionContext }),
        DestinationKeyId: destination.identity,
        DestinationEncryptionAlgorithm: to.algorithm,
        ...(sealedUnder !== undefined && { DestinationEncryptionContext: sealedUnder }),
      }
      const answer = await used(tools, destination, () =>
        used(tools, key, () => service.ask('ReEncrypt', input, { signal: call.signal })),
      )
      answer.demandKey(key.identity, 'SourceKeyId')
      answer.demandKey(destination.identity)
      const { keyVersion: destinationKeyVersion } = versionIn(destination)
      return {
        ciphertext: answer.bytes('CiphertextBlob'),
        key: refIn(key),
        ...versionIn(key),
        destinationKey: refIn(destination),
        ...(destinationKeyVersion !== undefined && { destinationKeyVersion }),
        provider: answer.trace,
      }
    },
  }
}

/** AWS binds no context to what an asymmetric key seals. */
function takesContext(key: ResolvedKey): boolean {
  return abilityOf(key, 'seals', 'encrypt').algorithm === 'SYMMETRIC_DEFAULT'
}

function isEmpty(context: EncryptionContext | undefined): boolean {
  return context === undefined || Object.keys(context).length === 0
}

function sent(context: EncryptionContext | undefined): { readonly EncryptionContext?: Record<string, string> } {
  return isEmpty(context) ? {} : { EncryptionContext: { ...context } }
}

function contextFor(
  key: ResolvedKey,
  context: EncryptionContext | undefined,
  operation: Operation,
): { readonly EncryptionContext?: Record<string, string> } {
  if (takesContext(key) || isEmpty(context)) return sent(context)
  const message = `AWS KMS binds no encryption context to ciphertexts of ${key.keyType} keys`
  throw new KmsError('INVALID_INPUT', message, { operation })
}

function tooLong(key: ResolvedKey, length: number, most: number): KmsError {
  const advice = takesContext(key)
    ? 'make a data key with generateDataKey and encrypt with that (envelope encryption)'
    : 'encrypt a symmetric key of your own and the payload with that'
  const message = `AWS KMS encrypts at most ${most} bytes with ${key.keyType} keys, and this plaintext has ${length}: ${advice}`
  return new KmsError('INVALID_INPUT', message)
}

function closed(decryptFailure?: 'malformed'): KmsError {
  return new KmsError('INVALID_CIPHERTEXT', closedMessage, decryptFailure && { evidence: { decryptFailure } })
}
