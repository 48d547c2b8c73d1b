/**
 * Whether the server binds associated data at all. Those before Vault 1.11 leave out what they do not know, without a word: a
 * ciphertext would open under every encryption context. So the first request with a context is preceded by one, alone
 * and as a batch, whose associated data cannot be decoded: who honours it must complain, and who answers as if nothing were wrong
 * ignores it.
 */
import { KmsError, type KmsErrorCode } from '../../model/errors.ts'
import { type Fields, fieldsOf, isSuccess, single } from './answer.ts'
import type { Item } from './batches.ts'
import { failureOf } from './failure.ts'
import { evidenceOfTrace, type Trace } from './trace.ts'
import type { Asking, Transport } from './transport.ts'
import { untilAborted } from './wait.ts'

/** Resolves once the server is known to bind associated data; rejects with `UNSUPPORTED_OPERATION`, or what went wrong. */
export type RequireAssociatedData = (item: Item, asking: Asking) => Promise<void>

const undecodable = '!'
const ofCalls: readonly KmsErrorCode[] = ['INVALID_CIPHERTEXT', 'INVALID_INPUT', 'VERSION_NOT_FOUND', 'ABORTED']

export function associatedDataCheck({ ask }: Transport): RequireAssociatedData {
  let honoured = false
  let asking: Promise<void> | undefined

  return async (item, { trace, signal }) => {
    while (!honoured) {
      const own = asking === undefined
      // Many calls at once are one question.
      asking ??= check(item, { trace, signal }).finally(() => {
        asking = undefined
      })
      try {
        await untilAborted(asking, signal)
        honoured = true
      } catch (error) {
        // What was wrong with another call's request tells nothing of the server.
        if (own || signal.aborted || !isOfCall(error)) throw error
      }
    }
  }

  /** In both forms of a request: a server may know it in one alone. */
  async function check(item: Item, asking: Asking): Promise<void> {
    const { plaintext } = item.fields
    const fields = {
      ...item.fields,
      // Nothing of the caller's goes where it may be sealed without its context.
      ...(plaintext !== undefined && { plaintext: 'AA==' }),
      associated_data: undecodable,
    }
    await complaint(item, fields, asking)
    await complaint(item, { batch_input: [fields] }, asking)
  }

  async function complaint({ verb, name, opens }: Item, body: Fields, { trace, signal }: Asking): Promise<void> {
    const answer = await ask({ method: 'POST', path: `${verb}/${name}`, body }, { trace, signal })
    const results = answer.data?.['batch_results']
    const error = Array.isArray(results) ? fieldsOf(results[0])?.['error'] : undefined
    const errors = typeof error === 'string' ? single(error) : answer.errors
    const refused = { ...answer, status: isSuccess(answer) ? 200 : answer.status, errors }
    if (isSuccess(answer) && errors.length === 0) throw ignored(trace)
    const complains = errors.some((text) => /associated_data|illegal base64/.test(text))
    if (complains && (isSuccess(answer) || answer.status === 400 || answer.status === 500)) return
    throw failureOf(refused, { key: name, trace, ...(opens !== undefined && { opens }) })
  }
}

function ignored(trace: Trace): KmsError {
  const message =
    'this server ignores associated data, so that no encryption context is bound: it takes Vault 1.11 or OpenBao'
  return new KmsError('UNSUPPORTED_OPERATION', message, { evidence: evidenceOfTrace(trace) })
}

function isOfCall(error: unknown): boolean {
  return error instanceof KmsError && ofCalls.includes(error.code)
}
