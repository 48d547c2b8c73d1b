/** A delivery that calls a function. */
import type { Finding } from '../../detect/finding.ts'
import type { Told } from '../../detect/finding-line.ts'
import { KmsError } from '../../model/errors.ts'
import type { Delivery } from './delivery.ts'

export interface CallbackOptions {
  /** `callback` by default. */
  readonly name?: string
}

/**
 * Calls `tell` with each alarm, one at a time, and waits for what it returns; a finding for which it throws or rejects counts as
 * lost. Findings hold text from entries: show it as text, never as markup.
 *
 * @throws KmsError `INVALID_INPUT` when `tell` is no function.
 * @example
 * ```ts
 * callbackDelivery(({ level, says }) => pager.notify(`${level}: ${says}`))
 * ```
 */
export function callbackDelivery(
  tell: (finding: Finding, told: Told) => unknown,
  { name = 'callback' }: CallbackOptions = {},
): Delivery {
  if (typeof tell !== 'function') throw new KmsError('INVALID_INPUT', 'callbackDelivery takes a function')
  return {
    name,
    hears: 'alarms',
    async deliver({ finding, repeats }) {
      await tell(finding, repeats === undefined ? {} : { repeats })
    },
  }
}
