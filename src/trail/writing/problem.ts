/** Why something failed, in one line that quotes nothing foreign. */
import { describeForeign, KmsError } from '../../model/errors.ts'

export function problemOf(error: unknown): string {
  return error instanceof KmsError ? error.message : describeForeign(error).message
}
