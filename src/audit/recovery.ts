/** Recovery: before its first call a client closes the intents that a crash left open. */
import { asKmsError } from '../model/dispatch.ts'
import type { AuditEntry } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import type { IntentOutcome, KmsProvider } from '../model/provider.ts'
import type { Audit } from './audit.ts'
import { recordRecovered } from './record.ts'

const outcomes = { done: 'success', 'not-done': 'failure', unknown: 'unknown' } as const

/**
 * Writes a result for each open intent of `provider`: `success` or `failure` where the provider knows, else `unknown`.
 *
 * @throws KmsError `AUDIT_REFUSED` if a sink does not answer within `deadlineMs` or refuses a result.
 */
export async function recover(audit: Audit, provider: KmsProvider, deadlineMs: number): Promise<void> {
  const intents = await within(audit, deadlineMs, audit.openIntents(provider.name))
  if (intents instanceof KmsError)
    throw new KmsError('AUDIT_REFUSED', 'the open intents could not be read: nothing was done, safe to try again', {
      cause: intents,
    })
  for (const intent of intents) {
    const outcome = await outcomeOf(audit, provider, intent, deadlineMs)
    // Claimed only now: from here on its result stays queued, even if a sink refuses it at first.
    if (!audit.claim(intent.operationID ?? '')) continue
    const accepted = await audit.emit(recordRecovered(intent, outcomes[outcome]))
    if (accepted instanceof KmsError) throw accepted
  }
}

/** A provider that cannot tell, fails or takes too long leaves the outcome unknown: recovery never guesses. */
async function outcomeOf(
  audit: Audit,
  provider: KmsProvider,
  intent: AuditEntry,
  deadlineMs: number,
): Promise<IntentOutcome> {
  if (provider.outcomeOf === undefined || intent.operationID === undefined) return 'unknown'
  const { operationID } = intent
  const asked = Promise.resolve(operationID).then((id) => provider.outcomeOf?.(id) ?? 'unknown')
  const outcome = await within(audit, deadlineMs, asked)
  return outcome === 'done' || outcome === 'not-done' ? outcome : 'unknown'
}

function within<T>(audit: Audit, ms: number, work: Promise<T>): Promise<T | KmsError> {
  return new Promise((resolve) => {
    const cancel = audit.deadlines.after(ms, () =>
      resolve(new KmsError('DEADLINE_EXCEEDED', `no answer within ${ms} ms`)),
    )
    work.then(resolve, (error: unknown) => resolve(asKmsError(error))).finally(cancel)
  })
}
