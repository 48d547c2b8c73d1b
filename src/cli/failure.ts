/** A failure as one line: what a user, a script and a log can act upon. Never a stack. */
import { describeForeign, KmsError } from '../model/errors.ts'
import { visible } from '../sinks/render.ts'
import { toJson } from './json.ts'

/** `keytrail: CODE: message (entry EVENT-ID)`. */
export function failureLine(error: unknown): string {
  const { code, message, key, eventID } = known(error)
  const about = key === undefined ? '' : `${visible(key)}: `
  const entry = eventID === undefined ? '' : ` (entry ${eventID})`
  return `keytrail: ${code}: ${about}${visible(message)}${entry}`
}

/** The same for programs. */
export function failureJson(error: unknown): string {
  return toJson({ error: factsOfFailure(known(error)) })
}

/** What an error tells a program, field by field. */
export function factsOfFailure({ code, message, statusCode, operation, key, eventID, retryable }: KmsError): object {
  return { code, message, statusCode, operation, key, eventID, retryable }
}

/** Anything but a `KmsError` is a fault of ours. Its own message may quote a secret. */
function known(error: unknown): KmsError {
  if (error instanceof KmsError) return error
  return new KmsError('INTERNAL', `something unexpected: ${describeForeign(error).message}`)
}
