/** What the provider tests call with: a call's facts, a clock turned by hand, and the error of a call. */
import { v7 as uuidv7 } from 'uuid'
import type { Clock } from '../../src/model/clock.ts'
import { KmsError } from '../../src/model/errors.ts'
import type { Input, Operation, Output } from '../../src/model/operation.ts'
import type { CallInfo, KmsProvider } from '../../src/model/provider.ts'

export const scope = { region: 'nl-01', project: 'billing' }

export function callOf(over: Partial<CallInfo> = {}): CallInfo {
  return { operationID: uuidv7(), scope, signal: new AbortController().signal, ...over }
}

/** One operation of a provider; throws what it throws, now or later. */
export async function run<O extends Operation>(
  kms: KmsProvider,
  operation: O,
  input: Input<O>,
  over: Partial<CallInfo> = {},
): Promise<Output<O>> {
  const operate = kms.operations[operation]
  if (operate === undefined) throw new Error(`no ${operation}`)
  return operate(input, callOf(over))
}

export async function failureOf(promise: Promise<unknown>): Promise<KmsError> {
  const failure = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (failure instanceof KmsError) return failure
  throw new Error('expected a KmsError', { cause: failure })
}

export interface HandClock extends Clock {
  turn(ms: number): void
}

export function handClock(start = Date.UTC(2026, 0, 1)): HandClock {
  let now = start
  return {
    now: () => now,
    monotonic: () => now - start,
    after: () => () => undefined,
    turn(ms) {
      now += ms
    },
  }
}

export const day = 86_400_000

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
