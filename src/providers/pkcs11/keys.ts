/** The keys of a token as they were when it was last asked: what is asked for and not there makes it be asked again. */
import { equal, hex } from '../../crypto/bytes.ts'
import type { Clock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import type { ResolvedKey, Scope } from '../../model/key.ts'
import type { CallInfo } from '../../model/provider.ts'
import { keyCache } from '../key-cache.ts'
import { assembleKeys, type TokenKey, type TokenVersion } from './assemble.ts'
import { isStale } from './failure.ts'
import type { Pool } from './pool.ts'
import type { ObjectFacts } from './protocol.ts'

export interface TokenKeysOptions {
  readonly pool: () => Pool
  readonly scope: Scope | undefined
  readonly ttlMs: number | undefined
  readonly clock: Clock
}

export interface TokenKeys {
  resolve(name: string, scope: Scope): ResolvedKey | Promise<ResolvedKey>
  /** The key that a call is for. */
  keyOf(name: string, call: CallInfo): Promise<TokenKey>
  /** A version that may be used, if need be after another look at the token. `VERSION_NOT_FOUND`, or `VERSION_CONFLICT` for one in doubt. */
  version(key: TokenKey, wanted: number | undefined): Promise<TokenVersion>
  /** As of now. */
  all(): Promise<readonly TokenKey[]>
  /** As of now; undefined if there is none of this slug. */
  named(slug: string): Promise<TokenKey | undefined>
  /** Runs `use`; once more after another look, if an object was not what it had been. */
  fresh<T>(key: TokenKey, use: (key: TokenKey) => Promise<T>): Promise<T>
  /** What names resolve to has changed. */
  forget(): void
  /** Every handle may have changed. */
  reset(): void
}

export function tokenKeys({ pool, scope, ttlMs, clock }: TokenKeysOptions): TokenKeys {
  let objects = new Map<string, ObjectFacts>()
  let keys: readonly TokenKey[] = []
  let current: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined
  const cache = keyCache({ find, scope, ttlMs, clock })

  /** Those who ask while one look is under way share the next: one begun before they asked may miss what they ask for. */
  function look(): Promise<void> {
    next ??= current.then(begin, begin)
    return next
  }

  function begin(): Promise<void> {
    next = undefined
    current = inventory()
    return current
  }

  async function inventory(): Promise<void> {
    const known = objects
    const { output } = await pool().run('inventory', { known: [...known.keys()] }, {})
    // Reset meanwhile: what was known when it was asked counts no more.
    if (known !== objects) return inventory()
    const found = new Map(output.fresh.map((facts) => [hex(facts.handle), facts]))
    objects = new Map(
      output.present.flatMap((handle) => {
        const facts = found.get(handle) ?? known.get(handle)
        return facts === undefined ? [] : [[handle, facts] as const]
      }),
    )
    keys = assembleKeys([...objects.values()], pool().token.serial)
  }

  async function find(name: string): Promise<ResolvedKey> {
    await look()
    const key = keys.find(({ identity, slug }) => slug === name || identity === name)
    if (key === undefined) throw notFound(name)
    return refOf(key)
  }

  function reset(): void {
    objects = new Map()
    cache.forget()
  }

  async function byIdentity(identity: string): Promise<TokenKey> {
    const known = keys.find((key) => key.identity === identity)
    if (known !== undefined) return known
    await look()
    const found = keys.find((key) => key.identity === identity)
    if (found === undefined) throw notFound(identity)
    return found
  }

  return {
    resolve: cache.resolve,
    async keyOf(name, call) {
      const { identity } = call.key ?? (await cache.resolve(name, call.scope))
      return byIdentity(identity)
    },
    async version(key, wanted) {
      let found = versionOf(key, wanted)
      if (found === undefined || found.doubt !== undefined) {
        await look()
        cache.forget(key)
        found = versionOf(await byIdentity(key.identity), wanted)
      }
      if (found === undefined)
        throw new KmsError('VERSION_NOT_FOUND', `the token holds no version ${wanted} of this key`, { key: key.slug })
      if (found.doubt !== undefined)
        throw new KmsError('VERSION_CONFLICT', `${found.doubt}: it is used for nothing until that is settled`, {
          key: key.slug,
        })
      return found
    },
    async all() {
      await look()
      return keys
    },
    async named(slug) {
      await look()
      return keys.find((key) => key.slug === slug)
    },
    async fresh(key, use) {
      try {
        return await use(key)
      } catch (error) {
        if (!isStale(error)) throw error
        reset()
        await look()
        return use(await byIdentity(key.identity))
      }
    },
    forget: () => cache.forget(),
    reset,
  }
}

/** As outputs and entries name it. A token has no state of a key: what is there is active. */
export function refOf({ identity, slug, type, latest }: TokenKey): ResolvedKey {
  return { identity, slug, keyType: type.keyType, status: 'active', latestVersion: latest.version }
}

/** Whether the version that an intent allowed is on the token. */
export function madeBy(keys: readonly TokenKey[], operation: Uint8Array): boolean {
  return keys.some(({ versions }) =>
    versions.some((one) => one.operation !== undefined && equal(one.operation, operation)),
  )
}

function versionOf({ latest, versions }: TokenKey, wanted: number | undefined): TokenVersion | undefined {
  return wanted === undefined ? latest : versions.find(({ version }) => version === wanted)
}

function notFound(name: string): KmsError {
  return new KmsError('KEY_NOT_FOUND', 'there is no such key on the token', { key: name })
}
