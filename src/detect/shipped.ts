/** The rules that are shipped, in the order of the documentation. */
import { KmsError } from '../model/errors.ts'
import type { Parameters, Rule } from './rule.ts'
import { accessChange } from './rules/access-change.ts'
import { canaryKey } from './rules/canary-key.ts'
import { ciphertextSwapping } from './rules/ciphertext-swapping.ts'
import { clockStepped } from './rules/clock-stepped.ts'
import { decryptCap } from './rules/decrypt-cap.ts'
import { decryptRatio } from './rules/decrypt-ratio.ts'
import { decryptVolume } from './rules/decrypt-volume.ts'
import { decryptWithoutSecret } from './rules/decrypt-without-secret.ts'
import { deniedActions } from './rules/denied-actions.ts'
import { entriesDropped } from './rules/entries-dropped.ts'
import { exported } from './rules/export.ts'
import { exportAfterChange } from './rules/export-after-change.ts'
import { fieldPolicyChanged } from './rules/field-policy-changed.ts'
import { firstUse } from './rules/first-use.ts'
import { forgeryAttempts } from './rules/forgery-attempts.ts'
import { heartbeatMissing } from './rules/heartbeat-missing.ts'
import { inactiveKey } from './rules/inactive-key.ts'
import { keyDisabled } from './rules/key-disabled.ts'
import { keyImport } from './rules/key-import.ts'
import { manualRotation } from './rules/manual-rotation.ts'
import { manyKeys } from './rules/many-keys.ts'
import { massDisable } from './rules/mass-disable.ts'
import { newAgent } from './rules/new-agent.ts'
import { newNetwork } from './rules/new-network.ts'
import { notFoundSweep } from './rules/not-found-sweep.ts'
import { oldVersion } from './rules/old-version.ts'
import { payloadOutlier } from './rules/payload-outlier.ts'
import { repeated400 } from './rules/repeated-400.ts'
import { rotationOverdue } from './rules/rotation-overdue.ts'
import { rotationStorm } from './rules/rotation-storm.ts'
import { scheduledRotation } from './rules/scheduled-rotation.ts'
import { secretWithoutDecrypt } from './rules/secret-without-decrypt.ts'
import { sequenceMissing } from './rules/sequence-missing.ts'
import { signingOutsideHours } from './rules/signing-outside-hours.ts'
import { sinkDown } from './rules/sink-down.ts'
import { trailPruned } from './rules/trail-pruned.ts'
import { trailRecovered } from './rules/trail-recovered.ts'
import { trailReopened } from './rules/trail-reopened.ts'
import { trailRestored } from './rules/trail-restored.ts'
import { unexpectedDecrypt } from './rules/unexpected-decrypt.ts'
import { usageLimit } from './rules/usage-limit.ts'

export const everyRule: readonly Rule[] = [
  decryptVolume,
  decryptCap,
  unexpectedDecrypt,
  firstUse,
  newNetwork,
  newAgent,
  manyKeys,
  payloadOutlier,
  decryptRatio,
  canaryKey,
  exported,
  exportAfterChange,
  keyImport,
  rotationOverdue,
  scheduledRotation,
  manualRotation,
  rotationStorm,
  oldVersion,
  signingOutsideHours,
  usageLimit,
  inactiveKey,
  keyDisabled,
  massDisable,
  accessChange,
  repeated400,
  notFoundSweep,
  deniedActions,
  ciphertextSwapping,
  forgeryAttempts,
  secretWithoutDecrypt,
  decryptWithoutSecret,
  sinkDown,
  entriesDropped,
  trailReopened,
  trailRecovered,
  trailPruned,
  trailRestored,
  clockStepped,
  heartbeatMissing,
  sequenceMissing,
  fieldPolicyChanged,
]

/** By rule id: some of its parameters, or `false` for a rule that is left out. */
export type RuleSettings = { readonly [rule: string]: Parameters | false }

/**
 * All shipped rules, with their defaults but for what `settings` says.
 *
 * @throws KmsError `INVALID_INPUT` for a rule or a parameter that does not exist, or a value that it cannot have.
 * @example
 * ```ts
 * const rules = shippedRules({ 'canary-key': { keys: ['honey'] }, 'new-agent': false })
 * ```
 */
export function shippedRules(settings: RuleSettings = {}): readonly Rule[] {
  const unknown = Object.keys(settings).find((id) => everyRule.every((rule) => rule.id !== id))
  if (unknown !== undefined) throw new KmsError('INVALID_INPUT', `there is no rule '${unknown}'`)
  return everyRule.flatMap((rule) => {
    const changed = Object.hasOwn(settings, rule.id) ? settings[rule.id] : undefined
    if (changed === false) return []
    return [changed === undefined ? rule : rule.withParameters(changed)]
  })
}
