/**
 * From the objects of a token to keys and their versions. Labels are not unique on a token, and anybody may have made an object:
 * whatever could mean two things is marked as such, and used for nothing.
 */
import { engine } from '#engine'
import { concat, equal, hex, lp, utf8 } from '../../crypto/bytes.ts'
import { cko } from './constants.ts'
import { decodeKeyId, identityOf, type KeyId, keyLength, timeOf } from './key-id.ts'
import { type PublicKey, publicKeyOf, type TokenKeyType, typeOf } from './key-types.ts'
import type { ObjectFacts } from './protocol.ts'

export interface TokenVersion {
  readonly version: number
  /** Of a private or secret key. */
  readonly object: ObjectFacts
  readonly publicObject?: ObjectFacts
  readonly publicKey?: PublicKey
  /** Ms since the epoch; 0 where nobody knows: of objects that others made. */
  readonly createdAt: number
  /** The intent that allowed it. */
  readonly operation?: Uint8Array
  /** Why it is used for nothing. */
  readonly doubt?: string
}

export interface TokenKey {
  readonly identity: string
  readonly slug: string
  readonly type: TokenKeyType
  /** 12 bytes, which stand in the CKA_ID of each of its versions that we made. */
  readonly id: Uint8Array
  /** Ascending; at least one. */
  readonly versions: readonly TokenVersion[]
  readonly latest: TokenVersion
}

const labelPattern = /^([a-z0-9][a-z0-9-]{0,62})(?:\/v([1-9][0-9]{0,8}))?$/

/** `serial`: the token's, so that like objects of two tokens are two keys. */
export function assembleKeys(objects: readonly ObjectFacts[], serial: string): readonly TokenKey[] {
  const publics = objects.filter(({ objectClass }) => objectClass === cko.PUBLIC_KEY)
  const bySlug = new Map<string, Named[]>()
  for (const object of objects) {
    const named = nameOf(object)
    if (named === undefined) continue
    const others = bySlug.get(named.slug)
    if (others === undefined) bySlug.set(named.slug, [named])
    else others.push(named)
  }
  return [...bySlug.values()].flatMap((named) => {
    const key = assembleKey(named, publics, serial)
    return key === undefined ? [] : [key]
  })
}

interface Named {
  readonly slug: string
  /** Undefined for a label without one. */
  readonly version: number | undefined
  readonly object: ObjectFacts
  readonly type: TokenKeyType
  readonly own: KeyId | undefined
}

/** A secret or private key of a type that we know under a label that a key may have. */
function nameOf(object: ObjectFacts): Named | undefined {
  if (object.objectClass === cko.PUBLIC_KEY) return undefined
  const [, slug, digits] = labelPattern.exec(object.label) ?? []
  if (slug === undefined || slug.startsWith('kms-')) return undefined
  const own = decodeKeyId(object.id)
  const type = typeOf(object, own?.plainHmac === true)
  return type && { slug, version: digits === undefined ? undefined : Number(digits), object, type, own }
}

function assembleKey(named: readonly Named[], publics: readonly ObjectFacts[], serial: string): TokenKey | undefined {
  // What another tool made under the bare name is version 1, unless there is one.
  const hasFirst = named.some(({ version }) => version === 1)
  const numbered = named
    .flatMap((one) => (one.version !== undefined || !hasFirst ? [{ ...one, version: one.version ?? 1 }] : []))
    .sort((a, b) => a.version - b.version || compare(a.object.id, b.object.id))
  const [first] = numbered
  if (first === undefined) return undefined
  const id = numbered.find(({ own }) => own !== undefined)?.own?.key ?? adoptedId(first.object, serial)
  const versions: TokenVersion[] = []
  for (const one of numbered) {
    if (versions.at(-1)?.version === one.version) continue
    const same = numbered.filter(({ version }) => version === one.version)
    versions.push(versionOf(one, publics, doubtOf(one, same.length, first.type, id)))
  }
  const latest = versions.at(-1)
  return latest && { identity: identityOf(id), slug: first.slug, type: first.type, id, versions, latest }
}

function doubtOf(
  { object, type, own, version }: Numbered,
  count: number,
  of: TokenKeyType,
  id: Uint8Array,
): string | undefined {
  const { label } = object
  if (count > 1) return `the token holds ${count} keys labelled ${label}, and which is meant nobody can tell`
  if (type !== of) return `${label} is of type ${type.keyType}, and the versions before it are of type ${of.keyType}`
  if (own === undefined) return undefined
  if (!equal(own.key, id)) return `${label} is a version of another key of this name`
  return own.version === version ? undefined : `${label} was made as version ${own.version}`
}

interface Numbered extends Named {
  readonly version: number
}

function versionOf(
  { version, object, type, own }: Numbered,
  publics: readonly ObjectFacts[],
  doubt?: string,
): TokenVersion {
  const publicObject = object.objectClass === cko.PRIVATE_KEY ? publicOf(object, publics) : undefined
  const publicKey = publicKeyOf(type.kind, publicObject === undefined ? [object] : [object, publicObject])
  return {
    version,
    object,
    ...(publicObject !== undefined && { publicObject }),
    ...(publicKey !== undefined && { publicKey }),
    createdAt: own === undefined ? 0 : timeOf(own.operation),
    ...(own !== undefined && { operation: own.operation }),
    ...(doubt !== undefined && { doubt }),
  }
}

/** PKCS#11 §4.8: a pair shares its CKA_ID; where there is none, its label. Two that fit are none. */
function publicOf({ id, label, keyType }: ObjectFacts, publics: readonly ObjectFacts[]): ObjectFacts | undefined {
  const fitting = publics.filter(
    (one) => one.keyType === keyType && equal(one.id, id) && (id.length > 0 || one.label === label),
  )
  return fitting.length === 1 ? fitting[0] : undefined
}

/** Stable as long as the object keeps its names. */
function adoptedId({ label, id }: ObjectFacts, serial: string): Uint8Array {
  const parts = ['keytrail/pkcs11/adopted/1', serial, label].map((text) => lp(utf8(text)))
  return engine.hash('sha256', concat([...parts, lp(id)])).slice(0, keyLength)
}

function compare(a: Uint8Array, b: Uint8Array): number {
  return hex(a) < hex(b) ? -1 : 1
}
