/** A key as transit describes it, looked at field by field. */
import { KmsError } from '../../model/errors.ts'
import type { Key, KeyRef, KeyVersion, ResolvedKey, Scope } from '../../model/key.ts'
import { type Fields, fieldsOf } from './answer.ts'
import { malformed } from './failure.ts'
import type { Trace } from './trace.ts'

export interface TransitKey {
  /** Its name in the mount: the slug. */
  readonly name: string
  /** As every answer names it. */
  readonly ref: KeyRef & { readonly latestVersion: number }
  readonly resolved: ResolvedKey
  readonly shown: Key
  readonly derived: boolean
  /** Versions below it are refused. */
  readonly least: number
  /** As transit tells them, where it does: of asymmetric keys. */
  readonly publicKeys: ReadonlyMap<number, string>
}

const secondsADay = 86_400
/** transit's own rule for a name. */
const namePattern = /^\w(?:[\w.-]*\w)?$/

/** The name that `key` (slug or identity) means, or `KEY_NOT_FOUND` for what none can be: it never becomes part of a path. */
export function nameOf(key: string, prefix: string): string {
  const name = key.startsWith(prefix) ? key.slice(prefix.length) : key
  if (namePattern.test(name)) return name
  throw new KmsError('KEY_NOT_FOUND', 'there is no such key', { key })
}

export function readKey(name: string, data: Fields | undefined, { prefix, scope, trace }: Reading): TransitKey {
  const keyType = data?.['type']
  const latest = data?.['latest_version']
  const derived = data?.['derived']
  const exportable = data?.['exportable']
  if (data === undefined || data['name'] !== name) throw malformed('it describes another key, or none', trace)
  if (typeof keyType !== 'string' || !/^[\w.-]{1,64}$/.test(keyType)) throw malformed('a key without type', trace)
  if (!isVersion(latest)) throw malformed('a key without its latest version', trace)
  if (typeof derived !== 'boolean' || typeof exportable !== 'boolean') throw malformed('a key without its flags', trace)
  const entries = versionsOf(data['keys'], trace)
  const minDecryption = wholeOf(data, 'min_decryption_version', trace)
  const least = Math.max(1, minDecryption, wholeOf(data, 'min_available_version', trace))
  const ref = { identity: `${prefix}${name}`, slug: name, keyType, latestVersion: latest }
  const versions = entries.map(({ version, createdAt }): KeyVersion => ({ version, createdAt }))
  return {
    name,
    ref,
    resolved: { ...ref, status: 'active' },
    shown: {
      ...ref,
      name,
      ...(scope?.region !== undefined && { region: scope.region }),
      ...(scope?.project !== undefined && { projectId: scope.project }),
      status: 'active',
      exportAllowed: exportable,
      ...importedFields(data),
      ...rotationFields(data),
      versions,
      ...(minDecryption > 1 && { minDecryptionVersion: minDecryption }),
      createdAt: versions[0]?.createdAt ?? '',
      updatedAt: versions.at(-1)?.createdAt ?? '',
      objectVersion: latest,
    },
    derived,
    least,
    publicKeys: new Map(entries.flatMap(({ version, publicKey }) => (publicKey ? [[version, publicKey]] : []))),
  }
}

interface Reading {
  readonly prefix: string
  readonly scope: Scope | undefined
  readonly trace: Trace
}

interface DescribedVersion {
  readonly version: number
  readonly createdAt: string
  readonly publicKey?: string
}

/** Oldest first. Symmetric keys tell seconds since the epoch, asymmetric ones an object, HMAC keys of some servers nothing. */
function versionsOf(keys: unknown, trace: Trace): readonly DescribedVersion[] {
  if (keys === undefined || keys === null) return []
  const described = Object.entries(fieldsOf(keys) ?? {}).map(([digits, value]): DescribedVersion => {
    const fields = fieldsOf(value)
    const time = fields === undefined ? value : fields['creation_time']
    const at = typeof time === 'number' ? time * 1000 : typeof time === 'string' ? Date.parse(time) : Number.NaN
    const version = /^[1-9][0-9]{0,9}$/.test(digits) ? Number(digits) : 0
    if (!isVersion(version) || !isTime(at)) throw malformed('a key version that is none', trace)
    const publicKey = fields?.['public_key']
    const createdAt = new Date(at).toISOString()
    return { version, createdAt, ...(typeof publicKey === 'string' && publicKey !== '' && { publicKey }) }
  })
  if (described.length === 0) throw malformed('a key without versions', trace)
  return described.sort((a, b) => a.version - b.version)
}

function importedFields(data: Fields): Pick<Key, 'imported' | 'allowRotation'> {
  if (data['imported_key'] !== true) return {}
  return { imported: true, allowRotation: data['imported_key_allow_rotation'] === true }
}

/**
 * transit rotates by itself, at a time that it does not tell: `nextRotationAt` stays away, and with it `rotateDueKeys`. A
 * period that is no whole number of days is not told either.
 */
function rotationFields(data: Fields): Pick<Key, 'keyRotationEnabled' | 'rotationPeriodInDays'> {
  const days = rotationDays(data)
  return { keyRotationEnabled: days > 0, ...(days > 0 && Number.isInteger(days) && { rotationPeriodInDays: days }) }
}

/** 0 where it is off, or the server is too old to have it. */
function rotationDays(data: Fields): number {
  const seconds = data['auto_rotate_period']
  return typeof seconds === 'number' && seconds > 0 ? seconds / secondsADay : 0
}

export function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= 0xffff_ffff
}

function wholeOf(data: Fields, field: string, trace: Trace): number {
  const value = data[field] ?? 0
  if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value)
  throw malformed(`a key whose ${field} is none`, trace)
}

/** What `Date` can write. */
function isTime(ms: number): boolean {
  return Math.abs(ms) <= 8.64e15 && ms >= -62_135_596_800_000
}
