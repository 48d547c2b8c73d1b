/**
 * One record of CloudTrail, looked at once. The fields are those that AWS documents under "CloudTrail record contents" and in the
 * examples of KMS log entries: eventSource, eventName, eventTime (whole seconds), eventID, eventType, requestID, errorCode,
 * requestParameters.keyId · destinationKeyId · targetKeyId, responseElements.keyId, resources[].ARN (of ReEncrypt the source first, then
 * the destination), userIdentity.arn · invokedBy · sessionContext.sessionIssuer.arn, sourceIPAddress, userAgent, sharedEventID.
 */
import { KmsError } from '../../model/errors.ts'
import { capText } from '../../model/text.ts'
import { type NamedKey, namedKey } from './key-names.ts'

/** An event of AWS KMS. */
export interface TheirEvent {
  readonly eventID: string
  readonly eventName: string
  /** ms since the epoch. */
  readonly at: number
  readonly requestId: string | undefined
  readonly errorCode: string | undefined
  /** Every key that it names, the one it is of first. */
  readonly keys: readonly NamedKey[]
  /** As CloudTrail names the first of them. */
  readonly key: string | undefined
  /** Who: an ARN if there is one. */
  readonly principal: string | undefined
  /** The role behind a session, else the principal. */
  readonly role: string | undefined
  /** The AWS service that called on someone's behalf. */
  readonly service: string | undefined
  /** No call of anyone's: AWS KMS did it, such as an automatic rotation. */
  readonly isOwn: boolean
  readonly sourceIPAddress: string | undefined
  readonly userAgent: string | undefined
}

/** Whether AWS did what was asked. A signature or MAC that is not valid is an answer, though AWS tells it as an error. */
export function isDone({ errorCode }: TheirEvent): boolean {
  return errorCode === undefined || /^KMSInvalid(?:Signature|Mac)Exception$/.test(errorCode)
}

/** The event that `record` tells; undefined if it is of another service. Errors: `INVALID_INPUT` for what is no record. */
export function readRecord(record: unknown, where: () => string): TheirEvent | undefined {
  const fields = eventIn(record, where)
  const source = textOf(fields, 'eventSource')
  if (source === undefined) throw unreadable(where, "it has no 'eventSource'")
  if (source !== 'kms.amazonaws.com') return undefined
  const eventID = textOf(fields, 'eventID') ?? missing(where, 'eventID')
  const eventName = textOf(fields, 'eventName') ?? missing(where, 'eventName')
  const at = momentOf(textOf(fields, 'eventTime')) ?? missing(where, 'eventTime')
  const names = keyNames(fields)
  const identity = objectOf(fields['userIdentity'])
  const issuer = objectOf(objectOf(identity?.['sessionContext'])?.['sessionIssuer'])
  const principal = textOf(identity, 'arn') ?? textOf(identity, 'principalId') ?? textOf(identity, 'accountId')
  const isOwn = textOf(fields, 'eventType') === 'AwsServiceEvent'
  return {
    eventID,
    eventName,
    at,
    requestId: textOf(fields, 'requestID'),
    errorCode: textOf(fields, 'errorCode'),
    keys: names.map(namedKey),
    key: names[0],
    principal,
    role: textOf(issuer, 'arn') ?? principal,
    service: isOwn ? undefined : textOf(identity, 'invokedBy'),
    isOwn,
    sourceIPAddress: textOf(fields, 'sourceIPAddress'),
    userAgent: textOf(fields, 'userAgent'),
  }
}

/** `lookup-events` gives the event as the text of its JSON, in `CloudTrailEvent`. */
function eventIn(record: unknown, where: () => string): Fields {
  const nested = objectOf(record)?.['CloudTrailEvent']
  const fields = objectOf(typeof nested === 'string' ? parsed(nested, where) : record)
  if (fields === undefined) throw unreadable(where, 'it is no object')
  return fields
}

/** As far as it is told: failed requests often leave all of it out. */
function keyNames(fields: Fields): readonly string[] {
  const names: string[] = []
  const add = (name: string | undefined) => {
    if (name !== undefined && !names.includes(name)) names.push(name)
  }
  const resources = fields['resources']
  const arns = (Array.isArray(resources) ? resources : []).map((resource) => textOf(objectOf(resource), 'ARN'))
  // Of an alias' change both are told; the key is what it is about.
  for (const arn of arns) if (arn?.includes(':key/')) add(arn)
  const [parameters, answer] = [objectOf(fields['requestParameters']), objectOf(fields['responseElements'])]
  const details = objectOf(fields['serviceEventDetails'])
  for (const name of ['sourceKeyId', 'keyId', 'targetKeyId', 'destinationKeyId'] as const) add(textOf(parameters, name))
  add(textOf(answer, 'keyId') ?? textOf(objectOf(answer?.['keyMetadata']), 'arn'))
  add(textOf(details, 'keyId'))
  for (const arn of arns) add(arn)
  return names
}

type Fields = Readonly<Record<string, unknown>>

function objectOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined // seen just here
}

/** Longer than any name that AWS gives: what is longer is cut, for it ends up in a report. */
const longest = 512

function textOf(fields: Fields | undefined, name: string): string | undefined {
  const value = fields?.[name]
  return typeof value === 'string' && value !== '' ? capText(value, longest) : undefined
}

function momentOf(text: string | undefined): number | undefined {
  const at = text !== undefined && /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : at
}

function parsed(text: string, where: () => string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message would quote the record.
    throw unreadable(where, 'it is no JSON')
  }
}

function missing(where: () => string, field: string): never {
  throw unreadable(where, `it has no '${field}' that could be read`)
}

function unreadable(where: () => string, why: string): KmsError {
  return new KmsError('INVALID_INPUT', `${where()} is no record of CloudTrail: ${why}`)
}
