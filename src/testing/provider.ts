/** A provider that does as a test tells it: real keys and real crypto in memory, and any fault on demand. */
import type { Scope } from '../model/key.ts'
import type { Operation, Output } from '../model/operation.ts'
import type { CallInfo, KmsProvider } from '../model/provider.ts'
import { memoryKms } from '../providers/memory.ts'

/** What a provider is asked: an operation, or one of its two questions. */
export type Asked = Operation | 'resolve' | 'outcomeOf'

/**
 * How to answer one question: by doing it (`real`), not at all (`never`, the signal is ignored), by throwing, with a
 * ready answer, or by doing it once a promise has settled.
 */
export type Behaviour =
  | 'real'
  | 'never'
  | { readonly throws: unknown }
  | { readonly answers: unknown }
  | { readonly after: Promise<unknown> }

export interface FakeProviderOptions {
  /** What does the real work; the memory KMS by default. */
  readonly inner?: KmsProvider
  /** The inner provider's name by default. */
  readonly name?: string
  /** Operations that this provider does not have. */
  readonly without?: readonly Operation[]
}

/** One question that was asked, in order. */
export interface AskedCall {
  readonly asked: Asked
  /** The operation's input; the key or operationID that was asked for. */
  readonly input: unknown
  /** Of operations. */
  readonly call?: CallInfo
}

export interface FakeProvider extends KmsProvider {
  /** Every question so far. */
  readonly calls: readonly AskedCall[]
  /** How the next questions of that kind are answered, one behaviour each; then `real` again. */
  tell(asked: Asked, ...behaviours: readonly Behaviour[]): void
}

/**
 * A provider for tests. Without a word it is the memory KMS: keys, ciphertexts, signatures and refusals are real.
 * Only what `tell` says is simulated.
 *
 * @example
 * ```ts
 * const provider = fakeProvider()
 * const kms = new KmsClient({ provider, audit: { required: [memorySink()] } })
 * provider.tell('encrypt', { throws: new TypeError('socket hang up') }, 'never')
 * // The next encrypt fails with INTERNAL, the one after runs into its deadline, the third works.
 * ```
 */
export function fakeProvider(options: FakeProviderOptions = {}): FakeProvider {
  const { inner = memoryKms(), name = inner.name, without = [] } = options
  const told = new Map<Asked, readonly Behaviour[]>()
  const calls: AskedCall[] = []

  function nextFor(asked: Asked): Behaviour {
    const [behaviour = 'real', ...rest] = told.get(asked) ?? []
    told.set(asked, rest)
    return behaviour
  }

  const operations = Object.entries(inner.operations)
    .filter(([operation]) => !without.some((left) => left === operation))
    .map(([operation, run]) => {
      // Keys of `operations` are operations, and each takes its own input.
      const asked = operation as Operation
      const real = run as (input: unknown, call: CallInfo) => Output<Operation> | Promise<Output<Operation>>
      const answer = (input: unknown, call: CallInfo) => {
        calls.push({ asked, input, call })
        return behave(nextFor(asked), () => real(input, call))
      }
      return [asked, answer] as const
    })

  const { resolve, outcomeOf } = inner
  return {
    name,
    // Made from the entries of a table of this type.
    operations: Object.fromEntries(operations) as KmsProvider['operations'],
    ...(resolve && {
      resolve: (key: string, scope: Scope) => {
        calls.push({ asked: 'resolve', input: key })
        return behave(nextFor('resolve'), () => resolve.call(inner, key, scope))
      },
    }),
    ...(outcomeOf && {
      outcomeOf: (operationID: string) => {
        calls.push({ asked: 'outcomeOf', input: operationID })
        return behave(nextFor('outcomeOf'), () => outcomeOf.call(inner, operationID))
      },
    }),
    close: async () => inner.close?.(),
    calls,
    tell(asked, ...behaviours) {
      told.set(asked, [...(told.get(asked) ?? []), ...behaviours])
    },
  }
}

function behave<T>(behaviour: Behaviour, real: () => T | Promise<T>): T | Promise<T> {
  if (behaviour === 'real') return real()
  if (behaviour === 'never') return new Promise<T>(() => undefined)
  if ('throws' in behaviour) throw behaviour.throws
  if ('after' in behaviour) return behaviour.after.then(real)
  // A test may answer with anything, wrong shapes too.
  return behaviour.answers as T
}
