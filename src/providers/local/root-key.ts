/** @node Where the root key comes from: given, from a file, from elsewhere, or from a passphrase. */
import { realpath } from 'node:fs/promises'
import { sep } from 'node:path'
import { copyOf, utf8, wipe } from '../../crypto/bytes.ts'
import type { Engine } from '../../crypto/engine.ts'
import { scrypt } from '../../crypto/kdf.ts'
import { randomBytes } from '../../crypto/random.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, fileError } from '../../storage/filesystem.ts'
import { checkPrivate } from '../../storage/private.ts'
import type { PassphraseKdf, RootKey } from './file.ts'

/** Exactly one of these. */
export interface RootKeyOptions {
  /** 32 bytes; copied. */
  readonly rootKey?: Uint8Array
  /**
   * A file outside the keystore's folder, for its owner only, of 32 raw bytes or of 64 hexadecimal digits and at most a
   * line end: `openssl rand -hex 32 > root.key`.
   */
  readonly rootKeyFile?: string
  /** As text, its UTF-8 bytes count, as they are. Opening takes about half a second. */
  readonly passphrase?: string | Uint8Array
  /** Fetches the 32 bytes, e.g. by having another KMS decrypt them; called once. */
  readonly rootKeyFrom?: () => Promise<Uint8Array>
}

export interface RootKeySource {
  /** What stands in the way of none. */
  readonly warnings: readonly string[]
  /** For a new keystore. */
  create(): Promise<RootKey>
  /** For one whose header says `kdf`. */
  open(kdf: PassphraseKdf | undefined): Promise<RootKey>
  /** Forgets the secret it holds; the root keys it gave stay. */
  wipe(): void
}

export interface RootKeyPlace {
  readonly engine: Engine
  readonly fs: FileSystem
  /** The keystore's folder, which exists. */
  readonly folder: string
}

/** RFC 7914; OWASP's first choice for memory. */
const newCost = { N: 2 ** 17, r: 8, p: 1 } as const
/** What a header may ask for at least: a weaker one was not made by us. */
const lowestN = 2 ** 15

/** Refuses unusable options with `INVALID_INPUT`; a source that fails is `PROVIDER_UNAVAILABLE`. */
export async function rootKeySource(place: RootKeyPlace, options: RootKeyOptions): Promise<RootKeySource> {
  const { rootKey, rootKeyFile, passphrase, rootKeyFrom } = options
  const given = [rootKey, rootKeyFile, passphrase, rootKeyFrom].filter((option) => option !== undefined)
  if (given.length !== 1)
    throw new KmsError('INVALID_INPUT', 'give exactly one of rootKey, rootKeyFile, passphrase, rootKeyFrom')
  if (passphrase !== undefined) return passphraseSource(place.engine, passphraseBytes(passphrase))
  if (rootKeyFile !== undefined) return fileSource(place, rootKeyFile)
  if (rootKeyFrom !== undefined) return keySource('rootKeyFrom', await fetched(rootKeyFrom))
  return keySource('rootKey', rootKey)
}

function keySource(name: string, rootKey: unknown, warnings: readonly string[] = []): RootKeySource {
  if (!(rootKey instanceof Uint8Array) || rootKey.length !== 32)
    throw new KmsError('INVALID_INPUT', `${name} must give a Uint8Array of 32 bytes`)
  const key = copyOf(rootKey)
  return {
    warnings,
    create: async () => ({ key: copyOf(key) }),
    async open(kdf) {
      if (kdf === undefined) return { key: copyOf(key) }
      throw new KmsError('INVALID_INPUT', 'this keystore is sealed with a passphrase, not with a root key')
    },
    wipe: () => wipe(key),
  }
}

function passphraseSource(engine: Engine, passphrase: Uint8Array): RootKeySource {
  async function derive(kdf: PassphraseKdf): Promise<RootKey> {
    return { key: await scrypt(engine, { ...kdf, passphrase, length: 32 }), kdf }
  }
  return {
    warnings: [],
    create: () => derive({ ...newCost, salt: randomBytes(32) }),
    async open(kdf) {
      if (kdf === undefined)
        throw new KmsError('INVALID_INPUT', 'this keystore is sealed with a root key, not with a passphrase')
      if (kdf.N < lowestN)
        throw new KmsError(
          'INVALID_INPUT',
          `keystore asks for scrypt with N = ${kdf.N}: less than ${lowestN} is refused`,
        )
      return derive(kdf)
    },
    wipe: () => wipe(passphrase),
  }
}

function passphraseBytes(passphrase: unknown): Uint8Array {
  const bytes = typeof passphrase === 'string' ? utf8(passphrase) : passphrase
  if (!(bytes instanceof Uint8Array) || bytes.length === 0)
    throw new KmsError('INVALID_INPUT', 'passphrase must be a string or Uint8Array that is not empty')
  return bytes === passphrase ? copyOf(bytes) : bytes
}

async function fetched(rootKeyFrom: unknown): Promise<unknown> {
  if (typeof rootKeyFrom !== 'function')
    throw new KmsError('INVALID_INPUT', 'rootKeyFrom must be a function that fetches the root key')
  try {
    return await rootKeyFrom()
  } catch (error) {
    if (error instanceof KmsError) throw error
    throw new KmsError('PROVIDER_UNAVAILABLE', 'rootKeyFrom did not give the root key', { cause: error })
  }
}

async function fileSource({ fs, folder }: RootKeyPlace, path: string): Promise<RootKeySource> {
  if (typeof path !== 'string' || path === '') throw new KmsError('INVALID_INPUT', 'rootKeyFile must be a path')
  const [file, inside] = await Promise.all([real(path), real(folder)])
  // Who copies or backs up the folder must not get the key with the lock.
  if (file.startsWith(inside + sep)) throw new KmsError('INVALID_INPUT', `rootKeyFile must stand outside ${folder}`)
  const warning = checkPrivate(fs, file)
  const bytes = await fs.readFile(file).catch((error) => {
    throw fileError('read', path, error)
  })
  const key = keyIn(bytes)
  try {
    return keySource('rootKeyFile', key, warning === undefined ? [] : [warning])
  } finally {
    wipe(bytes, key ?? bytes)
  }
}

async function real(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    throw fileError('find', path, error)
  }
}

/** 32 raw bytes, or 64 digits and a line end; read byte by byte, because text could not be wiped. */
function keyIn(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length === 32) return bytes
  const end = bytes.at(-1) === 10 ? (bytes.at(-2) === 13 ? bytes.length - 2 : bytes.length - 1) : bytes.length
  if (end !== 64) return undefined
  const key = new Uint8Array(32)
  for (let at = 0; at < 64; at += 2) {
    const high = digit(bytes[at])
    const low = digit(bytes[at + 1])
    if (high === undefined || low === undefined) return undefined
    key[at / 2] = high * 16 + low
  }
  return key
}

function digit(code = 0): number | undefined {
  if (code >= 48 && code <= 57) return code - 48
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : undefined
}
