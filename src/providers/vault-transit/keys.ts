/** The keys of the mount: described by the service, and remembered for a while. */
import { KmsError } from '../../model/errors.ts'
import { host } from '../../model/host.ts'
import type { KeyRef, ResolvedKey, Scope } from '../../model/key.ts'
import type { CallInfo } from '../../model/provider.ts'
import { keyCache } from '../key-cache.ts'
import { type Answer, isSuccess } from './answer.ts'
import { failureOf } from './failure.ts'
import { nameOf, readKey, type TransitKey } from './key-description.ts'
import type { TransitOptions } from './options.ts'
import { evidenceOfTrace, newTrace } from './trace.ts'
import type { Asking, Transport } from './transport.ts'

export interface Keys {
  resolve(key: string, scope: Scope): ResolvedKey | Promise<ResolvedKey>
  /** Whether keys of this region and project may be here. */
  isHome(scope: Scope): boolean
  /** Refuses, with `ACCESS_DENIED`, to make a key for another region or project. */
  requireScope(scope: Scope): void
  /** The key of a call. */
  of(input: { readonly key: string }, call: CallInfo): Promise<TransitKey>
  /** Another key by its name. */
  named(key: string, scope: Scope): Promise<TransitKey>
  /** Asks the service whatever is remembered. */
  fresh(name: string, asking: Asking): Promise<TransitKey>
  /** The key after a change that was made, as `answer` tells it or read; if it cannot be, nobody can tell what came of it. */
  afterChange(name: string, answer: Answer, asking: Asking): Promise<TransitKey>
  /** As an answer names it; a version above all that is known makes what is remembered stale. */
  used(key: TransitKey, keyVersion: number): KeyRef
  /** For after a change. */
  forget(key: { readonly identity: string }): void
}

export function transitKeys({ ask }: Transport, options: TransitOptions): Keys {
  const { prefix, scope, resolveTtlMs, clock } = options
  // What is remembered of a key besides what a resolved key tells; it lives as long as that.
  const known = new WeakMap<ResolvedKey, TransitKey>()
  const cache = keyCache({ find, scope, ttlMs: resolveTtlMs, clock })

  /** Many calls may wait for it: none of them ends it. */
  async function find(key: string): Promise<ResolvedKey> {
    const { signal } = new host.AbortController()
    const found = await fresh(nameOf(key, prefix), { trace: newTrace(), signal })
    known.set(found.resolved, found)
    return found.resolved
  }

  async function fresh(name: string, { trace, signal }: Asking): Promise<TransitKey> {
    const answer = await ask({ method: 'GET', path: `keys/${name}` }, { trace, signal })
    if (!isSuccess(answer)) throw failureOf(answer, { key: name, trace })
    return readKey(name, answer.data, { prefix, scope, trace })
  }

  function isHome({ region, project }: Scope): boolean {
    return scope === undefined || (scope.region === region && scope.project === project)
  }

  async function named(key: string, asked: Scope): Promise<TransitKey> {
    const found = known.get(await cache.resolve(key, asked))
    if (found === undefined) throw new KmsError('INTERNAL', 'a resolved key is not remembered', { key })
    return found
  }

  return {
    resolve: cache.resolve,
    isHome,
    requireScope(asked) {
      if (!isHome(asked))
        throw new KmsError('ACCESS_DENIED', 'this provider holds the keys of another region and project')
    },
    async of(input, call) {
      const held = call.key && known.get(call.key)
      return held ?? named(call.key?.identity ?? input.key, call.scope)
    },
    named,
    fresh,
    async afterChange(name, { data }, asking) {
      const { requestId } = asking.trace
      try {
        // Newer servers describe the key in their answer.
        const isTold = data?.['name'] === name
        const key = isTold ? readKey(name, data, { prefix, scope, trace: asking.trace }) : await fresh(name, asking)
        // The change is what to look for in the service's log.
        if (requestId !== undefined) asking.trace.requestId = requestId
        return key
      } catch (error) {
        throw new KmsError('PROVIDER_UNAVAILABLE', 'the change was made, but the key could not be read after it', {
          key: name,
          cause: error,
          evidence: { ...evidenceOfTrace(asking.trace), unsettled: true },
        })
      }
    },
    used({ ref }, keyVersion) {
      if (keyVersion <= ref.latestVersion) return { ...ref }
      cache.forget(ref)
      return { ...ref, latestVersion: keyVersion }
    },
    forget: cache.forget,
  }
}
