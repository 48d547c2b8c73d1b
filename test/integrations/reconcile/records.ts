/**
 * Records of AWS KMS as CloudTrail writes them, made here: their fields are those of "CloudTrail record contents" (AWS CloudTrail user
 * guide: eventVersion, userIdentity, eventTime, eventSource, eventName, awsRegion, sourceIPAddress, userAgent, errorCode, errorMessage,
 * requestParameters, responseElements, additionalEventData, requestID, eventID, readOnly, resources, eventType, managementEvent,
 * recipientAccountId, sharedEventID, serviceEventDetails, eventCategory) and of the examples of KMS log entries (AWS KMS developer guide).
 */
import type { AuditEntry } from '../../../src/model/entry.ts'
import { exampleEntry } from '../../../src/testing/entries.ts'

export const account = '111122223333'
export const start = Date.UTC(2026, 0, 5, 8)
export const minute = 60_000

export const uuid = (kind: number, number: number): string =>
  `${kind.toString(16).padStart(8, '0')}-0000-4000-8000-${number.toString(16).padStart(12, '0')}`

/** ARN of key number `number`. */
export const keyArn = (number: number): string => `arn:aws:kms:eu-west-1:${account}:key/${uuid(0xceed, number)}`

export const ownRole = `arn:aws:sts::${account}:assumed-role/keytrail/i-0abc`

export interface RecordFields {
  readonly name?: string
  /** ms; CloudTrail keeps whole seconds. */
  readonly at?: number
  readonly request?: string | undefined
  readonly event?: string
  /** ARNs in `resources`. */
  readonly keys?: readonly string[]
  readonly error?: string
  readonly arn?: string
  readonly invokedBy?: string
  readonly parameters?: object | null
  readonly more?: object
}

let made = 0

export function kmsRecord(fields: RecordFields = {}): Record<string, unknown> {
  const { name = 'Encrypt', at = start, keys = [keyArn(1)], error, arn = ownRole, invokedBy, more } = fields
  const number = made++
  const [key] = keys
  return {
    eventVersion: '1.11',
    userIdentity: {
      type: 'AssumedRole',
      principalId: 'AROAEXAMPLE:i-0abc',
      arn,
      accountId: account,
      sessionContext: {
        sessionIssuer: { type: 'Role', arn: arn.replace(/:sts::(\d+):assumed-role\/([^/]+).*/, ':iam::$1:role/$2') },
      },
      ...(invokedBy !== undefined && { invokedBy }),
    },
    eventTime: `${new Date(at).toISOString().slice(0, 19)}Z`,
    eventSource: 'kms.amazonaws.com',
    eventName: name,
    awsRegion: 'eu-west-1',
    sourceIPAddress: '192.0.2.7',
    userAgent: 'aws-sdk-js/3.1162.0',
    ...(error !== undefined && { errorCode: error, errorMessage: `made for a test: ${error}` }),
    requestParameters:
      fields.parameters === undefined ? { keyId: key, encryptionAlgorithm: 'SYMMETRIC_DEFAULT' } : fields.parameters,
    responseElements: null,
    ...('request' in fields && fields.request === undefined
      ? {}
      : { requestID: fields.request ?? uuid(0xaaaa, number) }),
    eventID: fields.event ?? uuid(0xeeee, number),
    readOnly: /^(?:Encrypt|Decrypt|ReEncrypt|Sign|Verify|Generate|Describe|List|Get)/.test(name),
    resources: keys.map((ARN) => ({ accountId: account, type: 'AWS::KMS::Key', ARN })),
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: account,
    eventCategory: 'Management',
    ...more,
  }
}

export interface EntryFields extends Partial<AuditEntry> {
  readonly at?: number
  readonly request?: string | undefined
  readonly attempts?: number
  readonly key?: string
}

let entries = 0

/** An entry of a call to AWS KMS, the successful encryption by key 1 unless said otherwise. */
export function entryOf(fields: EntryFields = {}): AuditEntry {
  const { at = start, request, attempts, key = keyArn(1), ...rest } = fields
  const number = entries++
  const { salt } = exampleEntry(number)
  return exampleEntry(number, {
    eventID: `${(at + number / 1e6)
      .toString(16)
      .slice(0, 11)
      .padStart(12, '0')
      .replace(/^(.{8})(.{4})$/, '$1-$2')}-7000-8000-${number.toString(16).padStart(12, '0')}`,
    createdAt: new Date(at).toISOString(),
    resourceIdentity: key,
    keySlug: 'orders',
    provider: {
      name: 'aws-kms',
      ...(request !== undefined && { requestId: request }),
      ...(attempts !== undefined && { attempts }),
    },
    durationMs: 20,
    salt,
    ...rest,
  })
}

/** What a trail says of itself, at the beginning and at the end of what it covers. */
export function ownEntry(at: number): AuditEntry {
  return entryOf({ at, action: 'audit.heartbeat', resourceType: 'audit_log', provider: undefined as never })
}

export async function* each<T>(items: Iterable<T>): AsyncGenerator<T, void, undefined> {
  yield* items
}
