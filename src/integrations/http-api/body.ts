/** A request's body: read up to a limit and in time, whatever its headers claim, and taken only as strict JSON. */
import type { Audit } from '../../audit/audit.ts'
import { concat, fromUtf8, wipe } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { invalid } from './failure.ts'
import type { ApiReader, ApiRequest } from './fetch.ts'

export interface BodyLimits {
  readonly maxBodyBytes: number
  readonly bodyTimeoutMs: number
}

/** Whether the request says that it brings something: a body that is not read must not be there. */
export function announcesBody({ headers }: ApiRequest): boolean {
  const length = headers.get('content-length')
  return headers.get('transfer-encoding') !== null || (length !== null && !/^0+$/.test(length))
}

/**
 * The object that the body spells; with `optional`, an empty one for no body. Errors: `INVALID_INPUT` (content type, size, time,
 * UTF-8, JSON), `ABORTED` (the caller is gone). Of a name that stands there twice the last counts, as `JSON.parse` has it.
 */
export async function readJson(
  request: ApiRequest,
  audit: Audit,
  { limits, optional }: { readonly limits: BodyLimits; readonly optional: boolean },
): Promise<object> {
  const { maxBodyBytes } = limits
  const claimed = request.headers.get('content-length')
  if (claimed !== null && Number(claimed) > maxBodyBytes) throw tooLarge(maxBodyBytes)
  if (!optional || announcesBody(request)) checkType(request)
  const bytes = request.body === null ? new Uint8Array() : await readInTime(request.body.getReader(), audit, limits)
  if (bytes.length > 0) checkType(request)
  if (bytes.length === 0 && optional) return {}
  const text = fromUtf8(bytes)
  wipe(bytes)
  if (text === undefined) throw invalid('the body must be JSON in UTF-8')
  return parse(text)
}

/** RFC 8259 §11 registers no parameter; `charset=utf-8` is what clients add all the same. */
function checkType({ headers }: ApiRequest): void {
  const type = headers.get('content-type') ?? ''
  if (!/^application\/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i.test(type))
    throw invalid('the content type must be application/json')
  const coding = headers.get('content-encoding')
  if (coding !== null && coding.toLowerCase() !== 'identity') throw invalid('the body must not be compressed')
}

function parse(text: string): object {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    // Its message quotes the body.
    throw new KmsError('INVALID_INPUT', 'the body is not well-formed JSON', { cause: error })
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw invalid('the body must be a JSON object')
  return parsed
}

function readInTime(reader: ApiReader, audit: Audit, { maxBodyBytes, bodyTimeoutMs }: BodyLimits): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const cancel = audit.deadlines.after(bodyTimeoutMs, () => {
      giveUp(reader)
      reject(invalid(`the body must arrive within ${bodyTimeoutMs} ms`))
    })
    readAll(reader, maxBodyBytes).then(resolve, reject).finally(cancel)
  })
}

async function readAll(reader: ApiReader, most: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read().catch(broken)
    if (done) break
    if (!(value instanceof Uint8Array)) throw invalid('the body must be bytes')
    length += value.length
    if (length > most) {
      giveUp(reader)
      throw tooLarge(most)
    }
    parts.push(value)
  }
  const bytes = concat(parts)
  wipe(...parts)
  return bytes
}

function broken(error: unknown): never {
  throw new KmsError('ABORTED', 'the body ended before its end', { cause: error })
}

/** Whoever sends it need not be waited for. */
function giveUp(reader: ApiReader): void {
  reader.cancel().catch(() => undefined)
}

function tooLarge(most: number): KmsError {
  return invalid(`the body must be at most ${most} bytes`)
}
