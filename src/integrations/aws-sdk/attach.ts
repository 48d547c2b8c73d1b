/** `auditAwsKms`: lays the audit around a KMS client of the AWS SDK that the application has already. */
import type { Audit, AuditOptions } from '../../audit/audit.ts'
import { createAudit } from '../../audit/emitter.ts'
import { recover } from '../../audit/recovery.ts'
import type { ContextCarrier } from '../../client.ts'
import { KmsError } from '../../model/errors.ts'
import type { Scope } from '../../model/key.ts'
import { countAttempts, type Marks } from './attempts.ts'
import { providerName } from './record.ts'
import { type AwsKmsClient, fieldOf } from './sdk.ts'
import { type Attachment, auditCommands } from './send.ts'

export interface AuditAwsKmsOptions {
  /** Where entries go: options, or an audit made by `createAudit` to share it. Whoever shares an audit closes it. */
  readonly audit: Audit | AuditOptions
  /** Asked at each call who asks, and why: such as an `AsyncLocalStorage`. The SDK's calls have no other place for it. */
  readonly context?: ContextCarrier
  /** In every entry; by default the region of the client. */
  readonly region?: string
  /** In every entry. */
  readonly project?: string
  /**
   * How long a call waits for its intent, and again for its result, to be accepted, ms; 10,000 by default. Requests
   * have the SDK's own timeouts and `abortSignal`, which is heard once a call's request is on its way.
   */
  readonly deadlineMs?: number
}

/** What `auditAwsKms` returns: only needed to close, to detach, and to name entries. */
export interface AwsKmsAudit {
  readonly audit: Audit
  /** Resolves when the intents that a crash left open are closed; rejects with `AUDIT_REFUSED`. Begun at once; calls wait for it. */
  ready(): Promise<void>
  /** The `eventID` of the entry of an answer, or of an error that the SDK threw; undefined for what is neither. */
  eventIDOf(answer: unknown): string | undefined
  /** Takes the audit off the client: its calls leave no entries from here on, save those in flight. Idempotent. */
  detach(): void
  /**
   * Refuses further calls of the client (`CLOSED`, unless detached: no entry, no result), lets those in flight settle, and
   * closes the audit if it was given as options, else flushes it. Idempotent.
   */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Audits every command that `client` sends from here on, however it is sent: `send`, callbacks, the methods of the aggregated
 * `KMS`, paginators. Not one call changes: answers and errors are the SDK's own objects.
 *
 * - No result leaves before every required sink has accepted its entry. Commands that change something, and all that this
 *   version does not know, write an intent first, and the request is sent once that is accepted.
 * - A call rejects with a `KmsError` only for the audit's sake: `AUDIT_REFUSED` (nothing was released), `OUTCOME_UNAUDITED` (a
 *   change was made, and its entry waits), `INVALID_INPUT` (the audit requires context that nobody gave), `CLOSED`.
 * - No request is made that the application does not make.
 *
 * It wraps the SDK's retries: a call is one entry with its `attempts`. What the application's own middleware does to a command
 * before it is serialised is in the entry; calls that such middleware answers itself never reach KMS, and leave none. A sink
 * that needs KMS itself, for its signatures say, and a `KmsClient` over `awsKms` take a client of their own.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option, a client of another service, or one that has an audit already.
 * @example
 * ```ts
 * const kms = new KMSClient({ region: 'eu-central-1' })
 * auditAwsKms(kms, { audit: { required: [trail] } })
 *
 * await kms.send(new DecryptCommand({ CiphertextBlob })) // as before; its entry is in the trail before it resolves
 * ```
 */
export function auditAwsKms(client: AwsKmsClient, options: AuditAwsKmsOptions): AwsKmsAudit {
  checkClient(client)
  const { deadlineMs = 10_000 } = checked(options)
  const { middlewareStack: stack } = client
  const marks: Marks = { lost: false }
  // Innermost, below the retries. Laid first: a client that has an audit already is refused before one is made.
  lay(() => stack.add(countAttempts(marks), { name: attemptsName, step: 'deserialize', priority: 'low' }))
  const ownsAudit = !('emit' in options.audit)
  const audit = auditOf(options.audit, () => stack.remove(attemptsName))
  let recovery: Promise<void> | undefined
  let closing: Promise<void> | undefined
  const attachment: Attachment = {
    audit,
    carrier: options.context,
    deadlineMs,
    scope: scopeOf(client, options),
    recovered,
    eventIDs: new WeakMap(),
    marks,
    inFlight: 0,
    closing: false,
    detached: false,
    whenIdle: undefined,
  }
  // Last before the input is serialised: what other middleware made of it is what is sent, and recorded.
  lay(() => stack.add(auditCommands(attachment), { name: commandsName, step: 'serialize', priority: 'high' }))
  forgetHandlers(client)
  // A failure is told to the calls that wait for it.
  recovered().catch(nothing)

  return {
    audit,
    ready: recovered,
    eventIDOf: (answer) =>
      typeof answer === 'object' && answer !== null ? attachment.eventIDs.get(answer) : undefined,
    detach() {
      if (attachment.detached) return
      attachment.detached = true
      stack.remove(commandsName)
      stack.remove(attemptsName)
    },
    close,
    [Symbol.asyncDispose]: close,
  }

  function recovered(): Promise<void> {
    recovery ??= recover({
      audit,
      provider: { name: providerName, operations: {} },
      deadlineMs,
      rebind: undefined,
    }).catch((error: unknown) => {
      // The next call tries again.
      recovery = undefined
      throw error
    })
    return recovery
  }

  function close(): Promise<void> {
    closing ??= settle()
    return closing
  }

  async function settle(): Promise<void> {
    attachment.closing = true
    await recovery?.catch(nothing)
    if (attachment.inFlight > 0)
      await new Promise<void>((resolve) => {
        attachment.whenIdle = resolve
      })
    return ownsAudit ? audit.close() : audit.flush()
  }
}

/** In the stack, as its `identify()` lists them. */
const commandsName = 'keytrailAudit'
const attemptsName = 'keytrailAttempts'

function auditOf(audit: Audit | AuditOptions, undo: () => void): Audit {
  if ('emit' in audit) return audit
  try {
    return createAudit(audit)
  } catch (error) {
    undo()
    throw error
  }
}

/** The stack itself refuses a second of the same name. */
function lay(add: () => void): void {
  try {
    add()
  } catch (cause) {
    throw new KmsError('INVALID_INPUT', 'this KMS client has an audit already: detach it first', { cause })
  }
}

/** With `cacheMiddleware` the SDK keeps the stack as it was at a command's first call: those would go past the audit. */
function forgetHandlers(client: AwsKmsClient): void {
  if ('handlers' in client) Reflect.set(client, 'handlers', undefined)
}

function scopeOf(client: AwsKmsClient, { region, project }: AuditAwsKmsOptions): () => Promise<Scope> {
  let known: Scope | undefined = region === undefined ? undefined : scopeWith(region)
  return async () => {
    if (known !== undefined) return known
    const found = await regionOf(client)
    // One that is not known yet is asked for again: the call that needs it fails by itself.
    if (found !== undefined) known = scopeWith(found)
    return known ?? scopeWith(undefined)
  }

  function scopeWith(place: string | undefined): Scope {
    return Object.freeze({
      ...(place !== undefined && { region: place }),
      ...(project !== undefined && { project }),
    })
  }
}

/** The SDK's region is a string or what gives one. */
async function regionOf({ config }: AwsKmsClient): Promise<string | undefined> {
  try {
    const region = fieldOf(config, 'region')
    const found: unknown = typeof region === 'function' ? await region() : region
    return typeof found === 'string' && namePattern.test(found) ? found : undefined
  } catch {
    // No region is configured: the SDK will say so to the caller.
    return undefined
  }
}

function checkClient(client: AwsKmsClient): void {
  const stack = fieldOf(client, 'middlewareStack')
  if (typeof fieldOf(stack, 'add') !== 'function' || typeof fieldOf(stack, 'remove') !== 'function')
    refuse('auditAwsKms takes a KMSClient or KMS of @aws-sdk/client-kms')
  const service = fieldOf(client.config, 'serviceId')
  if (service !== undefined && service !== 'KMS')
    refuse('auditAwsKms takes a client of KMS, and this is of another service')
}

function checked(options: AuditAwsKmsOptions): AuditAwsKmsOptions {
  if (typeof options !== 'object' || options === null) refuse('auditAwsKms takes options: { audit }')
  const { audit, context, region, project, deadlineMs = 1 } = options
  if (typeof audit !== 'object' || audit === null)
    refuse("'audit' must be options such as { required: [trail] }, or what createAudit returned")
  if (context !== undefined && typeof context?.current !== 'function')
    refuse("'context' must have a function current()")
  for (const [name, text] of Object.entries({ region, project })) {
    if (text !== undefined && (typeof text !== 'string' || !namePattern.test(text)))
      refuse(`'${name}' must be 1–128 letters, digits or . : / _ -`)
  }
  if (!Number.isFinite(deadlineMs) || deadlineMs <= 0) refuse("'deadlineMs' must be a positive number of milliseconds")
  return options
}

/** As a `KmsClient` takes them. */
const namePattern = /^[\w.:/-]{1,128}$/

function nothing(): void {}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
