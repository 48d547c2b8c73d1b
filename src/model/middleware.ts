/** Your own middleware, such as an access policy: runs inside the audit middleware, sees the resolved key. */
import type { RequestContext } from './context.ts'
import type { ResolvedKey, Scope } from './key.ts'
import type { Input, Operation, Output } from './operation.ts'

/** A call that has passed validation. */
export interface KmsCall<O extends Operation = Operation> {
  readonly operation: O
  readonly action: string
  readonly input: Input<O>
  readonly context: RequestContext
  readonly scope: Scope
  /** What the call's `key` resolved to: a rule on a slug cannot be passed by naming the identity. */
  readonly key?: ResolvedKey
}

/**
 * Calls `next()` to go on, or throws a `KmsError` (`ACCESS_DENIED` for a refusal) to stop; either way the call has its
 * entry. It may wait, and it may answer in the provider's place.
 *
 * @example
 * ```ts
 * const businessHours: KmsMiddleware = (call, next) => {
 *   if (call.action === 'kms.export' && !isOpen()) throw new KmsError('ACCESS_DENIED', 'exports only in office hours')
 *   return next()
 * }
 * ```
 */
export interface KmsMiddleware {
  (
    call: KmsCall,
    next: () => Output<Operation> | Promise<Output<Operation>>,
  ): Output<Operation> | Promise<Output<Operation>>
  /**
   * Asked of a change before its intent is written: throws or rejects to refuse it there, with one entry, which is joined with
   * others of its kind in a flood. Without it a change is refused behind its intent, with two.
   */
  readonly admit?: (call: KmsCall) => void | Promise<void>
}
