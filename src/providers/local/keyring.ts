/** The keys of a keystore in use: found by name within their scope, their versions prepared when first wanted. */
import type { Algorithm, PreparedKeys, Use } from '../../crypto/algorithms.ts'
import { wipe } from '../../crypto/bytes.ts'
import type { Engine } from '../../crypto/engine.ts'
import { everyAlgorithm } from '../../crypto/every-algorithm.ts'
import { requireApproved } from '../../crypto/fips.ts'
import { KmsError } from '../../model/errors.ts'
import type { ImportableKeyType, Key, ResolvedKey, Scope } from '../../model/key.ts'
import type { Operation } from '../../model/operation.ts'
import { type Keystore, latestOf, type StoredKey, type StoredVersion, secretsOf } from './keystore.ts'
import type { Meter, Usage } from './usage.ts'
import { keyOf, refOf } from './view.ts'

/** One state of a key; a change makes a new one. */
export interface LiveKey {
  readonly stored: StoredKey
  readonly ref: ResolvedKey
  readonly key: Key
  /** The newest version's number. */
  readonly latest: number
  /** Versions below it are not used: the key's `minDecryptionVersion`. */
  readonly least: number
  /** The row of its type. */
  readonly algorithm: Algorithm<Use, ImportableKeyType>
}

export interface Keyring {
  /** The key with this identity or slug within exactly this scope, or `KEY_NOT_FOUND`. */
  find(name: string, scope: Scope): LiveKey
  /** Keys within exactly this scope, oldest first. */
  list(scope: Scope): readonly LiveKey[]
  /** Each region and project that has keys, once. */
  scopes(): readonly Scope[]
  /** The keystore in force. */
  readonly keystore: Keystore
  /**
   * Puts a newer keystore in force. Versions already prepared stay, since a version's secret never changes; those of keys
   * that are gone are wiped.
   */
  replace(keystore: Keystore): void
  /** A prepared version, the latest unless `version` says another; `VERSION_NOT_FOUND`. Its use was checked before. */
  version<U extends Use>(key: LiveKey, use: U, version?: number): PreparedKeys[U]
  /** The same for sealing, with what counts its messages, where its type needs that. */
  sealing(key: LiveKey, version?: number): Prepared<'encrypt'>
  /** Wipes every secret; from here on everything is `CLOSED`. */
  close(): void
}

export interface Prepared<U extends Use = Use> {
  readonly version: PreparedKeys[U]
  readonly meter: Meter | undefined
}

type Names = ReadonlyMap<string, LiveKey>
/** By region, then by project. */
type Scopes = ReadonlyMap<string | undefined, ReadonlyMap<string | undefined, Names>>

export interface KeyringOptions {
  readonly usage: Usage
  /** Prepare only keys of types that FIPS mode allows; others are `UNSUPPORTED_OPERATION`. */
  readonly fips?: boolean
}

/** Finds by hash, so that a call costs the same with one key or a hundred thousand. */
export function openKeyring(engine: Engine, first: Keystore, { usage, fips = false }: KeyringOptions): Keyring {
  let keystore = first
  let live: readonly LiveKey[] = first.keys.map(liveKey)
  let identities = byIdentity(live)
  let scopes = byScope(live)
  let closed = false
  const prepared = new Map<string, Map<number, Prepared>>()

  function preparedVersion(key: LiveKey, version: number): Prepared {
    return prepared.get(key.stored.identity)?.get(version) ?? prepare(key, version)
  }

  function prepare({ stored: { identity, slug } }: LiveKey, version: number): Prepared {
    // As it is now: a call that waited may hold a state of the key whose material is wiped, and zeros must seal nothing.
    const key = identities.get(identity)
    if (key === undefined) throw closed ? closedError() : notFound(slug)
    const { material } = storedVersion(key, version)
    if (fips) requireApproved(key.stored.keyType)
    const opened = key.algorithm.open(engine, material, version)
    const made = { version: opened, meter: usage.meter(key.stored, version) }
    const versions = prepared.get(identity) ?? new Map<number, Prepared>()
    prepared.set(identity, versions.set(version, made))
    return made
  }

  /** Wipes those of `secrets` that are no longer in force, and lets go of keys that are gone. */
  function letGo(secrets: readonly Uint8Array[]): void {
    for (const [identity, versions] of prepared) {
      if (identities.has(identity)) continue
      for (const { version } of versions.values()) version.destroy()
      prepared.delete(identity)
    }
    const kept = new Set(closed ? [] : secretsOf(keystore))
    for (const secret of secrets) if (!kept.has(secret)) wipe(secret)
  }

  return {
    get keystore() {
      return keystore
    },
    find(name, scope) {
      const found = scopes.get(scope.region)?.get(scope.project)?.get(name)
      if (found !== undefined) return found
      if (closed) throw closedError()
      throw notFound(name)
    },
    list(scope) {
      if (closed) throw closedError()
      return live.filter(({ stored }) => stored.region === scope.region && stored.project === scope.project)
    },
    scopes() {
      if (closed) throw closedError()
      return [...scopes].flatMap(([region, projects]) =>
        [...projects.keys()].map((project) => scopeOf(region, project)),
      )
    },
    replace(next) {
      const secrets = secretsOf(keystore)
      const known = new Map(live.map((key) => [key.stored, key]))
      keystore = next
      live = next.keys.map((stored) => known.get(stored) ?? liveKey(stored))
      identities = byIdentity(live)
      scopes = byScope(live)
      usage.replace(next)
      letGo(secrets)
    },
    version<U extends Use>(key: LiveKey, _use: U, version = key.latest): PreparedKeys[U] {
      // The key's type has the use that `_use` names: `capable` has checked it.
      return preparedVersion(key, version).version as PreparedKeys[U]
    },
    sealing(key, version = key.latest) {
      // As above: whoever seals has checked that the key's type can encrypt.
      return preparedVersion(key, version) as Prepared<'encrypt'>
    },
    close() {
      closed = true
      live = []
      identities = new Map()
      scopes = new Map()
      letGo(secretsOf(keystore))
      wipe(keystore.signerSeed, ...keystore.formerSeeds, keystore.usageKey)
    },
  }
}

function notFound(name: string): KmsError {
  return new KmsError('KEY_NOT_FOUND', 'no such key in this region and project', { key: name })
}

/** What every use after `close` hears. */
export function closedError(): KmsError {
  return new KmsError('CLOSED', 'the keystore is closed')
}

/** A version as stored, or `VERSION_NOT_FOUND`. */
export function storedVersion(key: LiveKey, version: number): StoredVersion {
  const found = key.stored.versions.find((one) => one.version === version)
  if (found !== undefined) return found
  throw new KmsError('VERSION_NOT_FOUND', `key has no version ${version}: its latest is ${key.latest}`, {
    key: key.stored.slug,
  })
}

export function hasVersion(key: LiveKey, version: number): boolean {
  return key.stored.versions.some((one) => one.version === version)
}

/** Refuses a key that is not {@link capable} or not {@link active}. */
export function usable(key: LiveKey, use: Use, operation: Operation): LiveKey {
  return active(capable(key, use, operation), operation)
}

/** Refuses a key whose type cannot do `operation`: `UNSUPPORTED_OPERATION`, naming what it can do. */
export function capable(key: LiveKey, use: Use, operation: Operation): LiveKey {
  const { uses, onlyFrom } = key.algorithm
  if (uses.includes(use) && (onlyFrom === undefined || !(operation in making))) return key
  if (onlyFrom !== undefined) throw onlyOpens(key, onlyFrom, operation)
  const able = uses.map((one) => abilities[one]).join(', ')
  const message = `a key of type ${key.stored.keyType} cannot ${operation}: it can ${able}`
  throw new KmsError('UNSUPPORTED_OPERATION', message, { operation, key: key.stored.slug })
}

/** Refuses a key under which nothing is sealed, as the destination of a re-encryption. */
export function sealable(key: LiveKey, operation: Operation): LiveKey {
  const { onlyFrom } = key.algorithm
  if (onlyFrom === undefined) return usable(key, 'encrypt', operation)
  throw onlyOpens(key, onlyFrom, operation, "as the destination: name a destinationKey of this keystore's own")
}

/** What a key that came from elsewhere does not do. */
const making: { readonly [O in Operation]?: true } = { encrypt: true, sign: true, hmac: true, generateDataKey: true }

/** `UNSUPPORTED_OPERATION` that says how to go on. */
export function onlyOpens(
  { stored: { keyType, slug }, algorithm }: LiveKey,
  from: string,
  operation: Operation,
  as = '',
): KmsError {
  const able = algorithm.uses.map((one) => abilitiesOfOld[one]).join(', ')
  const message = `a key of type ${keyType} cannot ${operation}${as && ` ${as}`}: it can ${able} what ${from} made; make a key of this keystore's own for what is new, and reEncrypt to it what is old`
  return new KmsError('UNSUPPORTED_OPERATION', message, { operation, key: slug })
}

/** Refuses a key that is disabled or pending deletion: `KEY_NOT_ACTIVE`. */
export function active(key: LiveKey, operation: Operation): LiveKey {
  if (key.stored.status === 'active') return key
  throw new KmsError('KEY_NOT_ACTIVE', `key is ${key.stored.status}: ${remedies[key.stored.status]}`, {
    operation,
    key: key.stored.slug,
  })
}

const abilities: { readonly [U in Use]: string } = {
  encrypt: 'encrypt, decrypt, generateDataKey, reEncrypt',
  sign: 'sign, verify, getPublicKey',
  mac: 'hmac, verifyHmac',
}

const abilitiesOfOld: typeof abilities = {
  encrypt: 'decrypt and reEncrypt',
  sign: 'verify',
  mac: 'verifyHmac',
}

const remedies = {
  disabled: 'enable it first',
  pending_deletion: 'cancel its deletion first',
}

function liveKey(stored: StoredKey): LiveKey {
  const least = stored.minDecryptionVersion ?? 1
  const algorithm = everyAlgorithm[stored.keyType]
  return { stored, ref: refOf(stored), key: keyOf(stored), latest: latestOf(stored), least, algorithm }
}

function byIdentity(keys: readonly LiveKey[]): ReadonlyMap<string, LiveKey> {
  return new Map(keys.map((key) => [key.stored.identity, key]))
}

function scopeOf(region: string | undefined, project: string | undefined): Scope {
  return { ...(region !== undefined && { region }), ...(project !== undefined && { project }) }
}

function byScope(keys: readonly LiveKey[]): Scopes {
  const scopes = new Map<string | undefined, Map<string | undefined, Map<string, LiveKey>>>()
  for (const key of keys) {
    const { region, project, identity, slug } = key.stored
    const projects = scopes.get(region) ?? new Map<string | undefined, Map<string, LiveKey>>()
    const names = projects.get(project) ?? new Map<string, LiveKey>()
    // An identity starts with kms-, and no slug does: one map holds both.
    scopes.set(region, projects.set(project, names.set(identity, key).set(slug, key)))
  }
  return scopes
}
