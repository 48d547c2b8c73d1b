/** How an integration holds its own result back until its entry is accepted. */
import { KmsError } from '../model/errors.ts'
import type { Audit } from './audit.ts'
import type { Draft } from './draft.ts'
import { recordAmendment } from './record.ts'
import { withheld } from './withheld.ts'

/**
 * Writes the result entry `draft`; resolves to its `eventID` once every required sink has it, before `expiresAt` (monotonic
 * clock). If one refuses it or is late, an amendment says that nothing was released, and it rejects with what the caller is to
 * hear: `OUTCOME_UNAUDITED` of a change that has its intent, else `AUDIT_REFUSED`. Whoever calls drops the result then.
 */
export async function accepted(audit: Audit, draft: Draft, expiresAt: number): Promise<string> {
  const acceptance = await audit.emit(draft, expiresAt)
  if (!(acceptance instanceof KmsError)) return draft.eventID
  audit.note(recordAmendment(draft))
  throw withheld(acceptance, { hasIntent: draft.operationID !== undefined })
}
