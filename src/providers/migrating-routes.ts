/** Which of several providers does what: each operation by the new one, by any that can, or by the one that has the key. */
import { wipe } from '../crypto/bytes.ts'
import { dispatch } from '../model/dispatch.ts'
import { KmsError } from '../model/errors.ts'
import type { Key, ResolvedKey, Scope } from '../model/key.ts'
import type { Input, Operation, Output } from '../model/operation.ts'
import { andThen } from '../model/promise.ts'
import type { CallInfo, KmsProvider } from '../model/provider.ts'
import { firstAnswer, orElse, refusals, refusedBy } from './in-turn.ts'
import {
  flagged,
  type Moving,
  marked,
  moved as movedBy,
  openingOf,
  refusedFlag,
  restful,
  shown,
  told,
} from './migrating-answers.ts'

/** A provider that can be asked whether it has a key. */
export type Found = KmsProvider & Required<Pick<KmsProvider, 'resolve'>>

type Run<O extends Operation> = (input: Input<O>, call: CallInfo) => Output<O> | Promise<Output<O>>
type AnyOperation = 'decrypt' | 'verify' | 'verifyHmac'

export interface Routes {
  resolve(key: string, scope: Scope): ResolvedKey | Promise<ResolvedKey>
  /** By the new one alone. */
  byNew<O extends Operation>(operation: O): Run<O>
  /** By the first that can answer. */
  byAny<O extends AnyOperation>(operation: O): Run<O>
  /** By the first that has the key. */
  byHome<O extends Operation>(operation: O): Run<O>
  /** By just this one. */
  by<O extends Operation>(provider: Found, operation: O): Run<O>
  readonly reEncrypt: Run<'reEncrypt'>
  readonly listKeys: Run<'listKeys'>
}

export function routesOver(to: Found, from: readonly Found[]): Routes {
  const all = [to, ...from]

  /** One provider's answer, by its own key of that name and with its name on it; or its refusal, which names it too. */
  function asked<O extends Operation>(
    provider: Found,
    operation: O,
    input: Input<O>,
    call: CallInfo,
  ): Output<O> | Promise<Output<O>> {
    const answer = named(provider, () => {
      if (call.signal.aborted) throw new KmsError('ABORTED', 'aborted before the next provider was asked')
      const name = keyIn(input)
      if (name === undefined) return dispatch(provider, operation, input, call)
      return andThen(provider.resolve(name, call.scope), (key) =>
        dispatch(provider, operation, input, { ...call, key }),
      )
    })
    return andThen(answer, (output) => told(provider, output))
  }

  function resolve(key: string, scope: Scope): ResolvedKey | Promise<ResolvedKey> {
    const { add, verdict } = refusals()
    const ask = (provider: Found) => orElse(() => named(provider, () => provider.resolve(key, scope)), add)
    return orThrow(
      firstAnswer(all, (provider) => ask(provider)),
      verdict,
    )
  }

  /** Who has the key, as `resolve` finds it, but whoever comes before it must have said that it has not. */
  function home(key: string, scope: Scope): Found | Promise<Found> {
    const found = firstAnswer(all, (provider) => whether(provider, key, scope))
    return orThrow(found, () => new KmsError('KEY_NOT_FOUND', 'there is no such key in any of the providers', { key }))
  }

  function byNew<O extends Operation>(operation: O): Run<O> {
    return (input, call) =>
      orElse(
        () => asked(to, operation, input, call),
        (error) => explained(error, keyIn(input), call.scope),
      )
  }

  /** Of a key that the new one has not: whether an old one has it. */
  function explained(error: unknown, key: string | undefined, scope: Scope): never | Promise<never> {
    if (key === undefined || !isNotFound(error)) throw error
    const old = firstAnswer(from, (provider) =>
      orElse(
        () => whether(provider, key, scope),
        () => undefined,
      ),
    )
    return andThen(old, (provider): never => {
      throw provider === undefined ? error : livesOnlyIn(provider, key)
    })
  }

  function livesOnlyIn({ name }: Found, key: string): KmsError {
    const message = `the key lives only in '${name}', where nothing new is made: create it in '${to.name}'`
    return new KmsError('KEY_NOT_FOUND', message, { key })
  }

  function byAny<O extends AnyOperation>(operation: O): Run<O> {
    const able = all.filter(({ operations }) => operations[operation] !== undefined)
    return (input, call) => {
      const refused = refusals()
      let no: Output<O> | undefined
      const yes = firstAnswer(able, (provider) => {
        const answer = orElse(() => asked(provider, operation, input, call), refused.add)
        return andThen(answer, (output) => {
          if (output === undefined || !('valid' in output) || output.valid) return output
          no ??= output
          return undefined
        })
      })
      return andThen(yes, (output) => {
        if (output !== undefined) return flagged(output, refused.judges.map(refusedFlag))
        if (no === undefined || refused.trouble !== undefined) throw refused.verdict()
        return no
      })
    }
  }

  function byHome<O extends Operation>(operation: O): Run<O> {
    return (input, call) =>
      andThen(home(keyIn(input) ?? '', call.scope), (provider) =>
        andThen(asked(provider, operation, input, call), (output) =>
          operation === 'describeKey' ? shown(output, provider) : output,
        ),
      )
  }

  /** Opened by any, and sealed by the new one; natively where it is the new one that can open it. */
  function reEncrypt(input: Input<'reEncrypt'>, call: CallInfo): Output<'reEncrypt'> | Promise<Output<'reEncrypt'>> {
    return andThen(destinationOf(input, call), (destination) => {
      const refused = refusals()
      const moved = firstAnswer(all, (provider): Moving | undefined | Promise<Moving | undefined> => {
        const isNative = provider === to && to.operations.reEncrypt !== undefined
        if (!isNative && provider.operations.decrypt === undefined) return undefined
        const open = (): Moving | Promise<Moving> =>
          isNative
            ? asked(to, 'reEncrypt', { ...input, destinationKey: destination.identity }, call)
            : asked(provider, 'decrypt', openingOf(input), call)
        return orElse(open, refused.add)
      })
      return andThen(moved, (output) => {
        if (output === undefined) throw refused.verdict()
        const flags = refused.judges.map(refusedFlag)
        if (!('plaintext' in output)) return flagged(output, flags)
        return andThen(sealed(output, input, destination, call), (last) => flagged(last, flags))
      })
    })
  }

  /** A key of the new one: that which was named, or the one of the same slug. */
  function destinationOf(input: Input<'reEncrypt'>, { scope }: CallInfo): ResolvedKey | Promise<ResolvedKey> {
    const slug = input.destinationKey ?? andThen(resolve(input.key, scope), (key) => key.slug)
    return andThen(slug, (key) =>
      orElse(
        () => named(to, () => to.resolve(key, scope)),
        (error) => explained(error, key, scope),
      ),
    )
  }

  function sealed(
    opened: Output<'decrypt'>,
    input: Input<'reEncrypt'>,
    destination: ResolvedKey,
    call: CallInfo,
  ): Output<'reEncrypt'> | Promise<Output<'reEncrypt'>> {
    const { plaintext } = opened
    const encryptionContext = input.destinationEncryptionContext ?? input.encryptionContext
    const sealing = { key: destination.identity, plaintext, ...(encryptionContext && { encryptionContext }) }
    const wiping = <T>(next: () => T): T => {
      wipe(plaintext)
      return next()
    }
    const answer = orElse(
      () => asked(to, 'encrypt', sealing, call),
      (error): never =>
        wiping(() => {
          throw error
        }),
    )
    return andThen(answer, (output) => wiping(() => movedBy(opened, output)))
  }

  function listKeys(input: Input<'listKeys'>, call: CallInfo): Output<'listKeys'> | Promise<Output<'listKeys'>> {
    const keys: Key[] = []
    const able = all.filter(({ operations }) => operations.listKeys !== undefined)
    // A list without the keys of one of them would be read as if there were none: it fails instead.
    const end = firstAnswer(able, (provider) =>
      andThen(asked(provider, 'listKeys', input, call), (output) => {
        for (const key of output.keys)
          keys.push(provider === to ? marked(key, provider) : restful(marked(key, provider)))
        return undefined
      }),
    )
    return andThen(end, () => ({ keys }))
  }

  return {
    resolve,
    byNew,
    byAny,
    byHome,
    by: (provider, operation) => (input, call) => asked(provider, operation, input, call),
    reEncrypt,
    listKeys,
  }
}

function named<T>(provider: Found, run: () => T | Promise<T>): T | Promise<T> {
  return orElse(run, (error): never => {
    throw refusedBy(provider.name, error)
  })
}

/** The provider, if it has the key; undefined if it says that it has not. */
function whether(provider: Found, key: string, scope: Scope): Found | undefined | Promise<Found | undefined> {
  const answer = orElse(
    () => named(provider, () => provider.resolve(key, scope)),
    (error) => {
      if (isNotFound(error)) return undefined
      throw error
    },
  )
  return andThen(answer, (found) => found && provider)
}

function orThrow<T>(answer: T | undefined | Promise<T | undefined>, verdict: () => KmsError): T | Promise<T> {
  return andThen(answer, (found) => {
    if (found === undefined) throw verdict()
    return found
  })
}

function isNotFound(error: unknown): boolean {
  return error instanceof KmsError && error.code === 'KEY_NOT_FOUND'
}

function keyIn(input: object): string | undefined {
  return 'key' in input && typeof input.key === 'string' ? input.key : undefined
}
