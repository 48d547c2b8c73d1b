/**
 * The audit middleware, outermost: what is refused below it is recorded too. It checks the input, resolves the key,
 * writes the intent of a change, lets the call go on, records the answer, and releases it only once the entry is
 * accepted. Where nothing it calls is asynchronous, nothing waits and no promise is made.
 */
import type { RequestContext } from '../model/context.ts'
import { asKmsError } from '../model/dispatch.ts'
import { evidenceOf, KmsError } from '../model/errors.ts'
import type { Signal } from '../model/host.ts'
import { checkInput, salvageInput } from '../model/input.ts'
import type { ResolvedKey, Scope } from '../model/key.ts'
import { type Limits, type Operation, type OperationRow, type Output, operations } from '../model/operation.ts'
import { isPromise } from '../model/promise.ts'
import type { KmsProvider } from '../model/provider.ts'
import type { Receipt } from '../model/sink.ts'
import type { Audit } from './audit.ts'
import type { Acceptance } from './channel.ts'
import { type PreparedContext, prepareContext } from './context.ts'
import type { Draft } from './draft.ts'
import { type Answer, recordAmendment, recordIntent, recordResult } from './record.ts'
import { missingContext } from './required.ts'
import { withheld } from './withheld.ts'

export interface CallRequest {
  readonly operation: Operation
  /** What the caller gave, unchecked. */
  readonly raw: unknown
  readonly bound: PreparedContext
  /** What this call says of itself, beside what is bound. */
  readonly context: RequestContext | undefined
  readonly signal: Signal | undefined
  readonly deadlineMs: number
  /** What was wrong with it already. */
  readonly refusal?: KmsError
}

/** A call on its way. */
export interface AuditedCall {
  readonly operation: Operation
  readonly row: OperationRow
  readonly scope: Scope
  readonly providerName: string
  readonly request: CallRequest
  /** Monotonic clock. */
  readonly begunAt: number
  /** Checked and copied; nothing before. */
  input: Readonly<Record<string, unknown>>
  /** Whether the bytes of `input` are our own. */
  copied: boolean
  prepared: PreparedContext
  key: ResolvedKey | undefined
  /** Of operations on the keystore itself: its id. */
  keystore: string | undefined
  /** Set once there is an intent. */
  operationID: string | undefined
  /** Wall clock, for changes. */
  startedAt: number | undefined
  /** Where the intent stands in the trail. */
  anchor: Receipt | undefined
  /** The deadline passed or the caller aborted: the caller has been told. */
  over: KmsError | undefined
  /** Tells the provider to stop; set by who made the signal it listens to. */
  abort: (() => void) | undefined
}

export type Result = Output<Operation> & { readonly eventID: string }

export interface AuditedOptions {
  readonly audit: Audit
  readonly provider: KmsProvider
  readonly scope: Scope
  readonly limits: Limits
  /** Whether `next` is done with its input when it returns: then a call that waits for nothing need not copy it. */
  readonly borrows: boolean
  /** Undefined once the intents that a crash left open are closed; until then, what to wait for. Rejects with the refusal. */
  readonly recovery: () => Promise<void> | undefined
  /** Rejects if a change may not even begin. */
  readonly admitted: (call: AuditedCall) => Promise<void>
  /** What a call goes on to: the application's middleware, then the provider. */
  readonly next: (call: AuditedCall) => Output<Operation> | Promise<Output<Operation>>
}

const noInput = Object.freeze({})

/** Makes the function through which every call of a client goes. It throws or rejects only with `KmsError`. */
export function audited(options: AuditedOptions): (request: CallRequest) => Result | Promise<Result> {
  const { audit, provider, scope, limits, borrows, recovery, admitted, next } = options
  const { clock, deadlines, fields } = audit

  return (request) => {
    const call = begin(request)
    const barred = audit.admit()
    if (barred !== undefined) throw told(call, barred)
    const recovering = recovery()
    const refusal = check(call, borrows && recovering === undefined ? 'borrow' : 'copy')
    return recovering === undefined ? start(call, refusal) : startAfter(call, recovering, refusal)
  }

  /** The calls before recovery is done; refused without an entry, and counted, if a sink fails it. */
  async function startAfter(
    call: AuditedCall,
    recovering: Promise<void>,
    refusal: KmsError | undefined,
  ): Promise<Result> {
    const failed = await inTime(call, recovering.then(nothing, asKmsError))
    if (call.over !== undefined) {
      conclude(call, call.over)
      throw told(call, call.over)
    }
    if (failed !== undefined && failed.code !== 'ROLLED_BACK') throw told(call, audit.countRefused(failed))
    // Time has passed.
    const barred = audit.admit()
    if (barred !== undefined) throw told(call, barred)
    // Where keystore and trail do not fit, audit still works: each call is refused with its entry.
    return start(call, refusal ?? failed)
  }

  function start(call: AuditedCall, refusal: KmsError | undefined): Result | Promise<Result> {
    const { kind } = call.row
    if (refusal === undefined && (kind === 'change' || kind === 'lifecycle')) return change(call)
    return single(call, refusal)
  }

  function begin(request: CallRequest): AuditedCall {
    return {
      operation: request.operation,
      row: operations[request.operation],
      scope,
      providerName: provider.name,
      request,
      begunAt: clock.monotonic(),
      input: noInput,
      copied: false,
      prepared: request.bound,
      key: undefined,
      keystore: undefined,
      operationID: undefined,
      startedAt: undefined,
      anchor: undefined,
      over: undefined,
      abort: undefined,
    }
  }

  /** Context, input, required context: why the call may not go on, or undefined. */
  function check(call: AuditedCall, bytes: 'copy' | 'borrow'): KmsError | undefined {
    const { operation, request } = call
    try {
      checkRequest(request)
      if (request.context !== undefined) call.prepared = prepareContext(fields, request.bound.said, request.context)
      // From here on fields are looked up by the names of the operation's row.
      // A change waits for its intent, and the caller may do as it likes with its bytes meanwhile.
      const mayBorrow = bytes === 'borrow' && (call.row.kind === 'crypto' || call.row.kind === 'read')
      call.input = checkInput(operation, request.raw, limits, mayBorrow ? 'borrow' : 'copy') as typeof call.input
      call.copied = !mayBorrow
      const missing = missingContext(audit, call.row.action, call.prepared)
      if (missing !== undefined) return missing
      if (request.signal?.aborted) return new KmsError('ABORTED', 'the call was aborted before it began')
    } catch (error) {
      if (call.input === noInput) call.input = salvageInput(operation, request.raw)
      if (error instanceof KmsError) return error
      return new KmsError('INVALID_INPUT', 'the input could not be read', { cause: error })
    }
    return undefined
  }

  /** A crypto call, a read, or a call refused at the door, whose key is looked up for its entry's sake. */
  function single(call: AuditedCall, refusal: KmsError | undefined): Result | Promise<Result> {
    const resolved = resolveKey(call)
    const answer = isPromise(resolved)
      ? resolved.then((notFound) => refusal ?? notFound ?? proceed(call))
      : (refusal ?? resolved ?? proceed(call))
    if (!isPromise(answer)) return finish(call, answer)
    return inTime(call, answer).then((settled) => {
      if (call.over === undefined) return finish(call, settled)
      // The answer comes too late for anyone: the entry says so, and nobody waits for it.
      answer.then((late) => discard(call.row, late))
      conclude(call, call.over)
      throw told(call, call.over)
    })
  }

  /** One change: its intent, accepted, before anything is touched; then its answer and its entry. */
  function change(call: AuditedCall): Promise<Result> {
    call.startedAt = clock.now()
    const answer = answerChange(call)
    return inTime(call, answer).then((settled) => {
      if (call.over === undefined) return finish(call, settled)
      // Never an early failure: the entry tells what the provider did, when it has done it.
      answer.then((late) => {
        conclude(call, late)
        discard(call.row, late)
      })
      throw told(call, call.over)
    })
  }

  async function answerChange(call: AuditedCall): Promise<Answer> {
    const refusal = (await resolveKey(call)) ?? (await admitted(call).then(nothing, asKmsError))
    if (refusal !== undefined) return refusal
    call.operationID = audit.reserveEventID()
    const accepted = await audit.emit(recordIntent(call, fields), expiryOf(call))
    // The refused intent stays queued and must not be found open: its result, a failure, queues behind it.
    if (accepted instanceof KmsError) call.over ??= accepted
    else call.anchor = accepted
    return call.over ?? proceed(call)
  }

  /** Finds the call's key; answers with the refusal, if any. */
  function resolveKey(call: AuditedCall): KmsError | undefined | Promise<KmsError | undefined> {
    if (call.row.resourceType === 'kms_keystore') return resolveKeystore(call)
    const name = call.input['key']
    if (typeof name !== 'string' || provider.resolve === undefined) return undefined
    try {
      const key = provider.resolve(name, scope)
      if (isPromise(key)) return key.then((resolved) => keep(call, resolved), asKmsError)
      return keep(call, key)
    } catch (error) {
      return asKmsError(error)
    }
  }

  function resolveKeystore(call: AuditedCall): KmsError | undefined {
    try {
      call.keystore = provider.binding?.()?.keystore
      return undefined
    } catch (error) {
      return asKmsError(error)
    }
  }

  function keep(call: AuditedCall, key: ResolvedKey): undefined {
    call.key = key
  }

  /** Goes on. Never throws: what is thrown below is the answer. */
  function proceed(call: AuditedCall): Answer | Promise<Answer> {
    try {
      const output = next(call)
      return isPromise(output) ? output.catch(asKmsError) : output
    } catch (error) {
      return asKmsError(error)
    }
  }

  /** Records the answer, and releases it once its entry is accepted. */
  function finish(call: AuditedCall, answer: Answer): Result | Promise<Result> {
    forget(call)
    if (isUnsettled(call, answer)) throw told(call, unsettled(answer))
    const draft = recordResult(call, answer, clock.monotonic() - call.begunAt, fields)
    if (answer instanceof KmsError) {
      const eventID = joined(call, draft)
      if (eventID !== undefined) throw told(call, answer, eventID)
    }
    const acceptance = audit.emit(draft, expiryOf(call))
    if (!isPromise(acceptance)) return settle(call, answer, draft, acceptance)
    return acceptance.then((accepted) => settle(call, answer, draft, accepted))
  }

  function settle(call: AuditedCall, answer: Answer, draft: Draft, acceptance: Acceptance): Result {
    if (acceptance instanceof KmsError) throw withhold(call, answer, draft, acceptance)
    if (answer instanceof KmsError) throw told(call, answer, draft.eventID)
    return released(call.row, answer, draft.eventID)
  }

  /** The entry was refused or is late: whatever was made is dropped, and an amendment says so. */
  function withhold(call: AuditedCall, answer: Answer, draft: Draft, refusal: KmsError): KmsError {
    discard(call.row, answer)
    audit.note(recordAmendment(draft))
    const error = withheld(refusal, { hasIntent: call.operationID !== undefined })
    return told(call, error, draft.eventID)
  }

  /** The entry of an answer that nobody waits for any more. */
  function conclude(call: AuditedCall, answer: Answer): void {
    forget(call)
    if (isUnsettled(call, answer)) return
    const draft = recordResult(call, answer, clock.monotonic() - call.begunAt, fields)
    if (answer instanceof KmsError && joined(call, draft) !== undefined) return
    audit.note(draft)
  }

  /** The entry that a refusal is joined into, if there are too many of its kind; the result of an intent never is. */
  function joined(call: AuditedCall, refusal: Draft): string | undefined {
    return call.operationID === undefined ? audit.join(refusal) : undefined
  }

  /** `answer`; or, at the deadline or when the caller aborts, `call.over`, and the provider is told to stop. */
  function inTime<T>(call: AuditedCall, answer: Promise<T | KmsError>): Promise<T | KmsError> {
    const { signal, deadlineMs } = call.request
    return new Promise((resolve) => {
      const cancel = deadlines.after(expiryOf(call) - clock.monotonic(), () =>
        end(new KmsError('DEADLINE_EXCEEDED', `no answer within ${deadlineMs} ms`)),
      )
      signal?.addEventListener('abort', abort, { once: true })
      answer.then(stop)

      function abort() {
        end(new KmsError('ABORTED', 'the caller aborted the call'))
      }
      function end(over: KmsError) {
        call.over ??= over
        stop(call.over)
        call.abort?.()
      }
      function stop(settled: T | KmsError) {
        cancel()
        signal?.removeEventListener('abort', abort)
        resolve(settled)
      }
    })
  }
}

/** Monotonic clock. */
function expiryOf(call: AuditedCall): number {
  return call.begunAt + call.request.deadlineMs
}

/** A failure would be a guess: the intent stays open, and the next start writes the result that the provider then knows. */
function isUnsettled(call: AuditedCall, answer: Answer): boolean {
  return call.operationID !== undefined && answer instanceof KmsError && evidenceOf(answer).unsettled === true
}

function unsettled(cause: Answer): KmsError {
  const message =
    'the change may or may not have been made: open the provider again and look; its result is recorded then'
  return new KmsError('OUTCOME_UNAUDITED', message, { cause })
}

function checkRequest({ refusal, signal, deadlineMs }: CallRequest): void {
  if (refusal !== undefined) throw refusal
  if (!Number.isFinite(deadlineMs) || deadlineMs <= 0)
    throw new KmsError('INVALID_INPUT', "'deadlineMs' must be a positive number of milliseconds")
  if (signal === undefined) return
  if (typeof signal?.addEventListener !== 'function' || typeof signal.removeEventListener !== 'function')
    throw new KmsError('INVALID_INPUT', "'signal' must be an AbortSignal")
  // One that fails must fail here, where the call still has its entry.
  signal.addEventListener('abort', ignore, { once: true })
  signal.removeEventListener('abort', ignore)
}

function ignore(): void {}

function nothing(): undefined {
  return undefined
}

/** The error as the caller hears it: with the call's operation, key and entry. */
function told(call: AuditedCall, error: KmsError, eventID?: string): KmsError {
  const key = call.input['key']
  return new KmsError(error.code, error.message, {
    operation: call.operation,
    ...(typeof key === 'string' && { key }),
    ...(eventID !== undefined && { eventID }),
    ...(error.cause !== undefined && { cause: error.cause }),
  })
}

/** The output with its entry's id; its bytes own their whole `ArrayBuffer`, so that no pool can be read through them. */
function released(row: OperationRow, output: Output<Operation>, eventID: string): Result {
  // The provider made it for this call; spreading it into another object would cost as much as all else here.
  const isOurs = Object.isExtensible(output) && !('eventID' in output)
  const result = isOurs ? output : { ...output }
  // Written by name below: the row names the byte fields, and dispatch has seen that they are bytes.
  const fields = result as unknown as Record<string, unknown>
  fields['eventID'] = eventID
  for (const name of row.makes) {
    const bytes = fields[name] as Uint8Array
    const isCheap = bytes.length <= smallest && (name === 'hmac' || name === 'signature')
    if (isCheap || !ownsBuffer(bytes)) fields[name] = new Uint8Array(bytes)
  }
  return result as Result
}

// V8 keeps arrays of up to 64 bytes in its heap, and makes them an ArrayBuffer when someone asks for it: measured, a copy costs
// a tenth of asking. Not of secrets, of which there are to be no more copies than need be.
const smallest = 64

function ownsBuffer(bytes: Uint8Array): boolean {
  return bytes.constructor === Uint8Array && bytes.byteOffset === 0 && bytes.buffer.byteLength === bytes.byteLength
}

/** Zeroes our copies of secrets that the provider is done with. Of text nothing can be zeroed. */
function forget({ row, input, copied }: AuditedCall): void {
  if (!copied || row.secrets === undefined) return
  for (const name of row.secrets) {
    const bytes = input[name]
    if (bytes instanceof Uint8Array) bytes.fill(0)
  }
}

/** Zeroes what nobody will get. */
function discard(row: OperationRow, answer: Answer): void {
  if (answer instanceof KmsError) return
  const fields = answer as unknown as Readonly<Record<string, unknown>>
  for (const name of row.makes) {
    const bytes = fields[name]
    if (bytes instanceof Uint8Array) bytes.fill(0)
  }
}
