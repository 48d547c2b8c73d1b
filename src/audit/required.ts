/** `audit.require`: the context that an action must have. */
import { KmsError } from '../model/errors.ts'
import type { Audit } from './audit.ts'
import type { PreparedContext } from './context.ts'

/** Why a call of `action` may not go on without more context; undefined if it may. */
export function missingContext({ require }: Audit, action: string, { said }: PreparedContext): KmsError | undefined {
  for (const name of ['*', action]) {
    const missing = require[name]?.find((field) => said[field] === undefined)
    if (missing !== undefined)
      return new KmsError('INVALID_INPUT', `${action} needs '${missing}' in its context, and nobody gave one`)
  }
  return undefined
}
