/**
 * Whether the server binds associated data at all. Those before Vault 1.11 leave out what they do not know, without a word: a
 * ciphertext would open under every encryption context. So the first request with a context is preceded by one whose associated
 * data cannot be decoded: who honours it must complain, and who answers as if nothing were wrong ignores it.
 */
import { KmsError } from '../../model/errors.ts'
import { isSuccess } from './answer.ts'
import type { Item } from './batches.ts'
import { failureOf } from './failure.ts'
import { evidenceOfTrace, type Trace } from './trace.ts'
import type { Asking, Transport } from './transport.ts'
import { untilAborted } from './wait.ts'

/** Resolves once the server is known to bind associated data; rejects with `UNSUPPORTED_OPERATION`, or what went wrong. */
export type RequireAssociatedData = (item: Item, asking: Asking) => Promise<void>

const undecodable = '!'

export function associatedDataCheck({ ask }: Transport): RequireAssociatedData {
  let honoured = false
  let asking: Promise<void> | undefined

  return async (item, { trace, signal }) => {
    // Many calls at once are one question; a ciphertext that cannot tell leaves it to the next.
    while (!honoured && asking !== undefined) await untilAborted(asking.then(nothing, nothing), signal)
    if (honoured) return
    asking = check(item, { trace, signal })
    try {
      await asking
      honoured = true
    } finally {
      asking = undefined
    }
  }

  async function check({ verb, name, fields, opens }: Item, { trace, signal }: Asking): Promise<void> {
    const { plaintext } = fields
    const body = {
      ...fields,
      // Nothing of the caller's goes where it may be sealed without its context.
      ...(plaintext !== undefined && { plaintext: 'AA==' }),
      associated_data: undecodable,
    }
    const answer = await ask({ method: 'POST', path: `${verb}/${name}`, body }, { trace, signal })
    if (isSuccess(answer)) throw ignored(trace)
    const complains = answer.errors.some((text) => /associated_data|illegal base64/.test(text))
    if (complains && (answer.status === 400 || answer.status === 500)) return
    throw failureOf(answer, { key: name, trace, ...(opens !== undefined && { opens }) })
  }
}

function ignored(trace: Trace): KmsError {
  const message =
    'this server ignores associated data, so that no encryption context is bound: it takes Vault 1.11 or OpenBao'
  return new KmsError('UNSUPPORTED_OPERATION', message, { evidence: evidenceOfTrace(trace) })
}

function nothing(): void {}
