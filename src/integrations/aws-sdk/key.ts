/** Which key a command was about: as the answer names it, else as it was asked for. */
import type { EntryKey } from '../../model/entry.ts'
import { capText } from '../../model/text.ts'
import type { Command } from './commands.ts'
import type { SdkRequest } from './request.ts'
import { sizeOf } from './request.ts'
import { fieldOf, textOf } from './sdk.ts'
import { keyTypeOfAlgorithm, keyTypeOfSpec } from './spelling.ts'

export interface NamedKey {
  /** The key's ARN, where the answer tells it. */
  readonly identity: string | undefined
  /** The alias, if the key was named by it. */
  readonly slug: string | undefined
  readonly keyType: string | undefined
  readonly keyVersion: number | undefined
}

/** An alias has up to 256 characters, its ARN some more; a key's ARN has 75. */
const maxName = 320

/** `answer`: undefined without one. Of a signature or MAC that is not valid it is empty, and the request has been found in order. */
export function keyOf(command: Command, request: SdkRequest, answer: object | undefined): NamedKey {
  const metadata = fieldOf(answer, 'KeyMetadata')
  const told = textOf(answer, command.told ?? 'KeyId') ?? textOf(metadata, 'Arn')
  const alias = aliasOf(textOf(request.input, 'AliasName')) ?? aliasOf(request.key)
  return {
    identity: named(identityOf(told, request.key)),
    slug: named(alias),
    keyType: keyTypeOf(command, request, answer),
    keyVersion: answer !== undefined && hasOneVersion(command, answer) ? 1 : undefined,
  }
}

/** AWS rotates symmetric keys, of which it never tells the version; a key of another type has its first one for good. */
function hasOneVersion(command: Command, answer: object): boolean {
  if (['Sign', 'Verify', 'GenerateMac', 'VerifyMac', 'GetPublicKey'].includes(command.name)) return true
  const algorithm = textOf(answer, 'EncryptionAlgorithm') ?? textOf(answer, 'SourceEncryptionAlgorithm')
  return algorithm !== undefined && algorithm !== 'SYMMETRIC_DEFAULT'
}

/** What a re-encryption sealed with: a whole name of it, made of what the answer tells. */
export function destinationOf(request: SdkRequest, answer: object): EntryKey | undefined {
  const asked = textOf(request.input, 'DestinationKeyId')
  const identity = textOf(answer, 'KeyId') ?? asked
  if (identity === undefined) return undefined
  const algorithm = textOf(answer, 'DestinationEncryptionAlgorithm')
  const keyType = keyTypeOfAlgorithm(algorithm, sizeOf(fieldOf(answer, 'CiphertextBlob')))
  return {
    identity: capText(identity, maxName),
    // Without an alias, the id at the end of its ARN.
    slug: capText(aliasOf(asked) ?? identity.replace(/^.*\//, ''), maxName),
    keyType: keyType ?? 'unknown',
  }
}

/** The ARN, whoever gives it: some answers have only the id at its end. */
function identityOf(told: string | undefined, asked: string | undefined): string | undefined {
  if (told === undefined || asked === undefined) return told ?? asked
  return asked.endsWith(`:key/${told}`) ? asked : told
}

function named(name: string | undefined): string | undefined {
  return name === undefined ? undefined : capText(name, maxName)
}

function aliasOf(name: string | undefined): string | undefined {
  return /^(?:arn:[^/]*:)?alias\/(.+)$/s.exec(name ?? '')?.[1]
}

function keyTypeOf(command: Command, request: SdkRequest, answer: object | undefined): string | undefined {
  if (command.name === 'CreateKey') return keyTypeOfSpec(createdSpec(request.input))
  if (answer === undefined) return undefined
  const spec = textOf(fieldOf(answer, 'KeyMetadata'), 'KeySpec') ?? textOf(answer, 'KeySpec')
  if (spec !== undefined) return keyTypeOfSpec(spec)
  const [algorithm, length] = algorithmUsed(command, request.input, answer)
  return keyTypeOfAlgorithm(algorithm, length)
}

function createdSpec(input: object): string {
  return textOf(input, 'KeySpec') ?? textOf(input, 'CustomerMasterKeySpec') ?? 'SYMMETRIC_DEFAULT'
}

/** The algorithm that the key was found fit for, and the bytes that are as long as an RSA key's modulus. */
function algorithmUsed(command: Command, input: object, answer: object): [string | undefined, number | undefined] {
  switch (command.name) {
    case 'Encrypt':
      return [textOf(answer, 'EncryptionAlgorithm'), sizeOf(fieldOf(answer, 'CiphertextBlob'))]
    case 'Decrypt':
      return [textOf(answer, 'EncryptionAlgorithm'), sizeOf(fieldOf(input, 'CiphertextBlob'))]
    case 'ReEncrypt':
      return [textOf(answer, 'SourceEncryptionAlgorithm'), sizeOf(fieldOf(input, 'CiphertextBlob'))]
    case 'Sign':
      return [textOf(answer, 'SigningAlgorithm'), sizeOf(fieldOf(answer, 'Signature'))]
    case 'Verify': {
      const signature = fieldOf(answer, 'SignatureValid') === true ? sizeOf(fieldOf(input, 'Signature')) : undefined
      return [textOf(input, 'SigningAlgorithm'), signature]
    }
    case 'GenerateMac':
    case 'VerifyMac':
      return [textOf(input, 'MacAlgorithm'), undefined]
    // AWS makes data keys under symmetric keys only.
    case 'GenerateDataKey':
    case 'GenerateDataKeyWithoutPlaintext':
    case 'GenerateDataKeyPair':
    case 'GenerateDataKeyPairWithoutPlaintext':
      return ['SYMMETRIC_DEFAULT', undefined]
    default:
      return [undefined, undefined]
  }
}
