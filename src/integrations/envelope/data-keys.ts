/**
 * Where the data keys of messages come from: a call of the client, with its entry; or the cache, with an entry of the same action that
 * names the call which filled it. Either way the entry is accepted before the key is handed on.
 */
import { engine } from '#engine'
import { accepted } from '../../audit/accept.ts'
import { prepareContext } from '../../audit/context.ts'
import { missingContext } from '../../audit/required.ts'
import { type CallOptions, type Inside, insideOf, type KmsClient } from '../../client.ts'
import { copyOf, hex, toBase64, utf8, wipe } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import type { KeyRef } from '../../model/key.ts'
import { type EncryptionContext, operations } from '../../model/operation.ts'
import { isPromise } from '../../model/promise.ts'
import type { DataKeyCache, Held } from './cache.ts'
import { type DataKeyOperation, type FetchedKey, recordCachedUse, type UseOfKey } from './record.ts'

export interface DataKeyRequest {
  /** The client, with what is bound to it. */
  readonly kms: KmsClient
  readonly key: string
  readonly encryptionContext: EncryptionContext | undefined
  /** The same, canonical. */
  readonly context: Uint8Array
  /** To be opened; absent for a new one. */
  readonly sealedKey?: Uint8Array
  /** Of the message's plaintext; 0 while that is not known. */
  readonly bytes: number
  readonly options: CallOptions
}

/** `eventID`: of the entry of this use. */
export interface DataKey extends FetchedKey {
  /** Whoever asked for it wipes it. */
  readonly plaintext: Uint8Array
  /** Counts bytes of a message whose length was not known before. */
  count(bytes: number): void
}

/**
 * Fetches a data key. Errors: those of `generateDataKey` or `decrypt`; for a key from the cache `AUDIT_REFUSED`, and then the
 * key is wiped.
 */
export async function fetchDataKey(request: DataKeyRequest, cache: DataKeyCache | undefined): Promise<DataKey> {
  const id = cache && cacheID(request)
  const held = id === undefined ? undefined : cache?.take(id.text, request.bytes)
  if (id !== undefined && held !== undefined) {
    const inForce = keyInForce(held.fetched, request, id.inside)
    if (typeof inForce === 'object') return fromCache(held, inForce, useOf(namedUse(request), id.inside))
    if (inForce === 'no') held.drop()
  }
  const { plaintext, ...fetched } = await called(request)
  const kept = id === undefined ? undefined : cache?.keep(id.text, fetched, plaintext, request.bytes)
  return { ...fetched, plaintext, count: (bytes) => kept?.count(bytes) }
}

/** `key`: as it stands now, which is what the entry tells. */
async function fromCache(held: Held, key: KeyRef, use: UseOfKey): Promise<DataKey> {
  const fetched = { ...held.fetched, key }
  const plaintext = copyOf(held.dataKey)
  try {
    const barred = use.inside.audit.admit()
    if (barred !== undefined) throw barred
    const draft = recordCachedUse(use, fetched, plaintext.length)
    const eventID = await accepted(use.inside.audit, draft, use.begunAt + use.inside.deadlineMs)
    return { ...fetched, plaintext, eventID, count: held.count }
  } catch (error) {
    wipe(plaintext)
    throw error
  }
}

/** By the client, which checks, refuses and records. */
async function called(request: DataKeyRequest): Promise<FetchedKey & { readonly plaintext: Uint8Array }> {
  const { kms, key, encryptionContext, sealedKey, options } = request
  const pairs = encryptionContext && { encryptionContext }
  if (sealedKey === undefined) {
    const made = await kms.generateDataKey({ key, ...pairs, length: 32 }, options)
    const { plaintext, ciphertext, keyVersion, eventID } = made
    return { key: made.key, keyVersion, plaintext, sealedKey: ciphertext, eventID }
  }
  const opened = await kms.decrypt({ key, ...pairs, ciphertext: sealedKey }, options)
  const { plaintext, keyVersion, eventID } = opened
  return { key: opened.key, keyVersion, plaintext, sealedKey, eventID }
}

/** A use of `key` that begins now. */
export function useOf({ operation, key, encryptionContext }: NamedUse, inside: Inside): UseOfKey {
  return { operation, name: key, inside, encryptionContext, begunAt: inside.audit.clock.monotonic() }
}

export interface NamedUse {
  readonly operation: DataKeyOperation
  readonly key: string
  readonly encryptionContext: EncryptionContext | undefined
}

function namedUse({ key, encryptionContext, sealedKey }: DataKeyRequest): NamedUse {
  return { operation: sealedKey === undefined ? 'generateDataKey' : 'decrypt', key, encryptionContext }
}

/** `insideOf`, with what the call says of itself over what is bound. Throws for a context or deadline that the client would refuse. */
export function insideWith(kms: KmsClient, { context, deadlineMs }: CallOptions): Inside {
  const inside = insideOf(kms)
  if (!Number.isFinite(deadlineMs ?? inside.deadlineMs) || (deadlineMs ?? 1) <= 0)
    throw new KmsError('INVALID_INPUT', "'deadlineMs' must be a positive number of milliseconds")
  const bound = context === undefined ? inside.bound : prepareContext(inside.audit.fields, inside.bound.said, context)
  return { ...inside, bound, deadlineMs: deadlineMs ?? inside.deadlineMs }
}

/**
 * The name under which a data key is held: the use, the key as named, the region and project, the encryption context, the sealed key,
 * and all that is known of who asks but what differs from request to request. So nobody opens by the cache what an access rule
 * would refuse them, as long as it decides by nothing else. Undefined where the call is not one that the cache may answer: the
 * client has the say.
 */
function cacheID(request: DataKeyRequest): { readonly text: string; readonly inside: Inside } | undefined {
  const { key, context, sealedKey, options } = request
  try {
    const inside = insideWith(request.kms, options)
    const { audit, scope, bound, closing } = inside
    const { action } = operations[namedUse(request).operation]
    if (closing !== undefined || options.signal?.aborted === true || missingContext(audit, action, bound) !== undefined)
      return undefined
    const { actor, clientIp, peerIp, method, route, origin, reason } = bound.said
    const facts = [
      [action, key, scope.region, scope.project],
      [actor?.type, actor?.id, actor?.name, clientIp, peerIp, method, route, origin?.service, origin?.resource],
      [reason?.code, reason?.ticket, toBase64(context), sealedKey && toBase64(sealedKey)],
    ]
    return { text: hex(engine.hash('sha256', utf8(JSON.stringify(facts)))), inside }
  } catch {
    // A context or a carrier that is wrong: the client refuses the call, and records it.
    return undefined
  }
}

/**
 * The key as it stands now if the KMS would still use it, and this version, where its provider can tell at once, as the embedded one
 * can. A key that is disabled or destroyed is not used any more, and one that was rotated seals nothing more. Where it would have to
 * be asked for, this message goes by the client.
 */
function keyInForce(
  fetched: FetchedKey,
  request: DataKeyRequest,
  { provider, scope }: Inside,
): KeyRef | 'no' | 'unknown' {
  if (provider.resolve === undefined) return fetched.key
  try {
    const resolved = provider.resolve(request.key, scope)
    if (isPromise(resolved)) {
      resolved.catch(nothing)
      return 'unknown'
    }
    const { identity, slug, keyType, status = 'active', latestVersion } = resolved
    if (status !== 'active' || identity !== fetched.key.identity) return 'no'
    const isBehind = latestVersion !== undefined && latestVersion !== (fetched.keyVersion ?? latestVersion)
    if (isBehind && request.sealedKey === undefined) return 'no'
    return { ...fetched.key, slug, keyType, ...(latestVersion !== undefined && { latestVersion }) }
  } catch {
    // The client hears the same, and records it.
    return 'no'
  }
}

function nothing(): void {}
