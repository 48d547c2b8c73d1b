/**
 * One command on its way through the SDK's stack: as the audit middleware of a client does it, intent, act, result, and
 * the answer released once its entry is accepted. It stands apart from that one because here the input is not ours to
 * judge, the answer and the error are the SDK's own objects, and the request's deadline is the SDK's.
 */
import { accepted } from '../../audit/accept.ts'
import type { Audit } from '../../audit/audit.ts'
import { prepareContext } from '../../audit/context.ts'
import type { Draft } from '../../audit/draft.ts'
import { missingContext } from '../../audit/required.ts'
import type { ContextCarrier } from '../../client.ts'
import { asKmsError } from '../../model/dispatch.ts'
import { KmsError } from '../../model/errors.ts'
import type { Scope } from '../../model/key.ts'
import { type Attempts, type Marks, marked, noAttempts } from './attempts.ts'
import { type Command, commandOf } from './commands.ts'
import { recordSdkIntent, recordSdkResult, type SdkAnswer, type SentCall } from './record.ts'
import { readRequest } from './request.ts'
import { countOf, fieldOf, type SdkArguments, type SdkHandler, type SdkMiddleware, type SdkResult } from './sdk.ts'

/** What the commands of one client share. */
export interface Attachment {
  readonly marks: Marks
  readonly audit: Audit
  readonly carrier: ContextCarrier | undefined
  readonly deadlineMs: number
  readonly scope: () => Promise<Scope>
  /** Resolves when the intents that a crash left open are closed. */
  readonly recovered: () => Promise<void>
  /** By the object that the application gets: its entry. */
  readonly eventIDs: WeakMap<object, string>
  inFlight: number
  closing: boolean
  detached: boolean
  whenIdle: (() => void) | undefined
}

interface Call extends SentCall {
  /** Monotonic clock. */
  readonly begunAt: number
  /** Why it may not go on. */
  readonly refusal: KmsError | undefined
  scope: Scope
  operationID: string | undefined
  sdkMs: number | undefined
}

/** With the SDK's own answer, to be handed on as it is. */
type Settled = Exclude<SdkAnswer, { readonly output: object }> | { readonly output: object; readonly result: SdkResult }

export function auditCommands(attachment: Attachment): SdkMiddleware {
  const { audit, deadlineMs } = attachment
  const { clock, fields } = audit

  return (next, context) => {
    const command = commandOf(context.commandName)
    return async (args) => {
      if (attachment.detached) return next(args)
      attachment.inFlight += 1
      try {
        return await send(command, next, args)
      } finally {
        attachment.inFlight -= 1
        if (attachment.inFlight === 0) attachment.whenIdle?.()
      }
    }
  }

  async function send(command: Command, next: SdkHandler, args: SdkArguments): Promise<SdkResult> {
    const call = begin(command, args)
    const failed = await attachment.recovered().then(nothing, asKmsError)
    if (failed !== undefined) throw told(call, audit.countRefused(failed))
    call.scope = await attachment.scope()
    // Last: from here to the first entry nothing waits.
    admit(call)
    if (call.refusal !== undefined) return finish(call, { refusal: call.refusal })
    if (command.kind === 'change') await intend(call)
    return finish(call, await act(call, next, args))
  }

  /** All is read now, before anything waits: what the application does to its input afterwards changes nothing. */
  function begin(command: Command, args: SdkArguments): Call {
    return {
      command,
      begunAt: clock.monotonic(),
      request: readRequest(command, args.input),
      ...contextOf(command),
      scope: {},
      attempts: noAttempts(),
      operationID: undefined,
      sdkMs: undefined,
    }
  }

  /** Refuses, without an entry, what could have none. */
  function admit(call: Call): void {
    const barred = attachment.closing
      ? audit.countRefused(new KmsError('CLOSED', 'the audit of this KMS client is closed'))
      : audit.admit()
    if (barred !== undefined) throw told(call, barred)
  }

  /** Who asks; or why the call may not go on without saying so. */
  function contextOf({ action }: Command): Pick<Call, 'prepared' | 'refusal'> {
    try {
      const prepared = prepareContext(fields, attachment.carrier?.current() ?? {})
      return { prepared, refusal: missingContext(audit, action, prepared) }
    } catch (error) {
      const refusal =
        error instanceof KmsError
          ? error
          : new KmsError('INVALID_INPUT', 'the context could not be read', { cause: error })
      return { prepared: prepareContext(fields, {}), refusal }
    }
  }

  /** Writes the intent of a change. Nothing is sent unless it is accepted. */
  async function intend(call: Call): Promise<void> {
    call.operationID = audit.reserveEventID()
    const accepted = await audit.emit(recordSdkIntent(call, fields), clock.monotonic() + deadlineMs)
    if (!(accepted instanceof KmsError)) return
    // The refused intent stays queued and must not be found open: its result, a failure, queues behind it.
    const draft = recordOf(call, { refusal: accepted })
    audit.note(draft)
    throw told(call, accepted, draft.eventID)
  }

  async function act(call: Call, next: SdkHandler, args: SdkArguments): Promise<Settled> {
    const sentAt = clock.monotonic()
    try {
      const result = await next(marked(args, call.request.input, call.attempts))
      return { output: result.output, result }
    } catch (thrown) {
      return { thrown, mayBeDone: call.command.kind === 'change' && mayBeDone(call.attempts, thrown) }
    } finally {
      if (attachment.marks.lost) call.attempts.sent = undefined
      call.sdkMs = clock.monotonic() - sentAt
    }
  }

  /** Whether a change may have been made although the SDK failed. */
  function mayBeDone(attempts: Attempts, thrown: unknown): boolean {
    if (!attachment.marks.lost) return attempts.done || attempts.doubtful > 0
    // Nobody has counted. A first request that was refused is a refusal.
    const metadata = fieldOf(thrown, '$metadata')
    const status = countOf(metadata, 'httpStatusCode') ?? 0
    return status < 400 || status >= 500 || (countOf(metadata, 'attempts') ?? 2) > 1
  }

  /** Records the answer, and releases it, or rethrows what the SDK threw, once its entry is accepted. */
  async function finish(call: Call, answer: Settled): Promise<SdkResult> {
    const draft = recordOf(call, answer)
    // The result of an intent always has an entry of its own.
    const isJoinable = draft.outcome === 'failure' && call.operationID === undefined
    const eventID = (isJoinable ? audit.join(draft) : undefined) ?? (await released(call, answer, draft))
    if ('refusal' in answer) throw told(call, answer.refusal, eventID)
    if ('thrown' in answer) {
      remember(answer.thrown, eventID)
      throw answer.thrown
    }
    remember(answer.output, eventID)
    return answer.result
  }

  /** The entry's id once every required sink has it; else nothing is released. */
  async function released(call: Call, answer: SdkAnswer, draft: Draft): Promise<string> {
    try {
      return await accepted(audit, draft, clock.monotonic() + deadlineMs)
    } catch (error) {
      if ('output' in answer) discard(answer.output)
      throw told(call, asKmsError(error), draft.eventID)
    }
  }

  function recordOf(call: Call, answer: SdkAnswer): Draft {
    return recordSdkResult(call, answer, { durationMs: clock.monotonic() - call.begunAt, sdkMs: call.sdkMs }, fields)
  }

  function remember(answer: unknown, eventID: string): void {
    if (typeof answer === 'object' && answer !== null) attachment.eventIDs.set(answer, eventID)
  }
}

function nothing(): undefined {
  return undefined
}

/** The error as the application hears it. */
function told({ command, request: { key } }: Call, error: KmsError, eventID?: string): KmsError {
  return new KmsError(error.code, error.message, {
    operation: command.name.charAt(0).toLowerCase() + command.name.slice(1),
    ...(key !== undefined && { key }),
    ...(eventID !== undefined && { eventID }),
    ...(error.cause !== undefined && { cause: error.cause }),
  })
}

/** Zeroes what nobody will get: plaintext, keys, and whatever else of the answer is bytes. */
function discard(output: unknown): void {
  // Middleware of the application may have answered with nothing.
  if (typeof output !== 'object' || output === null) return
  for (const value of Object.values(output)) if (value instanceof Uint8Array) value.fill(0)
}
