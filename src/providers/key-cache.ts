/** What names resolve to in a service elsewhere, asked for once in a while: what remote providers have in common. */
import type { Clock } from '../model/clock.ts'
import { KmsError } from '../model/errors.ts'
import type { ResolvedKey, Scope } from '../model/key.ts'

export interface KeyCacheOptions {
  /** Asks the service for the key that `name` names, or throws `KEY_NOT_FOUND`. */
  readonly find: (name: string) => Promise<ResolvedKey>
  /** The region and project that the keys belong to: calls of another find none. Absent: of any. */
  readonly scope?: Scope | undefined
  /** How long an answer holds, ms; 60,000 by default, 0 for not at all. A key that was disabled elsewhere looks active for as long. */
  readonly ttlMs?: number | undefined
  readonly clock: Clock
}

export interface KeyCache {
  /** Answers without a promise what it knows. Refusals are never kept: a key made a moment ago is found. */
  resolve(name: string, scope: Scope): ResolvedKey | Promise<ResolvedKey>
  /** Forgets a key under all its names; without one, everything. For after a change. */
  forget(key?: { readonly identity: string }): void
}

/** Names remembered at most; the one that was asked for longest ago goes first. */
const capacity = 10_000

export function keyCache({ find, scope: home, ttlMs = 60_000, clock }: KeyCacheOptions): KeyCache {
  const known = new Map<string, { readonly key: ResolvedKey; readonly until: number }>()
  const asked = new Map<string, Promise<ResolvedKey>>()
  let epoch = 0

  function ask(name: string): Promise<ResolvedKey> {
    const since = epoch
    const answer = find(name).then((key) => {
      // What was asked before a change may tell how it was before it.
      if (since === epoch) keep(name, key)
      return key
    })
    asked.set(name, answer)
    const done = () => {
      if (asked.get(name) === answer) asked.delete(name)
    }
    answer.then(done, done)
    return answer
  }

  function keep(name: string, key: ResolvedKey): void {
    if (ttlMs === 0) return
    const [oldest] = known.keys()
    if (known.size >= capacity && oldest !== undefined) known.delete(oldest)
    known.set(name, { key, until: clock.monotonic() + ttlMs })
  }

  return {
    resolve(name, scope) {
      if (home !== undefined && (home.region !== scope.region || home.project !== scope.project))
        throw new KmsError('KEY_NOT_FOUND', 'there is no such key in this region and project', { key: name })
      const held = known.get(name)
      if (held !== undefined && clock.monotonic() < held.until) return held.key
      known.delete(name)
      // Many calls that ask at once are one question.
      return asked.get(name) ?? ask(name)
    },
    forget(key) {
      epoch += 1
      asked.clear()
      if (key === undefined) return known.clear()
      for (const [name, held] of known) if (held.key.identity === key.identity) known.delete(name)
    },
  }
}
