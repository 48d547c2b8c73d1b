/** An answer of the service as it came, before anything is made of it. Nothing in it is trusted further than its type was looked at. */
import { fromUtf8 } from '../../crypto/bytes.ts'

/** An object of a JSON answer: each field is looked at before it is used. */
export type Fields = Readonly<Record<string, unknown>>

export interface Answer {
  readonly status: number
  /** The service's name for the request. Vault tells it with successes only. */
  readonly requestId?: string
  /** Absent where the body had none. */
  readonly data?: Fields
  readonly errors: readonly string[]
  readonly warnings: readonly string[]
  readonly retryAfterMs?: number
  /** A body that is no answer of Vault's, of whatever status. */
  readonly foreign?: true
}

/** `body`: of a 204 it may be empty. */
export function readAnswer(status: number, body: Uint8Array, retryAfterMs: number | undefined): Answer {
  const later = retryAfterMs === undefined ? {} : { retryAfterMs }
  if (body.length === 0) return { status, errors: [], warnings: [], ...later, ...(status !== 204 && { foreign: true }) }
  const fields = fieldsOf(parsed(body))
  const isVaults = fields !== undefined && ('errors' in fields || 'data' in fields || 'request_id' in fields)
  if (fields === undefined || !isVaults) return { status, errors: [], warnings: [], ...later, foreign: true }
  const requestId = fields['request_id']
  const data = fieldsOf(fields['data'])
  return {
    status,
    ...(typeof requestId === 'string' && requestId !== '' && { requestId }),
    ...(data !== undefined && { data }),
    errors: textsOf(fields['errors']).flatMap(single),
    warnings: textsOf(fields['warnings']),
    ...later,
  }
}

export function isSuccess({ status }: Answer): boolean {
  return status >= 200 && status < 300
}

/** `value` if it is a JSON object. */
export function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined
}

/** The errors in a text: Vault joins several, also where there is one, as lines of a list. */
export function single(text: string): readonly string[] {
  const list = /^\d+ errors? occurred:\n((?:\t\* .*\n)+)\n*$/.exec(text)?.[1]
  if (list === undefined) return [text.trim()]
  return list
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.slice('\t* '.length).trim())
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : []
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(body) ?? '')
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
