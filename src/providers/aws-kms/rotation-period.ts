/** How often AWS rotates a key by itself. */
import { KmsError } from '../../model/errors.ts'

/** What AWS takes when nobody says. */
export const defaultPeriodInDays = 365

export function demandPeriod(days: number | undefined): void {
  if (days === undefined || (days >= 90 && days <= 2560)) return
  throw new KmsError('INVALID_INPUT', `'rotationPeriodInDays' must be 90–2560 for keys of AWS KMS, not ${days}`)
}
