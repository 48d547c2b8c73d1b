/** What the caller hears when a result is withheld because its entry was refused or is late. */
import { KmsError } from '../model/errors.ts'

/** `hasIntent`: of a change, which has been made all the same. */
export function withheld(refusal: KmsError, { hasIntent }: { readonly hasIntent: boolean }): KmsError {
  const [code, message] = hasIntent
    ? (['OUTCOME_UNAUDITED', 'the provider has answered but the entry waits: look before trying again'] as const)
    : (['AUDIT_REFUSED', 'the entry was not accepted: nothing was released, safe to try again'] as const)
  return new KmsError(code, message, { cause: refusal })
}
