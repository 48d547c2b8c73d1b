/** Backups as Go writes them, of keys that node:crypto made: independent of what reads them. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'

/** A whole number of any length stands as `bigint`. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | { readonly [name: string]: Json }

export function goJson(value: Json): string {
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map(goJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value as { readonly [name: string]: Json }) // neither null nor an array
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${goJson(field)}`).join(',')}}`
}

export type Entry = { readonly [name: string]: Json }

export const emptyEntry: Entry = {
  key: null,
  hmac_key: null,
  time: '0001-01-01T00:00:00Z',
  ec_x: null,
  ec_y: null,
  ec_d: null,
  rsa_key: null,
  public_key: '',
  convergent_version: 0,
  creation_time: 0,
}

let made = 0

export function entry(fields: Entry = {}): Entry {
  made++
  return {
    ...emptyEntry,
    key: randomBytes(32).toString('base64'),
    hmac_key: randomBytes(32).toString('base64'),
    time: `2026-11-22T07:42:54.${String(100_000_000 + made)}Z`,
    creation_time: 1795333374,
    ...fields,
  }
}

/** A policy and its archive, whose first place is empty, as Vault keeps it. */
export type Backup = {
  readonly policy: { readonly [name: string]: Json }
  readonly archived_keys: { readonly [name: string]: Json }
}

export interface BackupOptions {
  readonly type: number
  readonly entries: readonly Entry[]
  /** The policy has those from `min_decryption_version` on, the archive all. */
  readonly policy?: { readonly [name: string]: Json }
}

export function backupOf({ type, entries, policy = {} }: BackupOptions): Backup {
  const least = Number(policy['min_decryption_version'] ?? 1)
  const keys = Object.fromEntries(entries.map((one, at) => [String(at + 1), one] as const).slice(least - 1))
  return {
    policy: {
      name: 'house',
      keys,
      derived: false,
      kdf: 1,
      convergent_encryption: false,
      exportable: true,
      min_decryption_version: least,
      min_encryption_version: 0,
      latest_version: entries.length,
      archive_version: entries.length,
      archive_min_version: 0,
      min_available_version: 0,
      deletion_allowed: false,
      convergent_version: -1,
      type,
      backup_info: { time: '2026-11-22T07:42:54.228246614Z', version: entries.length },
      restore_info: null,
      allow_plaintext_backup: true,
      version_template: '',
      storage_prefix: '',
      auto_rotate_period: 0,
      Imported: false,
      AllowImportedKeyRotation: false,
      ...policy,
    },
    archived_keys: { keys: [emptyEntry, ...entries] },
  }
}

export function textOf(backup: Json): string {
  return Buffer.from(goJson(backup)).toString('base64')
}

function bigOf(text: string | undefined): bigint {
  return BigInt(`0x${Buffer.from(text ?? '', 'base64url').toString('hex')}`)
}

export interface MadeKey {
  readonly privateKey: KeyObject
  readonly entry: Entry
}

export function ecKey(namedCurve: 'P-256' | 'P-384' | 'P-521'): MadeKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve })
  const { x, y, d } = privateKey.export({ format: 'jwk' })
  return {
    privateKey,
    entry: entry({
      key: null,
      ec_x: bigOf(x),
      ec_y: bigOf(y),
      ec_d: bigOf(d),
      public_key: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    }),
  }
}

export function ed25519Key(): MadeKey {
  const { privateKey } = generateKeyPairSync('ed25519')
  const { x = '', d = '' } = privateKey.export({ format: 'jwk' })
  const parts = [d, x].map((text) => Buffer.from(text, 'base64url'))
  return { privateKey, entry: entry({ key: Buffer.concat(parts).toString('base64'), public_key: x }) }
}

/** `precomputed`: whether what the CRT needs is written too, as Go does when it has it. */
export function rsaKey(bits: 2048 | 3072, precomputed = true): MadeKey {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits })
  return rsaEntry(privateKey, precomputed)
}

export function rsaEntry(privateKey: KeyObject, precomputed = true): MadeKey {
  const { n, e, d, p, q, dp, dq, qi } = privateKey.export({ format: 'jwk' })
  return {
    privateKey,
    entry: entry({
      key: null,
      rsa_key: {
        N: bigOf(n),
        E: Number(bigOf(e)),
        D: bigOf(d),
        Primes: [bigOf(p), bigOf(q)],
        Precomputed: precomputed
          ? { Dp: bigOf(dp), Dq: bigOf(dq), Qinv: bigOf(qi), CRTValues: [] }
          : { Dp: null, Dq: null, Qinv: null, CRTValues: null },
      },
      public_key: createPublicKey(createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' })))
        .export({ format: 'pem', type: 'spki' })
        .toString(),
    }),
  }
}
