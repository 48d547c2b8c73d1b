/** What every operation on a key begins with: the key, whether it is for this, and which version was asked for. */
import type { Clock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import type { KeyRef, ResolvedKey } from '../../model/key.ts'
import type { Operation } from '../../model/operation.ts'
import type { CallInfo } from '../../model/provider.ts'
import type { KeyCache } from '../key-cache.ts'
import { type KeySpecRow, rowOf } from './key-specs.ts'
import type { Service } from './service.ts'
import type { Views } from './view.ts'

export interface Tools {
  readonly service: Service
  readonly views: Views
  readonly cache: KeyCache
  readonly clock: Clock
}

/** The key that the call resolved, or that `name` names. */
export async function keyFor({ cache }: Tools, name: string, call: CallInfo): Promise<ResolvedKey> {
  return call.key ?? cache.resolve(name, call.scope)
}

/** Which of the row's abilities an operation needs. */
type Ability = 'seals' | 'signs' | 'authenticates'

/** What the key's type does, if it does this. */
export function abilityOf<A extends Ability>(
  key: KeyRef,
  ability: A,
  operation: Operation,
): NonNullable<KeySpecRow[A]> {
  const able = rowOf(key.keyType)?.[ability]
  if (able !== undefined) return able
  throw new KmsError('UNSUPPORTED_OPERATION', `a key of type ${key.keyType} cannot ${operation} here`, { operation })
}

/** How outputs name a key. */
export function refIn({ identity, slug, keyType, latestVersion }: KeyRef): KeyRef {
  return latestVersion === undefined ? { identity, slug, keyType } : { identity, slug, keyType, latestVersion }
}

/** The version of keys that have but one; AWS does not tell it of the others. */
export function versionIn({ latestVersion }: KeyRef): { readonly keyVersion?: number } {
  return latestVersion === 1 ? { keyVersion: 1 } : {}
}

/** AWS uses the newest version and no other: one that is asked for must be that. */
export async function demandLatest(
  { views }: Tools,
  key: ResolvedKey,
  asked: number | undefined,
  call: CallInfo,
): Promise<void> {
  if (asked === undefined) return
  const latest = key.latestVersion ?? 1 + (await views.rotationsDone(key.identity, call.signal)).length
  if (asked === latest) return
  throw new KmsError('VERSION_NOT_FOUND', `AWS KMS uses the newest version of a key, ${latest}, and no other`)
}

/** Runs `use`; a key that AWS says is gone or not enabled is asked about again next time. */
export async function used<T>({ cache }: Tools, key: ResolvedKey, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } catch (error) {
    if (error instanceof KmsError && (error.code === 'KEY_NOT_ACTIVE' || error.code === 'KEY_NOT_FOUND'))
      cache.forget(key)
    throw error
  }
}
