/** @node Where the root key comes from. Never a flag: other users see the command lines of all processes. */
import { resolve, sep } from 'node:path'
import process from 'node:process'
import { equal, wipe } from '../crypto/bytes.ts'
import { randomBytes } from '../crypto/random.ts'
import { KmsError } from '../model/errors.ts'
import type { Input } from '../model/operation.ts'
import type { RootKeyOptions } from '../providers/local/root-key.ts'
import { nodeFileSystem } from '../storage/filesystem.ts'
import { checkPrivate } from '../storage/private.ts'
import { createFile } from '../storage/replace.ts'
import { type CommandLine, usageError } from './command.ts'
import { readInput } from './input.ts'
import { askSecret } from './prompt.ts'

const longestPassphrase = 1024

/**
 * A flag wins over the environment; without either the terminal is asked, twice for a `new` keystore.
 *
 * Errors: `INVALID_INPUT` (nothing to ask, or the two answers differ), `ABORTED`, `PROVIDER_UNAVAILABLE` (the file).
 */
export async function rootKeyOf(line: CommandLine, keystore: 'new' | 'existing'): Promise<RootKeyOptions> {
  const rootKeyFile = line.text('root-key-file')
  const passphraseFile = line.text('passphrase-file')
  if (rootKeyFile !== undefined && passphraseFile !== undefined)
    throw usageError("give '--root-key-file' or '--passphrase-file', not both")
  if (rootKeyFile !== undefined) return { rootKeyFile }
  if (passphraseFile !== undefined) return { passphrase: await passphraseIn(passphraseFile) }

  const { KEYTRAIL_ROOT_KEY_FILE: file = '', KEYTRAIL_PASSPHRASE: passphrase = '' } = process.env
  if (file !== '' && passphrase !== '')
    throw usageError('KEYTRAIL_ROOT_KEY_FILE and KEYTRAIL_PASSPHRASE are both set: unset one')
  if (file !== '') return { rootKeyFile: file }
  if (passphrase !== '') return { passphrase }
  return { passphrase: keystore === 'new' ? await askTwice() : await askSecret('passphrase: ') }
}

/** What a keystore is to be sealed under from now on: a flag, or the terminal is asked twice. Errors as {@link rootKeyOf}. */
export async function newRootKeyOf(line: CommandLine): Promise<Input<'rewrapRootKey'>> {
  const rootKeyFile = line.text('new-root-key-file')
  const passphraseFile = line.text('new-passphrase-file')
  if (rootKeyFile !== undefined && passphraseFile !== undefined)
    throw usageError("give '--new-root-key-file' or '--new-passphrase-file', not both")
  if (rootKeyFile !== undefined) return { rootKeyFile }
  if (passphraseFile !== undefined) return { passphrase: await passphraseIn(passphraseFile) }
  return { passphrase: await askTwice() }
}

/** Refuses a root key among the keys that it seals: `INVALID_INPUT`. */
export function refuseInside(keys: string, rootKeyFile: string): void {
  if (!resolve(rootKeyFile).startsWith(resolve(keys) + sep)) return
  throw new KmsError('INVALID_INPUT', `the root key must stand outside ${keys}: it would be copied along with the keys`)
}

/** The first line of the file. */
async function passphraseIn(path: string): Promise<Uint8Array> {
  if (path !== '-' && nodeFileSystem.status(path)?.kind === 'file') checkPrivate(nodeFileSystem, path)
  const bytes = await readInput(path, longestPassphrase)
  const end = bytes.findIndex((byte) => byte === 0x0a || byte === 0x0d)
  const passphrase = end === -1 ? bytes.slice() : bytes.slice(0, end)
  wipe(bytes)
  if (passphrase.length === 0) throw new KmsError('INVALID_INPUT', `${path} holds no passphrase on its first line`)
  return passphrase
}

async function askTwice(): Promise<Uint8Array> {
  const first = await askSecret('new passphrase: ')
  const second = await askSecret('once more: ')
  const same = equal(first, second)
  wipe(second)
  if (!same) throw new KmsError('INVALID_INPUT', 'the two passphrases differ: nothing was made')
  return first
}

/** Makes the file at `path` (0600) with a random root key; false when it is there already. Errors: `PROVIDER_UNAVAILABLE`. */
export async function makeRootKey(path: string): Promise<boolean> {
  if (nodeFileSystem.status(path) !== undefined) return false
  const key = randomBytes(32)
  try {
    return await createFile(nodeFileSystem, path, key)
  } finally {
    wipe(key)
  }
}
