/** `keytrail encrypt` and `keytrail decrypt`. */
import { fromUtf8, utf8 } from '../crypto/bytes.ts'
import { decodeCiphertext, encodeCiphertext } from '../crypto/frame.ts'
import { KmsError } from '../model/errors.ts'
import { answer } from './answer.ts'
import type { Command } from './command.ts'
import { withKeys } from './home.ts'
import { readInput } from './input.ts'
import { largestCiphertext, largestInput } from './limits.ts'
import { opening } from './options.ts'
import { toTerminal } from './output.ts'
import { pairsOf } from './pairs.ts'

export const encrypt: Command = {
  verb: 'encrypt',
  operands: 'KEY [FILE]',
  summary: 'encrypt a file or standard input',
  details: `Writes the ciphertext as bytes, or as keytrail:v<version>:<base64url> with --text and on a
terminal; decrypt takes both. At most 256 MiB. The encryption context is bound into the
ciphertext, must be given again to decrypt, and stands in the entry: put no secret there.`,
  examples: [
    'keytrail encrypt orders order.json --out order.json.enc',
    'echo hello | keytrail encrypt orders --text --context order=17',
  ],
  options: ['context', 'key-version', 'text', 'out', ...opening],
  async run(line) {
    const [key = '', file] = line.operands
    const encryptionContext = pairsOf(line, 'context')
    const keyVersion = line.count('key-version')
    const plaintext = await readInput(file, largestInput)
    const output = await withKeys(line, (kms) =>
      kms.encrypt({
        key,
        plaintext,
        ...(keyVersion !== undefined && { keyVersion }),
        ...(encryptionContext && { encryptionContext }),
      }),
    )
    return answer(line, { output, name: 'ciphertext', spell: encodeCiphertext, for: 'shared' })
  },
}

export const decrypt: Command = {
  verb: 'decrypt',
  operands: 'KEY [FILE]',
  summary: 'decrypt what encrypt wrote, in either spelling',
  details: `Every failure looks the same from here: INVALID_CIPHERTEXT. What exactly failed stands in
the entry that the message names. A file given by --out is made for its owner only (0600).`,
  examples: [
    'keytrail decrypt orders order.json.enc --out order.json',
    'keytrail encrypt orders order.json | keytrail decrypt orders',
  ],
  options: ['context', 'out', ...opening],
  async run(line) {
    const [key = '', file] = line.operands
    const encryptionContext = pairsOf(line, 'context')
    const ciphertext = frameIn(await readInput(file, largestCiphertext))
    const output = await withKeys(line, (kms) =>
      kms.decrypt({ key, ciphertext, ...(encryptionContext && { encryptionContext }) }),
    )
    const toScreen = toTerminal() && line.text('out') === undefined && !line.flag('json')
    return answer(line, { output, name: 'plaintext', for: 'secret', ...(toScreen && { spell: printable }) })
  },
}

/** The bytes of a ciphertext in either spelling, or Vault's text without the line end of a file. What is neither goes on as it is, to be refused and recorded. */
function frameIn(bytes: Uint8Array): Uint8Array {
  const prefix = fromUtf8(bytes.subarray(0, 9)) ?? ''
  if (prefix.startsWith('vault:v')) return utf8((fromUtf8(bytes) ?? '').trimEnd())
  if (prefix !== 'keytrail:') return bytes
  try {
    return decodeCiphertext((fromUtf8(bytes) ?? '').trimEnd())
  } catch (error) {
    if (error instanceof KmsError && error.code === 'INVALID_CIPHERTEXT') return bytes
    throw error
  }
}

/** A terminal acts upon some bytes: it is shown text only. */
function printable(plaintext: Uint8Array): string {
  const text = fromUtf8(plaintext)
  if (text !== undefined && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text.replace(/\t|\r?\n/g, '')))
    return text.replace(/\n$/, '')
  throw new KmsError(
    'INVALID_INPUT',
    'the plaintext is not plain text, so a terminal does not show it: give --out FILE',
  )
}
