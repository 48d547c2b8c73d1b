/**
 * The entries that an envelope writes by itself: a use of a cached data key, as the call would have had that the cache spared; and a
 * sealed message that did not open although, or before, its data key did. Each field is named here, one by one.
 */
import { type Draft, draftOf } from '../../audit/draft.ts'
import { keptContext, sizeOfContext } from '../../audit/encryption-context.ts'
import { roundMs } from '../../audit/record.ts'
import type { Inside } from '../../client.ts'
import type { EntryDetails, PayloadSizes } from '../../model/entry.ts'
import { errorCodes, evidenceOf, type KmsError } from '../../model/errors.ts'
import type { KeyRef } from '../../model/key.ts'
import { type EncryptionContext, operations } from '../../model/operation.ts'
import { capText } from '../../model/text.ts'

/** The operation of the KMS that a data key comes from. */
export type DataKeyOperation = 'generateDataKey' | 'decrypt'

/** Who does what, with which key. */
export interface UseOfKey {
  readonly operation: DataKeyOperation
  /** As the caller named it. */
  readonly name: string
  readonly inside: Inside
  readonly encryptionContext: EncryptionContext | undefined
  /** Monotonic clock. */
  readonly begunAt: number
}

/** A data key that was fetched by a call of the KMS. */
export interface FetchedKey {
  readonly key: KeyRef
  readonly keyVersion: number | undefined
  readonly sealedKey: Uint8Array
  /** Of the entry that tells of it. */
  readonly eventID: string
}

/** A use of a data key from the cache: what is told is what the spared call would have told, but for who answered. */
export function recordCachedUse(
  use: UseOfKey,
  { key, keyVersion, sealedKey, eventID }: FetchedKey,
  length: number,
): Draft {
  const isOlder = keyVersion !== undefined && key.latestVersion !== undefined && keyVersion < key.latestVersion
  return draft(use, {
    key,
    keyVersion,
    latestVersion: isOlder ? false : undefined,
    error: undefined,
    sizes: { plaintext: length, ciphertext: sealedKey.length },
    details: { cache: { hit: true, parent: eventID } },
  })
}

/** Why nothing was sealed or opened. `fetched`: the data key of a message that is not authentic under it. */
export function recordRefusal(use: UseOfKey, error: KmsError, fetched: FetchedKey | undefined): Draft {
  const { decryptFailure } = evidenceOf(error)
  return draft(use, {
    key: fetched?.key,
    keyVersion: fetched?.keyVersion,
    latestVersion: undefined,
    error,
    sizes: {},
    details: {
      ...(decryptFailure !== undefined && { decryptFailure }),
      ...(fetched !== undefined && { kmsEventID: fetched.eventID }),
    },
  })
}

interface Facts {
  readonly key: KeyRef | undefined
  readonly keyVersion: number | undefined
  readonly latestVersion: false | undefined
  readonly error: KmsError | undefined
  readonly sizes: PayloadSizes
  readonly details: EntryDetails
}

function draft({ operation, name, inside, encryptionContext, begunAt }: UseOfKey, facts: Facts): Draft {
  const { audit, scope, bound } = inside
  const { key, error } = facts
  const flags = [...bound.flags]
  const pairs =
    encryptionContext && keptContext(encryptionContext, { fields: audit.fields, taken: bound.maxBytes, flags })
  const details = flags.length > 0 ? { ...facts.details, flags } : facts.details
  const sizes = encryptionContext && { encryptionContext: sizeOfContext(encryptionContext) }
  const payloadSizes = { ...facts.sizes, ...sizes }
  return draftOf({
    action: operations[operation].action,
    phase: 'result',
    resourceType: 'kms_key',
    resourceIdentity: key?.identity ?? capText(name, 128),
    outcome: error === undefined ? 'success' : 'failure',
    statusCode: error === undefined ? 200 : errorCodes[error.code].status,
    error: error?.code,
    region: scope.region,
    project: scope.project,
    keySlug: key?.slug,
    keyType: key?.keyType,
    keyVersion: facts.keyVersion,
    latestVersion: facts.latestVersion,
    payloadSizes: Object.keys(payloadSizes).length > 0 ? payloadSizes : undefined,
    actor: bound.actor,
    context: bound.context,
    origin: bound.origin,
    reason: bound.reason,
    details: Object.keys(details).length > 0 ? details : undefined,
    encryptionContext: pairs,
    durationMs: roundMs(audit.clock.monotonic() - begunAt),
  })
}
