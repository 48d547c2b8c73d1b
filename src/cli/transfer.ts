/** `keytrail keys import`, `export`, `wrapping-key`, `wrap` and `unwrap`: key material in and out. */
import { fromUtf8, wipe } from '../crypto/bytes.ts'
import { fromPem } from '../crypto/pkcs8.ts'
import { KmsError } from '../model/errors.ts'
import type { KeyType } from '../model/key.ts'
import type { KeyMaterialForm } from '../model/operation.ts'
import { unwrapKeyMaterial, wrapKeyMaterial } from '../wrapping.ts'
import { answer, report } from './answer.ts'
import { type Command, type CommandLine, usageError } from './command.ts'
import { withKeys } from './home.ts'
import { readInput } from './input.ts'
import { printKey } from './key-view.ts'
import { opening } from './options.ts'
import { say, toTerminal } from './output.ts'
import { pairsOf } from './pairs.ts'

/** More than any key of ours has, in any form. */
const largestKey = 64 * 1024

const exportKey: Command = {
  verb: 'keys export',
  operands: 'KEY',
  summary: 'give key material out (break-glass)',
  details: `Needs a key made with --exportable, and a --reason, which stands in the entry: every export
is there to be reviewed. Wrapped to the RSA public key in --recipient FILE, whose fingerprint
stands in the entry too; in the clear only by --form raw (symmetric keys), pkcs8 (the others)
or jwk. Bytes into a pipe or into --out FILE (0600); never onto a terminal.`,
  examples: [
    'keytrail keys export backup --recipient escrow.pem --reason escrow --out backup.wrapped',
    'keytrail keys export backup --form raw --reason disaster-recovery --ticket OPS-17 --out backup.key',
  ],
  options: ['recipient', 'form', 'key-version', 'out', 'text', ...opening],
  async run(line) {
    const [key = ''] = line.operands
    if (line.text('reason') === undefined) throw usageError("an export needs '--reason CODE'")
    const form = formOf(line)
    const recipient = await publicKeyIn(line)
    if (form === undefined && recipient === undefined)
      throw usageError("say for whom: '--recipient FILE'; or in the clear, '--form raw', 'pkcs8' or 'jwk'")
    if (toTerminal() && line.text('out') === undefined)
      throw usageError('key material is not shown on a terminal: give --out FILE, or a pipe')
    const keyVersion = line.count('key-version')
    const output = await withKeys(line, (kms) =>
      kms.export({
        key,
        ...(keyVersion !== undefined && { keyVersion }),
        ...(form !== undefined && { form }),
        ...(recipient !== undefined && { recipient }),
      }),
    )
    return answer(line, { output, name: 'keyMaterial', for: 'secret' })
  },
}

const importKey: Command = {
  verb: 'keys import',
  operands: 'SLUG [FILE]',
  summary: 'make a key of key material from elsewhere',
  details: `FILE, or standard input, holds it raw (symmetric keys), as PKCS#8 in DER or PEM (the others), as
jwk, or wrapped to the key that wrapping-key prints. It stays where it is: remove it. An
imported key gets newer versions only with --allow-rotation; ciphertexts of version N open only
if it is imported as that, with --key-version N.`,
  examples: [
    'keytrail keys import orders orders.wrapped --type aes256-gcm96 --form wrapped',
    'keytrail keys import releases releases.pem --type ecdsa-p256 --allow-rotation',
  ],
  options: [
    'type',
    'form',
    'key-version',
    'allow-rotation',
    'exportable',
    'reuse-slug',
    'name',
    'description',
    'label',
    ...opening,
  ],
  async run(line) {
    const [slug = '', file] = line.operands
    const keyType = line.text('type')
    if (keyType === undefined) throw usageError("'--type TYPE' is missing")
    const name = line.text('name')
    const description = line.text('description')
    const labels = pairsOf(line, 'label')
    const given = await materialIn(line, file)
    const output = await wiping(given.keyMaterial, () =>
      withKeys(line, (kms) =>
        kms.importKey({
          slug,
          // The API refuses a type that it does not know, and says which there are.
          keyType: keyType as KeyType,
          ...given,
          ...(name !== undefined && { name }),
          ...(description !== undefined && { description }),
          ...(labels && { labels }),
          ...(line.flag('allow-rotation') && { allowRotation: true }),
          ...(line.flag('exportable') && { exportAllowed: true }),
          ...(line.flag('reuse-slug') && { reuseSlug: true }),
        }),
      ),
    )
    return printKey(line, output)
  },
}

const importVersion: Command = {
  verb: 'keys import-version',
  operands: 'KEY [FILE]',
  summary: 'give an imported key a version that it has not',
  details: `An older one always, a newer one if the key was imported with --allow-rotation: that is then the
latest.`,
  examples: ['keytrail keys import-version orders orders-v1.key --key-version 1'],
  options: ['key-version', 'form', ...opening],
  async run(line) {
    const [key = '', file] = line.operands
    const keyVersion = line.count('key-version')
    if (keyVersion === undefined) throw usageError("'--key-version N' is missing")
    const given = await materialIn(line, file)
    const input = { ...given, key, keyVersion }
    const output = await wiping(given.keyMaterial, () => withKeys(line, (kms) => kms.importKeyVersion(input)))
    return printKey(line, output)
  },
}

const wrappingKey: Command = {
  verb: 'keys wrapping-key',
  operands: '',
  summary: 'print the public key to which key material is wrapped for import',
  details: `PEM of an RSA-4096 key, made when it is first asked for. With --rotate another one is made: what
was wrapped to the one before cannot be imported any more.`,
  examples: ['keytrail keys wrapping-key | tee wrapping.pem', 'keytrail keys wrapping-key --rotate'],
  options: ['rotate', ...opening],
  async run(line) {
    const output = await withKeys(line, (kms) => (line.flag('rotate') ? kms.rotateWrappingKey() : kms.getWrappingKey()))
    await report(line, { output, text: output.publicKey.trimEnd() })
    say(output.fingerprint)
    return 0
  },
}

const wrap: Command = {
  verb: 'keys wrap',
  operands: '[FILE]',
  summary: 'wrap key material to a public key, for import elsewhere',
  details: `RSA-OAEP (SHA-256) and AES-KWP, as CKM_RSA_AES_KEY_WRAP has it. Needs no keystore and leaves no
entry: what is wrapped comes from outside.`,
  examples: ['keytrail keys wrap orders.key --recipient wrapping.pem --out orders.wrapped'],
  options: ['recipient', 'out', 'text'],
  async run(line) {
    const [file] = line.operands
    const path = line.text('recipient')
    if (path === undefined) throw usageError("'--recipient FILE' is missing")
    refuseBothStandard(file, 'recipient', path)
    const recipient = pemIn(await readInput(path, largestKey), 'PUBLIC KEY')
    const keyMaterial = derIn(await readInput(file, largestKey))
    const wrapped = await wiping(keyMaterial, () => wrapKeyMaterial({ keyMaterial, recipient }))
    return answer(line, { output: { wrapped }, name: 'wrapped', for: 'shared' })
  },
}

const unwrap: Command = {
  verb: 'keys unwrap',
  operands: '[FILE]',
  summary: 'open wrapped key material with the private key',
  details: `For whom keys export wrapped it. --private-key FILE holds PKCS#8 in PEM or DER, unencrypted. Bytes
into a pipe or into --out FILE (0600); never onto a terminal.`,
  examples: ['keytrail keys unwrap backup.wrapped --private-key escrow-private.pem --out backup.key'],
  options: ['private-key', 'out', 'text'],
  async run(line) {
    const [file] = line.operands
    const path = line.text('private-key')
    if (path === undefined) throw usageError("'--private-key FILE' is missing")
    refuseBothStandard(file, 'private-key', path)
    if (toTerminal() && line.text('out') === undefined)
      throw usageError('key material is not shown on a terminal: give --out FILE, or a pipe')
    const privateKey = derIn(await readInput(path, largestKey))
    const wrapped = await readInput(file, largestKey)
    const keyMaterial = await wiping(privateKey, () => unwrapKeyMaterial({ wrapped, privateKey }))
    return answer(line, { output: { keyMaterial }, name: 'keyMaterial', for: 'secret' })
  },
}

export const transferCommands: readonly Command[] = [exportKey, importKey, importVersion, wrappingKey, wrap, unwrap]

/** Wipes `secret` when `use` is done with it, whatever came of it. */
async function wiping<T>(secret: Uint8Array, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } finally {
    wipe(secret)
  }
}

/** Two inputs cannot both be standard input. */
function refuseBothStandard(file: string | undefined, option: 'recipient' | 'private-key', path: string): void {
  const isStandard = (name: string | undefined) => name === undefined || name === '-'
  if (isStandard(file) && isStandard(path))
    throw usageError(`FILE and '--${option}' cannot both come from standard input`)
}

function formOf(line: CommandLine): KeyMaterialForm | undefined {
  // The API refuses a form that it does not know.
  return line.text('form') as KeyMaterialForm | undefined
}

interface Given {
  readonly keyMaterial: Uint8Array
  readonly form?: KeyMaterialForm
  readonly keyVersion?: number
}

async function materialIn(line: CommandLine, file: string | undefined): Promise<Given> {
  const form = formOf(line)
  const keyVersion = line.count('key-version')
  const bytes = await readInput(file, largestKey)
  return {
    keyMaterial: form === undefined || form === 'pkcs8' ? derIn(bytes) : bytes,
    ...(form !== undefined && { form }),
    ...(keyVersion !== undefined && { keyVersion }),
  }
}

async function publicKeyIn(line: CommandLine): Promise<Uint8Array | undefined> {
  const path = line.text('recipient')
  if (path === undefined) return undefined
  return pemIn(await readInput(path, largestKey), 'PUBLIC KEY')
}

function derIn(bytes: Uint8Array): Uint8Array {
  return pemIn(bytes, 'PRIVATE KEY')
}

/** What a PEM of this label holds; bytes that are no PEM at all, as they are. */
function pemIn(bytes: Uint8Array, label: 'PUBLIC KEY' | 'PRIVATE KEY'): Uint8Array {
  const text = fromUtf8(bytes)
  if (text === undefined || !text.trimStart().startsWith('-----BEGIN ')) return bytes
  const der = fromPem(label, text)
  if (der === undefined)
    throw new KmsError(
      'INVALID_INPUT',
      `not one PEM block of a ${label}: openssl pkcs8 -topk8 -nocrypt makes one of a private key, openssl pkey -pubout of its public key`,
    )
  return der
}
