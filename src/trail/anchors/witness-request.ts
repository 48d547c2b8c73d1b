/** One `add-checkpoint` request (c2sp.org/tlog-witness), and what its answer means. */
import { concat, fromUtf8, toBase64, utf8 } from '../../crypto/bytes.ts'
import type { Clock } from '../../model/clock.ts'
import { describeForeign } from '../../model/errors.ts'
import { type HttpResponse, host, type Signal } from '../../model/host.ts'
import type { Witness } from './witness-options.ts'

export interface AddCheckpoint {
  readonly witness: Witness
  readonly clock: Clock
  /** Size of the checkpoint that the witness is thought to have cosigned last; 0 for none. */
  readonly old: bigint
  /** The note's. */
  readonly size: bigint
  /** RFC 6962 §2.1.2, from `old` to `size`: hashes of 32 bytes, none when `old` is 0 or `size`. */
  readonly proof: readonly Uint8Array[]
  /** The signed checkpoint. */
  readonly note: string
  /** Gives the request up. */
  readonly closing: Signal
}

export type Answer =
  /** Signature lines, of which nothing is verified. */
  | { readonly lines: string }
  /** The size that the witness has cosigned, which is not `old`. */
  | { readonly size: bigint }
  /** Holds nothing that the witness wrote. */
  | { readonly problem: string }

/** Posts once. Never throws: whatever goes wrong is an answer, within the witness's `timeoutMs`. */
export async function addCheckpoint(asking: AddCheckpoint): Promise<Answer> {
  const { witness, clock, closing } = asking
  if (closing.aborted) return { problem: closed }
  const abort = new host.AbortController()
  const give = () => abort.abort()
  const disarm = clock.after(witness.timeoutMs, give)
  closing.addEventListener('abort', give, { once: true })
  try {
    const init = {
      method: 'POST',
      headers: { ...witness.headers, 'content-type': 'text/plain; charset=utf-8' },
      body: bodyOf(asking),
      redirect: 'manual',
      credentials: 'omit',
      signal: abort.signal,
    }
    return await answerOf(await host.fetch(`${witness.url}/add-checkpoint`, init), asking)
  } catch (error) {
    if (closing.aborted) return { problem: closed }
    if (abort.signal.aborted) return { problem: 'did not answer within timeoutMs' }
    return { problem: `could not be reached (${describeForeign(reasonOf(error)).message})` }
  } finally {
    disarm()
    closing.removeEventListener('abort', give)
    // Of an answer that was not read to its end, nothing more is.
    give()
  }
}

const closed = 'was not waited for: the trail was closed'

function bodyOf({ old, proof, note }: AddCheckpoint): Uint8Array {
  return utf8(`old ${old}\n${proof.map((hash) => `${toBase64(hash)}\n`).join('')}\n${note}`)
}

async function answerOf(response: HttpResponse, { old, size }: AddCheckpoint): Promise<Answer> {
  const { status } = response
  if (status === 200) {
    const lines = await textOf(response)
    return lines === undefined ? { problem: 'answered with more than a cosignature' } : { lines }
  }
  if (status !== 409) return { problem: problems[status] ?? otherProblem(status) }
  const cosigned = sizeIn(response, await textOf(response))
  if (cosigned !== undefined && cosigned !== old) return { size: cosigned }
  return { problem: old === size ? forked : 'answered 409 and no other size' }
}

const forked = 'holds another root at this size: one of the two is not this trail, or the trail was changed'

// What a log can do about it. Of the rest the number says enough.
const problems: { readonly [status: number]: string } = {
  400: 'answered 400: it could not read the request, or holds a larger checkpoint',
  403: 'answered 403: it does not know the key of this trail',
  404: 'answered 404: it does not know the origin of this trail, or url is not its submission prefix',
  422: 'answered 422: the checkpoint does not continue the one that it cosigned before',
  429: 'answered 429: it is asked too often',
}

function otherProblem(status: number): string {
  // A browser shows a redirect that was not followed as status 0.
  if (status === 0 || (status >= 300 && status < 400))
    return `redirected (${status}); name the final address as its url`
  return `answered ${status}`
}

function sizeIn(response: HttpResponse, text: string | undefined): bigint | undefined {
  if (!/^text\/x\.tlog\.size\s*(?:;|$)/i.test(response.headers.get('content-type') ?? '')) return undefined
  const [, digits] = /^(0|[1-9][0-9]{0,18})\n$/.exec(text ?? '') ?? []
  return digits === undefined ? undefined : BigInt(digits)
}

/** Some hundred signature lines. */
const maxAnswerBytes = 65_536

/** Undefined for a body that is longer, or not UTF-8. */
async function textOf(response: HttpResponse): Promise<string | undefined> {
  // host.ts has the body whole only; every `fetch` streams it too, and of an endless one no more than the start is wanted.
  const { body } = response as { readonly body?: { getReader(): BodyReader } | null }
  const reader = body?.getReader()
  if (reader === undefined) return ''
  const parts: Uint8Array[] = []
  let length = 0
  for (let part = await reader.read(); part.value !== undefined; part = await reader.read()) {
    length += part.value.length
    if (length > maxAnswerBytes) return undefined
    parts.push(part.value)
  }
  return fromUtf8(concat(parts))
}

/** Gives no value at the end. */
interface BodyReader {
  read(): Promise<{ readonly value?: Uint8Array }>
}

/** `fetch` wraps what happened, such as ECONNREFUSED, in a TypeError that says nothing. */
function reasonOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error
}
