/**
 * One call on its way, as a client's own calls go: what is refused is recorded too, a change writes its intent first, and no
 * result leaves before its entry is accepted. The `eventID` of the result is reserved at the start, so that the entry of the KMS
 * call, which comes first, can name it; of a change it is the `operationID` as well, so that it is found even if a crash leaves
 * the result to recovery, which names its entry anew.
 */
import { accepted } from '../../audit/accept.ts'
import { type PreparedContext, prepareContext } from '../../audit/context.ts'
import { missingContext } from '../../audit/required.ts'
import { type CallOptions, type Inside, insideOf, type KmsClient } from '../../client.ts'
import { asKmsError } from '../../model/dispatch.ts'
import type { AuditEntry } from '../../model/entry.ts'
import { evidenceOf, KmsError } from '../../model/errors.ts'
import type { Signal } from '../../model/host.ts'
import type { Recorded } from './manager.ts'
import { askedPath } from './path.ts'
import {
  type RecordedSecretCall,
  recordSecretIntent,
  recordSecretResult,
  type SecretAction,
  serviceName,
} from './record.ts'
import type { Turns } from './turns.ts'

export interface SecretCall extends RecordedSecretCall {
  /** Who asks, bound to the client. */
  readonly kms: KmsClient
  readonly inside: Inside
  readonly options: CallOptions
  /** Monotonic clock. */
  readonly begunAt: number
  readonly expiresAt: number
  /** Of a change, once it is written. */
  intent?: AuditEntry
  /** The caller has been told already: its deadline passed, or it gave up. */
  over?: KmsError
}

/** What the calls of one Secrets Manager and its `with()` children share. */
export interface Calls {
  /** For calls whose own context cannot be read. */
  readonly fallback: Inside
  readonly storeName: string
  /** Changes of one path, one at a time. */
  readonly turn: Turns
  /** Resolves when the intents that a crash left open are closed. */
  readonly recovered: () => Promise<void>
  /** Keeps the intent of a change that its store could not tell about, for the opening that can. */
  readonly leaveOpen: (intent: AuditEntry) => void
  inFlight: number
  /** Work that goes on although its caller has been told: the store or the KMS has not answered yet. */
  abandoned: number
  closing: boolean
  whenIdle: (() => void) | undefined
}

/** One operation: its input is checked at once, before anything waits; then it is done. */
export interface SecretOperation<I, T> {
  readonly action: SecretAction
  readonly check: (raw: Fields, inside: Inside) => I
  readonly run: (call: SecretCall, input: I) => Promise<T>
  /** Wipes the secret in an input that was used, or will not be. */
  readonly forget?: (input: I) => void
}

export type Fields = Readonly<Record<string, unknown>>

const maxInFlight = 10_000

/** Resolves to what the operation answers, with the `eventID` of the entry; rejects with `KmsError` only. */
export async function readSecret<I, T>(
  calls: Calls,
  operation: SecretOperation<I, T>,
  asked: Asked,
): Promise<T & Recorded> {
  return counted(calls, { operation, asked }, async (call, input) => {
    const { audit } = call.inside
    const work = settledOf(operation.run(call, input))
    const answer = await inTime(call, work)
    if (call.over !== undefined) {
      abandon(calls, work)
      // What comes now comes too late for anyone.
      audit.note(resultOf(call, call.over))
      throw told(call, call.over, call.eventID)
    }
    if (answer instanceof KmsError) return refuse(call, answer)
    return release(call, { answer, entry: accepted(audit, resultOf(call, undefined), call.expiresAt) })
  })
}

/** The same of a change: others of the same path wait until its result is on its way to the sinks. */
export async function changeSecret<I extends { readonly path: string }, T>(
  calls: Calls,
  operation: SecretOperation<I, T>,
  asked: Asked,
): Promise<T & Recorded> {
  return counted(calls, { operation, asked }, async (call, input) => {
    let waiting: I | undefined = input
    const ending = calls.turn(input.path, async () => {
      const mine = waiting
      waiting = undefined
      // It gave up before its turn, and has its entry.
      if (mine === undefined) return call.over ?? unreadable(undefined)
      const answer = call.over ?? (await settledOf(operation.run(call, mine)))
      operation.forget?.(mine)
      return end(calls, call, answer)
    })
    const ended = await inTime(call, ending)
    if (call.over !== undefined) abandon(calls, ending)
    if (call.over !== undefined && waiting !== undefined) {
      // Whoever is before it may never end: what it was to keep must not wait for that.
      operation.forget?.(waiting)
      waiting = undefined
      throw told(call, call.over, noted(call, call.over))
    }
    // Never an early failure: the entry tells what was done, when it is done.
    if (call.over !== undefined) throw told(call, call.over)
    if (ended instanceof KmsError) throw told(call, ended)
    const { answer, entry } = ended
    if (!(answer instanceof KmsError)) return release(call, { answer, entry })
    const eventID = await entry.catch((error) => {
      throw told(call, asKmsError(error), call.eventID)
    })
    throw told(call, answer, eventID)
  })
}

/** Writes the intent of a change. Nothing is touched unless it is accepted. */
export async function intend(call: SecretCall): Promise<void> {
  const { audit } = call.inside
  if (call.over !== undefined) throw call.over
  call.operationID = call.eventID
  call.intent = recordSecretIntent(call)
  const acceptance = await audit.emit(call.intent, call.expiresAt)
  // The refused intent stays queued and must not be found open: its result, a failure, queues behind it.
  if (acceptance instanceof KmsError) call.over ??= acceptance
  if (call.over !== undefined) throw call.over
}

export interface Asked {
  readonly kms: KmsClient
  readonly raw: unknown
  readonly options: CallOptions | undefined
}

/** A result's answer, and its entry on the way. */
interface Ended<T> {
  readonly answer: T
  readonly entry: Promise<string>
}

interface Wanted<I, T> {
  readonly operation: SecretOperation<I, T>
  readonly asked: Asked
}

/** Lets a call go on that may, and counts it for as long as it waits. */
async function counted<I, T>(
  calls: Calls,
  { operation, asked }: Wanted<I, T>,
  go: (call: SecretCall, input: I) => Promise<T & Recorded>,
): Promise<T & Recorded> {
  const { call, input, refusal } = begin(calls, operation, asked)
  const { audit } = call.inside
  let unused = input
  calls.inFlight += 1
  try {
    const barred = barredOf(calls)
    if (barred !== undefined) throw told(call, audit.countRefused(barred))
    const failed = await inTime(call, calls.recovered().then(nothing, asKmsError))
    if (call.over !== undefined) {
      audit.note(resultOf(call, call.over))
      throw told(call, call.over, call.eventID)
    }
    if (failed !== undefined) throw told(call, audit.countRefused(failed))
    const refused = audit.admit()
    if (refused !== undefined) throw told(call, refused)
    if (refusal !== undefined || input === undefined) return await refuse(call, refusal ?? unreadable(undefined))
    unused = undefined
    return await go(call, input)
  } finally {
    if (unused !== undefined) operation.forget?.(unused)
    calls.inFlight -= 1
    if (calls.inFlight === 0) calls.whenIdle?.()
  }
}

function barredOf({ closing, inFlight, abandoned }: Calls): KmsError | undefined {
  if (closing) return new KmsError('CLOSED', 'this Secrets Manager is closed')
  // What never comes back is held in memory all the same.
  if (inFlight + abandoned <= maxInFlight) return undefined
  return new KmsError('OVERLOADED', `${maxInFlight} calls are in flight: try again later`)
}

interface Begun<I> {
  readonly call: SecretCall
  readonly input: I | undefined
  readonly refusal: KmsError | undefined
}

/** All is read now: what the caller does to its input afterwards changes nothing. */
function begin<I, T>(calls: Calls, operation: SecretOperation<I, T>, { kms, raw, options }: Asked): Begun<I> {
  const { action } = operation
  let inside = calls.fallback
  let prepared = prepareContext(inside.audit.fields, {})
  let input: I | undefined
  let refusal: KmsError | undefined
  let callOptions: CallOptions = {}
  try {
    inside = insideOf(kms)
    prepared = inside.bound
    callOptions = checkOptions(options)
    prepared = preparedOf(inside, callOptions)
    input = operation.check(fieldsOf(action, raw), inside)
    refusal = missingContext(inside.audit, action, prepared)
    if (callOptions.signal?.aborted) refusal ??= new KmsError('ABORTED', 'the call was aborted before it began')
  } catch (error) {
    refusal = error instanceof KmsError ? error : unreadable(error)
  }
  const { audit, scope } = inside
  const begunAt = audit.clock.monotonic()
  const call: SecretCall = {
    action,
    // Read once, where it could be: the entry must not name another secret than the one that is used.
    path: askedIn(input ?? raw),
    prepared,
    scope,
    storeName: calls.storeName,
    eventID: audit.reserveEventID(),
    kms,
    inside,
    options: callOptions,
    begunAt,
    expiresAt: begunAt + (callOptions.deadlineMs ?? inside.deadlineMs),
  }
  return { call, input, refusal }
}

function preparedOf({ audit, bound }: Inside, { context }: CallOptions): PreparedContext {
  return context === undefined ? bound : prepareContext(audit.fields, bound.said, context)
}

function checkOptions(options: CallOptions | undefined): CallOptions {
  if (options === undefined) return {}
  const { context, signal, deadlineMs } = options
  if (deadlineMs !== undefined && (!Number.isFinite(deadlineMs) || deadlineMs <= 0))
    throw new KmsError('INVALID_INPUT', "'deadlineMs' must be a positive number of milliseconds")
  if (signal !== undefined) checkSignal(signal)
  return { ...(context && { context }), ...(signal && { signal }), ...(deadlineMs !== undefined && { deadlineMs }) }
}

/** One that fails must fail here, where the call still has its entry. */
function checkSignal(signal: Signal): void {
  if (typeof signal?.addEventListener !== 'function' || typeof signal.removeEventListener !== 'function')
    throw new KmsError('INVALID_INPUT', "'signal' must be an AbortSignal")
  signal.addEventListener('abort', nothing, { once: true })
  signal.removeEventListener('abort', nothing)
}

function fieldsOf(action: SecretAction, raw: unknown): Fields {
  if (typeof raw === 'object' && raw !== null) return raw as Fields
  throw new KmsError('INVALID_INPUT', `${action} takes one object`)
}

/** A caller's getter or proxy may throw; that refuses the call elsewhere. */
function askedIn(raw: unknown): string | undefined {
  try {
    const { path, prefix, folder } = raw as Fields
    return askedPath(path ?? prefix ?? folder)
  } catch {
    return undefined
  }
}

function unreadable(cause: unknown): KmsError {
  return new KmsError('INVALID_INPUT', 'the input or the context could not be read', { cause })
}

function resultOf(call: SecretCall, error: KmsError | undefined) {
  return recordSecretResult(call, error, call.inside.audit.clock.monotonic() - call.begunAt)
}

/** The entry of a refusal, and then the refusal. */
async function refuse(call: SecretCall, error: KmsError): Promise<never> {
  const { audit } = call.inside
  const draft = resultOf(call, error)
  // Where the KMS was asked, its entry names this one.
  const joined = call.kmsEventID === undefined ? audit.join(draft) : undefined
  if (joined !== undefined) throw told(call, error, joined)
  await accepted(audit, draft, call.expiresAt).catch((withheld) => {
    throw told(call, asKmsError(withheld), call.eventID)
  })
  throw told(call, error, call.eventID)
}

/** The end of a change, within its turn: its entry stands in the queue before the next change's intent does. */
function end<T>(calls: Calls, call: SecretCall, answer: T | KmsError): Ended<T | KmsError> | KmsError {
  const { audit } = call.inside
  if (call.intent !== undefined && answer instanceof KmsError && evidenceOf(answer).unsettled === true) {
    calls.leaveOpen(call.intent)
    return unsettled(answer)
  }
  const draft = resultOf(call, answer instanceof KmsError ? answer : undefined)
  const joined = answer instanceof KmsError && call.operationID === undefined ? audit.join(draft) : undefined
  if (call.over !== undefined) {
    if (joined === undefined) audit.note(draft)
    return call.over
  }
  const entry = joined === undefined ? accepted(audit, draft, call.expiresAt) : Promise.resolve(joined)
  // Whoever waits hears of it; and if nobody does any more, nobody needs to.
  entry.catch(nothing)
  return { answer, entry }
}

/** A failure would be a guess: the intent stays open, and the next start writes the result that the store then knows. */
function unsettled(cause: KmsError): KmsError {
  const message = 'the change may or may not have been made: open the store again and look; its result is recorded then'
  return new KmsError('OUTCOME_UNAUDITED', message, { cause })
}

/** The answer, once its entry is accepted; else nothing of it. */
async function release<T>(call: SecretCall, { answer, entry }: Ended<T>): Promise<T & Recorded> {
  try {
    const eventID = await entry
    return { ...answer, eventID }
  } catch (error) {
    throw told(call, asKmsError(error), call.eventID)
  }
}

/** The entry of a call that is over and has touched nothing. */
function noted(call: SecretCall, over: KmsError): string {
  const { audit } = call.inside
  const draft = resultOf(call, over)
  const joined = audit.join(draft)
  if (joined !== undefined) return joined
  audit.note(draft)
  return call.eventID
}

function abandon(calls: Calls, work: Promise<unknown>): void {
  const done = () => {
    calls.abandoned -= 1
  }
  calls.abandoned += 1
  work.then(done, done)
}

function settledOf<T>(work: Promise<T>): Promise<T | KmsError> {
  return work.catch(asKmsError)
}

/** `work`; or, at the deadline or when the caller aborts, `call.over`. */
function inTime<T>(call: SecretCall, work: Promise<T>): Promise<T | KmsError> {
  const { deadlines, clock } = call.inside.audit
  const { signal } = call.options
  return new Promise((resolve) => {
    const cancel = deadlines.after(call.expiresAt - clock.monotonic(), () =>
      giveUp(new KmsError('DEADLINE_EXCEEDED', `no answer within ${call.expiresAt - call.begunAt} ms`)),
    )
    signal?.addEventListener('abort', abort, { once: true })
    work.then(stop, (error: unknown) => stop(asKmsError(error)))

    function abort() {
      giveUp(new KmsError('ABORTED', 'the caller aborted the call'))
    }
    function giveUp(over: KmsError) {
      call.over ??= over
      stop(call.over)
    }
    function stop(settled: T | KmsError) {
      cancel()
      signal?.removeEventListener('abort', abort)
      resolve(settled)
    }
  })
}

/** How a KMS call on the caller's behalf is made: as the caller, for this entry, within what is left of the time. */
export function onBehalf(call: SecretCall): { readonly kms: KmsClient; readonly options: CallOptions } {
  const { audit, bound } = call.inside
  const { context, signal } = call.options
  const resource = call.path
  const origin = { service: serviceName, eventID: call.eventID, ...(resource !== undefined && { resource }) }
  const left = call.expiresAt - audit.clock.monotonic()
  return {
    // What is carried was read once, when the call began.
    kms: call.kms.with(bound.said),
    options: { context: { ...context, origin }, deadlineMs: Math.max(1, left), ...(signal && { signal }) },
  }
}

/** The error as the caller hears it. */
function told({ action }: SecretCall, error: KmsError, eventID?: string): KmsError {
  return new KmsError(error.code, error.message, {
    operation: action,
    ...(eventID !== undefined && { eventID }),
    ...(error.cause !== undefined && { cause: error.cause }),
  })
}

function nothing(): undefined {
  return undefined
}
