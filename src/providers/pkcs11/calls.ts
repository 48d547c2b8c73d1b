/** What the operations have in common: finding the key and the version of a call, asking the token, telling what it took. */
import { evidenceOf, KmsError } from '../../model/errors.ts'
import type { Operation, ProviderTrace } from '../../model/operation.ts'
import type { CallInfo } from '../../model/provider.ts'
import type { TokenKey, TokenVersion } from './assemble.ts'
import { ckm, type MechanismName } from './constants.ts'
import { isStale } from './failure.ts'
import type { Use } from './key-types.ts'
import type { TokenKeys } from './keys.ts'
import type { Done, Pool } from './pool.ts'
import type { Abilities, Job, Jobs } from './protocol.ts'

export interface CallsParts {
  readonly pool: Pool
  readonly keys: TokenKeys
  readonly abilities: Abilities
}

/** What a call wants of a key. */
export interface Wanted {
  readonly key: string
  readonly use: Use
  readonly operation: Operation
}

export interface Calls {
  readonly keys: TokenKeys
  readonly abilities: Abilities
  /** Finds the key, and runs `act` with it: a second time if the token turns out to have changed. */
  withKey<T>(wanted: Wanted, call: CallInfo, act: (key: TokenKey) => Promise<T>): Promise<T>
  /** Asks the token. A failure's evidence names the version. */
  ask<J extends Job>(version: TokenVersion, job: J, input: Jobs[J]['input'], call: CallInfo): Promise<Done<J>>
  /** Refuses, naming the mechanism, what the token lacks. */
  need(mechanism: MechanismName): void
}

export function tokenCalls({ pool, keys, abilities }: CallsParts): Calls {
  /** What calls have spent on handles that were not good any more. */
  const spent = new WeakMap<CallInfo, Took>()

  return {
    keys,
    abilities,
    async withKey({ key: name, use, operation }, call, act) {
      const found = await keys.keyOf(name, call)
      return keys.fresh(found, (key) => {
        if (key.type.uses.includes(use)) return act(key)
        const message = `a key of type ${key.type.keyType} cannot ${operation}`
        throw new KmsError('UNSUPPORTED_OPERATION', message, { key: key.slug })
      })
    },
    async ask({ version }, job, input, call) {
      try {
        const done = await pool.run(job, input, { signal: call.signal })
        const before = spent.get(call)
        spent.delete(call)
        return before === undefined ? done : { ...done, ...sumOf([before, done]) }
      } catch (error) {
        if (!(error instanceof KmsError)) throw error
        if (!isStale(error)) throw withVersion(error, version)
        const { attempts = 1, durationMs = 0 } = evidenceOf(error)
        spent.set(call, { attempts, durationMs })
        throw error
      }
    },
    need(mechanism) {
      if (abilities.mechanisms.some(([one]) => one === ckm[mechanism])) return
      throw new KmsError('UNSUPPORTED_OPERATION', `the token has no CKM_${mechanism}`)
    },
  }
}

function withVersion(error: KmsError, keyVersion: number): KmsError {
  const evidence = { ...evidenceOf(error), keyVersion }
  return new KmsError(error.code, error.message, { evidence, ...(error.cause !== undefined && { cause: error.cause }) })
}

/** How long the token took, waiting for a session not included. It has no names for requests. */
export interface Took {
  readonly durationMs: number
  readonly attempts: number
}

export function traceOf(...all: readonly Took[]): ProviderTrace {
  return sumOf(all)
}

function sumOf(all: readonly Took[]): Took {
  return {
    attempts: all.reduce((sum, { attempts }) => sum + attempts, 0),
    durationMs: all.reduce((sum, { durationMs }) => sum + durationMs, 0),
  }
}

export function noPublicKey({ slug }: TokenKey, { object }: TokenVersion): KmsError {
  const message = `the token holds no public key object beside the private key ${object.label}`
  return new KmsError('UNSUPPORTED_OPERATION', message, { key: slug })
}
