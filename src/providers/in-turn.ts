/** Asking several providers one after another, without a promise where none answers with one, and weighing their refusals. */
import { asKmsError } from '../model/dispatch.ts'
import { evidenceOf, KmsError, type KmsErrorCode } from '../model/errors.ts'
import { andThen, isPromise } from '../model/promise.ts'

/** The first answer that is not undefined; undefined if there is none. The next is asked only when the one before has answered. */
export function firstAnswer<I, T>(
  items: readonly I[],
  ask: (item: I) => T | undefined | Promise<T | undefined>,
  at = 0,
): T | undefined | Promise<T | undefined> {
  const item = items[at]
  if (item === undefined) return undefined
  return andThen(ask(item), (answer) => answer ?? firstAnswer(items, ask, at + 1))
}

/** What `run` answers; what it throws or rejects with is given to `refused`, whose answer stands instead. */
export function orElse<T, U>(
  run: () => T | Promise<T>,
  refused: (error: unknown) => U | Promise<U>,
): T | U | Promise<T | U> {
  let answer: T | Promise<T>
  try {
    answer = run()
  } catch (error) {
    return refused(error)
  }
  return isPromise(answer) ? answer.catch(refused) : answer
}

/** What was thrown, as a `KmsError` that tells its entry who refused. */
export function refusedBy(name: string, thrown: unknown): KmsError {
  const error = asKmsError(thrown)
  const { code, message, operation, key, eventID, cause } = error
  const evidence = evidenceOf(error)
  return new KmsError(code, message, {
    ...(operation !== undefined && { operation }),
    ...(key !== undefined && { key }),
    ...(eventID !== undefined && { eventID }),
    ...(cause !== undefined && { cause }),
    evidence: { ...evidence, provider: evidence.provider ?? name },
  })
}

/** The refusals of those who were asked, and what they come to if nobody answers. */
export interface Refusals {
  /** Keeps it, so that the next is asked; throws it where nobody else may be. */
  add(this: void, thrown: unknown): undefined
  /** Who has judged what was asked and said no, in order. */
  readonly judges: readonly string[]
  /** Of the first that might have answered otherwise and could not; retryable before other. */
  readonly trouble: KmsError | undefined
  /** The refusal of all: the trouble, or the judgement, or why nobody could judge. */
  verdict(): KmsError
}

/** A key that is disabled or denied in one place must not be reached by way of another; the others say that the call is over. */
const final: ReadonlySet<KmsErrorCode> = new Set(['ACCESS_DENIED', 'KEY_NOT_ACTIVE', 'ABORTED', 'CLOSED'])

/** It has no such key or version, or cannot do this at all. */
const absent: ReadonlySet<KmsErrorCode> = new Set(['KEY_NOT_FOUND', 'VERSION_NOT_FOUND', 'UNSUPPORTED_OPERATION'])

export function refusals(): Refusals {
  const kept: KmsError[] = []
  const judged = () => kept.filter(({ code }) => code === 'INVALID_CIPHERTEXT')
  const trouble = () => {
    const met = kept.filter(({ code }) => !isAnswer(code))
    return met.find(({ retryable }) => retryable) ?? met[0]
  }
  return {
    add(thrown) {
      const error = asKmsError(thrown)
      if (final.has(error.code)) throw error
      kept.push(error)
    },
    get judges() {
      return judged().flatMap((error) => evidenceOf(error).provider ?? [])
    },
    get trouble() {
      return trouble()
    },
    verdict() {
      const told = trouble() ?? joined(judged()) ?? kept.find(({ code }) => !absent.has(code))
      // Who has the key knows more than who has it not.
      return (
        told ??
        kept.find(({ code }) => code !== 'KEY_NOT_FOUND') ??
        kept[0] ??
        new KmsError('KEY_NOT_FOUND', 'there is no such key in any of the providers')
      )
    },
  }
}

/** Whether it is certain that who says so would not have opened it. */
function isAnswer(code: KmsErrorCode): boolean {
  return absent.has(code) || code === 'INVALID_CIPHERTEXT' || code === 'INVALID_INPUT'
}

/**
 * One refusal for all: the one that came furthest, for it named a version of a key, or any if all tell the same. Otherwise nothing
 * is certain of the cause.
 */
function joined(said: readonly KmsError[]): KmsError | undefined {
  const [first, ...others] = said
  if (first === undefined || others.length === 0) return first
  const furthest = said.filter((error) => evidenceOf(error).keyVersion !== undefined)
  if (furthest.length === 1) return furthest[0]
  const { decryptFailure } = evidenceOf(first)
  const isSame = others.every((error) => evidenceOf(error).decryptFailure === decryptFailure)
  return undecryptable(isSame && decryptFailure !== undefined ? { decryptFailure } : {})
}

/** The one refusal of every ciphertext that does not open; `evidence` is for its entry. */
export function undecryptable(evidence: ReturnType<typeof evidenceOf>): KmsError {
  return new KmsError('INVALID_CIPHERTEXT', 'ciphertext does not open with this key and encryption context', {
    evidence,
  })
}
