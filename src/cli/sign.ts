/** `keytrail sign`, `verify`, `hmac` and `verify-hmac`. */

import type { Called } from '../client.ts'
import { fromBase64, fromUtf8, utf8 } from '../crypto/bytes.ts'
import type { HashAlgorithm, Input, SignatureFormat, SignaturePadding } from '../model/operation.ts'
import { visible } from '../sinks/render.ts'
import { answer, report } from './answer.ts'
import { type Command, type CommandLine, type ExitCode, usageError } from './command.ts'
import { withKeys } from './home.ts'
import { readInput } from './input.ts'
import { largestInput, largestSignature } from './limits.ts'
import { opening } from './options.ts'

export const sign: Command = {
  verb: 'sign',
  operands: 'KEY [FILE]',
  summary: 'sign a file or standard input',
  details: 'Writes the signature as bytes, or in base64 with --text and on a terminal.',
  examples: ['keytrail sign releases app.tar.gz --out app.tar.gz.sig'],
  options: ['key-version', 'hash', 'prehashed', 'padding', 'format', 'text', 'out', ...opening],
  async run(line) {
    const [key = '', file] = line.operands
    const options = signingOf(line)
    const input = await readInput(file, largestInput)
    const output = await withKeys(line, (kms) => kms.sign({ key, input, ...options }))
    return answer(line, { output, name: 'signature', for: 'shared' })
  },
}

export const verify: Command = {
  verb: 'verify',
  operands: 'KEY [FILE]',
  summary: 'check a signature',
  details: `Prints "valid" and exits with 0, or "not valid" with 1. Without --key-version, versions are
tried newest first.`,
  examples: ['keytrail verify releases app.tar.gz --signature app.tar.gz.sig'],
  options: ['signature', 'key-version', 'hash', 'prehashed', 'padding', 'format', ...opening],
  async run(line) {
    const [key = '', file] = line.operands
    const options = signingOf(line)
    const signature = await signatureIn(line, 'signature')
    const input = await readInput(file, largestInput)
    return verdict(line, await withKeys(line, (kms) => kms.call('verify', { key, input, signature, ...options })))
  },
}

export const hmac: Command = {
  verb: 'hmac',
  operands: 'KEY [FILE]',
  summary: 'make the HMAC of a file or standard input',
  details: 'Writes the HMAC as bytes, or in base64 with --text and on a terminal.',
  examples: ['keytrail hmac webhooks body.json --text'],
  options: ['key-version', 'hash', 'text', 'out', ...opening],
  async run(line) {
    const [key = '', file] = line.operands
    const options = hashingOf(line)
    const input = await readInput(file, largestInput)
    const output = await withKeys(line, (kms) => kms.hmac({ key, input, ...options }))
    return answer(line, { output, name: 'hmac', for: 'shared' })
  },
}

export const verifyHmac: Command = {
  verb: 'verify-hmac',
  operands: 'KEY [FILE]',
  summary: 'check an HMAC',
  details: `Prints "valid" and exits with 0, or "not valid" with 1. Without --key-version, versions are
tried newest first.`,
  examples: ['keytrail verify-hmac webhooks body.json --hmac body.mac'],
  options: ['hmac', 'key-version', 'hash', ...opening],
  async run(line) {
    const [key = '', file] = line.operands
    const options = hashingOf(line)
    const given = await signatureIn(line, 'hmac')
    const input = await readInput(file, largestInput)
    return verdict(line, await withKeys(line, (kms) => kms.call('verifyHmac', { key, input, hmac: given, ...options })))
  },
}

type Hashing = Pick<Input<'hmac'>, 'keyVersion' | 'hashAlgorithm'>
type Signing = Hashing & Pick<Input<'sign'>, 'prehashed' | 'padding' | 'format'>

function hashingOf(line: CommandLine): Hashing {
  const keyVersion = line.count('key-version')
  const hash = line.text('hash')
  return {
    ...(keyVersion !== undefined && { keyVersion }),
    // The API refuses a name that it does not know, and says which there are.
    ...(hash !== undefined && { hashAlgorithm: hash as HashAlgorithm }),
  }
}

function signingOf(line: CommandLine): Signing {
  const format = line.text('format')
  const padding = line.text('padding')
  return {
    ...hashingOf(line),
    ...(line.flag('prehashed') && { prehashed: true }),
    // As for `hash`.
    ...(padding !== undefined && { padding: padding as SignaturePadding }),
    ...(format !== undefined && { format: format as SignatureFormat }),
  }
}

/** The file's bytes, decoded if all of them are base64: no real signature looks like that by chance. Vault's text as it is. */
async function signatureIn(line: CommandLine, option: 'signature' | 'hmac'): Promise<Uint8Array> {
  const path = line.text(option)
  if (path === undefined) throw usageError(`'--${option} FILE' is missing`)
  if (isStandard(path) && isStandard(line.operands[1]))
    throw usageError(`the input and '--${option}' cannot both come from standard input`)
  const bytes = await readInput(path, largestSignature)
  const text = fromUtf8(bytes)?.trim()
  if (text?.startsWith('vault:v')) return utf8(text)
  return (text !== undefined && text !== '' ? fromBase64(text) : undefined) ?? bytes
}

function isStandard(path: string | undefined): boolean {
  return path === undefined || path === '-'
}

async function verdict(line: CommandLine, output: Called<'verify'> | Called<'verifyHmac'>): Promise<ExitCode> {
  const { valid, key, keyVersion } = output
  const by = `${visible(key.slug)}${keyVersion === undefined ? '' : ` v${keyVersion}`}`
  await report(line, { output, text: `${valid ? 'valid' : 'not valid'} by ${by}` })
  return valid ? 0 : 1
}
