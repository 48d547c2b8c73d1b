/**
 * Which requests of a call really left, and how each ended: seen from the innermost place of the stack, below the SDK's
 * retries. Without it nobody could tell a change that was refused from one that may have been made.
 */
import { neverArrived } from '../../model/arrival.ts'
import { countOf, type SdkArguments, type SdkInnermost, textOf } from './sdk.ts'

/** Goes down the stack with the arguments of its call. */
const mark = Symbol('keytrail')

export interface Attempts {
  /** Requests handed to the network; undefined if nobody could count them. */
  sent: number | undefined
  /** Of these, how many may have been carried out although no answer said so: cut off, late, or a server error. */
  doubtful: number
  /** One was answered as done. */
  done: boolean
}

/** What `countAttempts` has learnt of its stack. */
export interface Marks {
  /** A middleware of the application makes arguments of its own: nothing is known of what leaves. */
  lost: boolean
}

export function noAttempts(): Attempts {
  return { sent: 0, doubtful: 0, done: false }
}

/** `args` for the rest of the stack, with `input` and the count of this call. */
export function marked(args: SdkArguments, input: object, attempts: Attempts): SdkArguments {
  return { ...args, input, [mark]: attempts } as SdkArguments
}

export function countAttempts(marks: Marks): SdkInnermost {
  return (next) => async (args) => {
    const attempts = attemptsOf(args)
    if (attempts === undefined) {
      marks.lost = true
      return next(args)
    }
    attempts.sent = (attempts.sent ?? 0) + 1
    attempts.doubtful += 1
    const result = await next(args).catch((error: unknown) => {
      if (neverArrived(textOf(error, 'code'))) attempts.doubtful -= 1
      throw error
    })
    const status = countOf(result.response, 'statusCode') ?? 0
    if (status >= 200 && status < 500) attempts.doubtful -= 1
    if (status >= 200 && status < 300) attempts.done = true
    return result
  }
}

function attemptsOf(args: object): Attempts | undefined {
  // Only `marked` knows the symbol.
  return (args as { readonly [mark]?: Attempts })[mark]
}
