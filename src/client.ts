/** `KmsClient`: one documented method for each operation, over any provider, with an audit entry for each call. */

import type { Audit, AuditHealth, AuditOptions } from './audit/audit.ts'
import { type PreparedContext, prepareContext } from './audit/context.ts'
import { createAudit } from './audit/emitter.ts'
import { type AuditedCall, audited, type CallRequest, type Result } from './audit/middleware.ts'
import { type Recovery, recover } from './audit/recovery.ts'
import type { Reason, RequestContext } from './model/context.ts'
import { checkedOutput, dispatch } from './model/dispatch.ts'
import { KmsError } from './model/errors.ts'
import { host, type Signal } from './model/host.ts'
import type { Key, KeyRef, Scope } from './model/key.ts'
import type { KmsCall, KmsMiddleware } from './model/middleware.ts'
import { defaultLimits, type Input, type Limits, type Operation, type Output, operations } from './model/operation.ts'
import { isPromise } from './model/promise.ts'
import type { CallInfo, KmsProvider } from './model/provider.ts'
import { usageRotation } from './usage-rotation.ts'

export interface KmsClientOptions {
  /** Holds the keys and does the crypto. */
  readonly provider: KmsProvider
  /**
   * Where entries go: options, or an audit made by `createAudit` to share it with other clients and integrations.
   * Whoever shares an audit closes it, and then the providers.
   */
  readonly audit: Audit | AuditOptions
  /** Part of a key's scope, and of every entry. */
  readonly region?: string
  readonly project?: string
  /** Yours, outermost first; they run inside the audit, after the key is resolved. */
  readonly middleware?: readonly KmsMiddleware[]
  /** Asked at each call for what is not bound or passed, such as an `AsyncLocalStorage`. */
  readonly context?: ContextCarrier
  /**
   * Goes on although keystore and trail do not fit, which refuses every call with `ROLLED_BACK` otherwise: after one of them
   * was restored, say. The first call then writes `audit.restored` with this reason. For one start: leave it out again.
   */
  readonly rebind?: true | Reason
  /** Payload limits, bytes; see `defaultLimits`. */
  readonly limits?: Partial<Limits>
  /** Every call settles within this, ms; 10,000 by default. */
  readonly deadlineMs?: number
  /** More calls at once are refused with `OVERLOADED`; 10,000 by default. */
  readonly maxInFlight?: number
  /**
   * Rotates a key by itself when the output of a call says that its newest version nears the limit of its type
   * (`usage`): in the background, as `kms.rotate.scheduled` by `system` with `because: 'usage'`, once, and if that fails
   * again at a later warning, at most once a minute; for an imported key without `allowRotation`, and on a read-only provider, it
   * always does. Off by default: rotate such a key yourself, well before `USAGE_LIMIT`.
   */
  readonly rotateAtUsageWarning?: boolean
}

export interface ContextCarrier {
  current(): RequestContext | undefined
  /** What `current` gives never changes, down to its parts, and is another object when anything is other: what is made of it may be kept. */
  readonly constant?: true
}

export interface CallOptions {
  /** What this call says of itself; wins over what is bound, field by field. */
  readonly context?: RequestContext
  /** An `AbortSignal`. */
  readonly signal?: Signal
  /** Instead of the client's, ms. */
  readonly deadlineMs?: number
}

/** An operation's output with the `eventID` of its entry. */
export type Called<O extends Operation> = Output<O> & { readonly eventID: string }

/** One answer of `encryptMany` or `decryptMany`. */
export type Settled<O extends Operation> =
  | ({ readonly ok: true } & Called<O>)
  | { readonly ok: false; readonly error: KmsError }

export interface KmsHealth extends AuditHealth {
  readonly provider: string
  /** Calls that wait for a provider or a sink. */
  readonly inFlight: number
}

/** What our own integrations need of a client, to write entries of their own beside those of its calls. Not part of the public API. */
export interface Inside {
  readonly audit: Audit
  readonly provider: KmsProvider
  readonly scope: Scope
  /** Most bytes that its payloads may have. */
  readonly limits: Limits
  /** Within which a call of this client settles, ms. */
  readonly deadlineMs: number
  /** What is bound and carried now: who asks. */
  readonly bound: PreparedContext
  /** Undefined until `close` is called: the client's own calls are refused from then on. */
  readonly closing: Promise<void> | undefined
}

/** @throws KmsError `INVALID_INPUT` for a carried context of a wrong type; whatever the carrier throws. */
export let insideOf: (kms: KmsClient) => Inside

/**
 * The same client, whose calls are those of who asks now, whoever runs them: what is carried later says nothing. For work that begins
 * with a call of ours and goes on in callbacks of others. Not part of the public API. Throws what `insideOf` throws.
 */
export let asOfNow: (kms: KmsClient) => KmsClient

/** What a client and its `with()` children share. */
interface Shared {
  readonly provider: KmsProvider
  readonly audit: Audit
  readonly ownsAudit: boolean
  readonly scope: Scope
  readonly limits: Limits
  /** Of contexts that are constant: what was made of each, and under which bound one. */
  readonly carried: WeakMap<RequestContext, { readonly bound: PreparedContext; readonly prepared: PreparedContext }>
  readonly deadlineMs: number
  readonly maxInFlight: number
  readonly rebind: Recovery['rebind']
  readonly run: (request: CallRequest) => Result | Promise<Result>
  inFlight: number
  /** Done, or on its way, or refused for good; undefined before the first call, and after a failure that may pass. */
  recovery: true | Promise<void> | undefined
  closing: Promise<void> | undefined
  whenIdle: (() => void) | undefined
}

/** Of a `with()` child. */
interface Parent {
  readonly shared: Shared
  readonly bound: PreparedContext
  readonly context?: ContextCarrier | undefined
}

/**
 * A KMS client that leaves an audit trail: no result leaves it before every required sink has accepted its entry.
 *
 * Every method takes one object and returns a promise; failures are `KmsError`s. Besides an operation's own errors,
 * every call can fail with `INVALID_INPUT`, `AUDIT_REFUSED` (nothing was released, no lasting effect),
 * `OVERLOADED`, `DEADLINE_EXCEEDED`, `ABORTED`, `CLOSED`; changes also with `OUTCOME_UNAUDITED`.
 *
 * @example
 * ```ts
 * const kms = new KmsClient({ provider: memoryKms(), audit: { required: [memorySink()] } })
 * await kms.createKey({ slug: 'orders' })
 * const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext })
 * ```
 */
export class KmsClient {
  readonly #shared: Shared
  readonly #bound: PreparedContext
  readonly #carrier: ContextCarrier | undefined

  /** @throws KmsError `INVALID_INPUT` for a wrong option. */
  constructor(options: KmsClientOptions)
  /** @internal */
  constructor(options: undefined, parent: Parent)
  constructor(options: KmsClientOptions | undefined, parent?: Parent) {
    this.#shared = parent?.shared ?? share(options)
    this.#bound = parent?.bound ?? prepareContext(this.#shared.audit.fields, {})
    this.#carrier = (parent ?? options)?.context
  }

  /** Seals `plaintext` (1–65,535 bytes) under the key's latest version, or `keyVersion`. */
  encrypt(input: Input<'encrypt'>, options?: CallOptions): Promise<Called<'encrypt'>> {
    return this.#call('encrypt', input, options)
  }

  /** Opens `ciphertext`. Every failure to decrypt is the same `INVALID_CIPHERTEXT`; its entry says what exactly failed. */
  decrypt(input: Input<'decrypt'>, options?: CallOptions): Promise<Called<'decrypt'>> {
    return this.#call('decrypt', input, options)
  }

  /** Signs `input`. ECDSA signatures are DER unless `format` says otherwise. */
  sign(input: Input<'sign'>, options?: CallOptions): Promise<Called<'sign'>> {
    return this.#call('sign', input, options)
  }

  /** Whether `signature` is one of `input` by the key: a plain boolean. A `false` is a success with `valid: false` in its entry. */
  verify(input: Input<'verify'>, options?: CallOptions): Promise<boolean> {
    return this.#call('verify', input, options).then(verdict)
  }

  /** HMAC of `input`. */
  hmac(input: Input<'hmac'>, options?: CallOptions): Promise<Called<'hmac'>> {
    return this.#call('hmac', input, options)
  }

  /** Whether `hmac` is that of `input` by the key, compared in constant time: a plain boolean. */
  verifyHmac(input: Input<'verifyHmac'>, options?: CallOptions): Promise<boolean> {
    return this.#call('verifyHmac', input, options).then(verdict)
  }

  /** Makes a new version, which new operations use; old ones stay for decrypt and verify. */
  rotate(input: Input<'rotate'>, options?: CallOptions): Promise<Called<'rotate'>> {
    return this.#call('rotate', input, options)
  }

  /**
   * Gives the key material of one version out, wrapped to the RSA key of a `recipient` or, without one, in the clear. Needs
   * `exportAllowed`, set when the key was created.
   */
  export(input: Input<'export'>, options?: CallOptions): Promise<Called<'export'>> {
    return this.#call('export', input, options)
  }

  /** A fresh random key, in the clear and sealed under `key`: for encrypting elsewhere what is too large to send here. */
  generateDataKey(input: Input<'generateDataKey'>, options?: CallOptions): Promise<Called<'generateDataKey'>> {
    return this.#call('generateDataKey', input, options)
  }

  /** Moves a ciphertext to another key, version or context without showing its plaintext. */
  reEncrypt(input: Input<'reEncrypt'>, options?: CallOptions): Promise<Called<'reEncrypt'>> {
    return this.#call('reEncrypt', input, options)
  }

  /** The public key of one version: PEM, or base64 for Ed25519; as SPKI bytes; and as a JSON Web Key. */
  getPublicKey(input: Input<'getPublicKey'>, options?: CallOptions): Promise<Called<'getPublicKey'>> {
    return this.#call('getPublicKey', input, options)
  }

  /** Makes a key in this client's region and project. `KEY_EXISTS` if the slug is taken there. */
  createKey(input: Input<'createKey'>, options?: CallOptions): Promise<Called<'createKey'>> {
    return this.#call('createKey', input, options)
  }

  /**
   * Makes a key of key material from elsewhere: `raw`, `pkcs8`, `jwk`, or `wrapped` to the key of `getWrappingKey`. Errors:
   * `INVALID_INPUT` for what is no such key, HMAC types included. Messages that it has sealed elsewhere are not counted here: rotate
   * a key with 96-bit nonces soon.
   */
  importKey(input: Input<'importKey'>, options?: CallOptions): Promise<Called<'importKey'>> {
    return this.#call('importKey', input, options)
  }

  /** Gives an imported key a version that it has not: `VERSION_CONFLICT` if it has. */
  importKeyVersion(input: Input<'importKeyVersion'>, options?: CallOptions): Promise<Called<'importKeyVersion'>> {
    return this.#call('importKeyVersion', input, options)
  }

  /** The public key to which key material is wrapped for `importKey`. */
  getWrappingKey(input: Input<'getWrappingKey'> = {}, options?: CallOptions): Promise<Called<'getWrappingKey'>> {
    return this.#call('getWrappingKey', input, options)
  }

  /** Another wrapping key from here on: what was wrapped to the one before cannot be imported any more. */
  rotateWrappingKey(
    input: Input<'rotateWrappingKey'> = {},
    options?: CallOptions,
  ): Promise<Called<'rotateWrappingKey'>> {
    return this.#call('rotateWrappingKey', input, options)
  }

  describeKey(input: Input<'describeKey'>, options?: CallOptions): Promise<Called<'describeKey'>> {
    return this.#call('describeKey', input, options)
  }

  /** The keys of this client's region and project. */
  listKeys(input: Input<'listKeys'> = {}, options?: CallOptions): Promise<Called<'listKeys'>> {
    return this.#call('listKeys', input, options)
  }

  enableKey(input: Input<'enableKey'>, options?: CallOptions): Promise<Called<'enableKey'>> {
    return this.#call('enableKey', input, options)
  }

  /** Stops all crypto with the key, decryption too, until it is enabled again. */
  disableKey(input: Input<'disableKey'>, options?: CallOptions): Promise<Called<'disableKey'>> {
    return this.#call('disableKey', input, options)
  }

  /** Schedules the key's deletion, 30 days ahead unless `pendingWindowInDays` (7–90) says otherwise; it can be cancelled until then. */
  scheduleKeyDeletion(
    input: Input<'scheduleKeyDeletion'>,
    options?: CallOptions,
  ): Promise<Called<'scheduleKeyDeletion'>> {
    return this.#call('scheduleKeyDeletion', input, options)
  }

  cancelKeyDeletion(input: Input<'cancelKeyDeletion'>, options?: CallOptions): Promise<Called<'cancelKeyDeletion'>> {
    return this.#call('cancelKeyDeletion', input, options)
  }

  /** Switches automatic rotation, which {@link KmsClient.rotateDueKeys} performs, on or off. */
  updateRotation(input: Input<'updateRotation'>, options?: CallOptions): Promise<Called<'updateRotation'>> {
    return this.#call('updateRotation', input, options)
  }

  /** Stops the use of versions below `minDecryptionVersion`: they open, verify and sign nothing until it is lowered again. */
  updateMinDecryptionVersion(
    input: Input<'updateMinDecryptionVersion'>,
    options?: CallOptions,
  ): Promise<Called<'updateMinDecryptionVersion'>> {
    return this.#call('updateMinDecryptionVersion', input, options)
  }

  /**
   * Seals the keystore under another root key: `rootKey` (32 bytes), `rootKeyFile`, or `passphrase`, which takes half a second.
   * The old one opens it no longer, whenever the process dies one of the two does; copies and backups made before still need
   * the old one, so keep it as long as them, and what it opens is as safe as it.
   */
  rewrapRootKey(input: Input<'rewrapRootKey'>, options?: CallOptions): Promise<Called<'rewrapRootKey'>> {
    return this.#call('rewrapRootKey', input, options)
  }

  /**
   * Makes a new key for the trail's signatures in the keystore. A trail that is open goes on with the former one until it is
   * handed over: with `trail.rotateSigner(local.auditSigner())`, or when it is opened next.
   */
  rotateAuditSigner(
    input: Input<'rotateAuditSigner'> = {},
    options?: CallOptions,
  ): Promise<Called<'rotateAuditSigner'>> {
    return this.#call('rotateAuditSigner', input, options)
  }

  /**
   * Rotates every key whose automatic rotation is due, each as `kms.rotate.scheduled`. Call it hourly. Two schedulers
   * at once are safe: the second gets `VERSION_CONFLICT`.
   */
  async rotateDueKeys(options?: CallOptions): Promise<readonly Settled<'rotateScheduled'>[]> {
    return this.#due('rotateScheduled', dueRotation, options)
  }

  /**
   * Destroys every key whose pending window is over, each as `kms_key.destroy`: with all its versions, for good, and with what
   * only it opens. Call it hourly, as {@link KmsClient.rotateDueKeys}. Copies and backups made before still hold the key, and
   * a disk may keep removed files for a while, above all an SSD: what must be beyond reach needs a root key that is destroyed too.
   * An output with the flag `old_generations_remain` says that older files of the keystore could not be removed yet.
   */
  async destroyDueKeys(options?: CallOptions): Promise<readonly Settled<'destroyKey'>[]> {
    return this.#due('destroyKey', dueDestruction, options)
  }

  /** `encrypt` for each input, an entry each, joined in one write a sink. The answer keeps the order; one failure does not touch the others. */
  async encryptMany(
    inputs: readonly Input<'encrypt'>[],
    options?: CallOptions,
  ): Promise<readonly Settled<'encrypt'>[]> {
    return this.#many('encrypt', inputs, options)
  }

  /** `decrypt` for each input; see {@link KmsClient.encryptMany}. */
  async decryptMany(
    inputs: readonly Input<'decrypt'>[],
    options?: CallOptions,
  ): Promise<readonly Settled<'decrypt'>[]> {
    return this.#many('decrypt', inputs, options)
  }

  /** Any operation with its full output: for `verify`, the verdict with the version that matched and the `eventID`. */
  async call<O extends Operation>(operation: O, input: Input<O>, options?: CallOptions): Promise<Called<O>> {
    if (!Object.hasOwn(operations, operation))
      throw new KmsError('INVALID_INPUT', `there is no operation '${String(operation).slice(0, 40)}'`)
    return this.#call(operation, input, options)
  }

  /**
   * The same client with `context` bound to each of its calls, over what is bound already. Cheap: make one a request.
   *
   * @throws KmsError `INVALID_INPUT` for a field of the wrong type.
   */
  with(context: RequestContext): KmsClient {
    const { audit } = this.#shared
    // Bound twice is still bound: the actor's source stays `context`.
    const bound = prepareContext(audit.fields, { ...this.#bound.said, ...prepareContext(audit.fields, context).said })
    return new KmsClient(undefined, { shared: this.#shared, bound, context: this.#carrier })
  }

  /**
   * Resolves when keystore and trail have been compared and the intents that a crash left open are closed. The first call
   * does it otherwise. Errors: `ROLLED_BACK` (one of the two was taken back: every call of this client is refused),
   * `AUDIT_REFUSED`.
   */
  async ready(): Promise<void> {
    if (this.#shared.recovery !== true) await recovered(this.#shared)
  }

  /** State, engine, each sink's queue and last acceptance: for a readiness probe. Writes no entry. */
  health(): KmsHealth {
    const { audit, provider, inFlight } = this.#shared
    return { ...audit.health(), provider: provider.name, inFlight }
  }

  /**
   * Refuses new calls (`CLOSED`), lets those in flight settle and flushes; then closes the audit's sinks and the
   * provider, unless the audit is shared. Idempotent; `with()` children close with it.
   */
  close(): Promise<void> {
    this.#shared.closing ??= close(this.#shared)
    return this.#shared.closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #many<O extends Operation>(
    operation: O,
    inputs: readonly Input<O>[],
    options: CallOptions | undefined,
  ): Promise<readonly Settled<O>[]> {
    if (!Array.isArray(inputs)) throw new KmsError('INVALID_INPUT', `${operation}Many takes an array of inputs`)
    const { audit } = this.#shared
    audit.hold()
    try {
      // Each starts now, before the caller can change its input, and their entries wait for the one release.
      const calls = inputs.map((input) => settle(this.#call(operation, input, options)))
      return Promise.all(calls)
    } finally {
      audit.release()
    }
  }

  /** One after another, of each key for which `inputOf` gives an input that is due. */
  async #due<O extends 'rotateScheduled' | 'destroyKey'>(
    operation: O,
    inputOf: (key: Key) => Input<O> | undefined,
    options: CallOptions | undefined,
  ): Promise<readonly Settled<O>[]> {
    const { keys } = await this.#call('listKeys', {}, options)
    const now = this.#shared.audit.clock.now()
    const settled: Settled<O>[] = []
    for (const key of keys) {
      const input = inputOf(key)
      if (input !== undefined && Date.parse(input.dueAt) <= now)
        settled.push(await settle(this.#call(operation, input, options)))
    }
    return settled
  }

  /** One call, whatever the operation. A promise always, but none is waited for where nothing waits. */
  #call<O extends Operation>(operation: O, input: Input<O>, options: CallOptions | undefined): Promise<Called<O>> {
    const shared = this.#shared
    try {
      refuseIfClosedOrFull(shared)
      // `run` answers with the output of the operation that it is given.
      const result = shared.run(this.#request(operation, input, options)) as Called<O> | Promise<Called<O>>
      if (!isPromise(result)) return Promise.resolve(result)
      count(shared, result)
      return result
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #request(operation: Operation, raw: unknown, options: CallOptions | undefined): CallRequest {
    const shared = this.#shared
    try {
      const bound = this.#asking()
      if (options === undefined)
        return { operation, raw, bound, context: undefined, signal: undefined, deadlineMs: shared.deadlineMs }
      const { context, signal, deadlineMs = shared.deadlineMs } = options
      return { operation, raw, bound, context, signal, deadlineMs }
    } catch (error) {
      // The call is refused, and has its entry all the same.
      const refusal =
        error instanceof KmsError
          ? error
          : new KmsError('INVALID_INPUT', 'the context or the options could not be read', { cause: error })
      const { deadlineMs } = shared
      return { operation, raw, bound: this.#bound, context: undefined, signal: undefined, deadlineMs, refusal }
    }
  }

  /** Who asks now. */
  #asking(): PreparedContext {
    const carried = this.#carrier?.current()
    return carried === undefined ? this.#bound : this.#prepared(carried)
  }

  /** What is carried, under what is bound. Prepared at each call, unless it is constant: a request's store may be filled as the request goes on. */
  #prepared(carried: RequestContext): PreparedContext {
    const { audit, carried: made } = this.#shared
    const bound = this.#bound
    const known = made.get(carried)
    if (known?.bound === bound) return known.prepared
    const said = { ...prepareContext(audit.fields, carried).said, ...bound.said }
    const prepared = prepareContext(audit.fields, said)
    if (this.#carrier?.constant) made.set(carried, { bound, prepared })
    return prepared
  }

  static {
    insideOf = (kms) => ({ ...kms.#shared, bound: kms.#asking() })
    asOfNow = (kms) => new KmsClient(undefined, { shared: kms.#shared, bound: kms.#asking() })
  }
}

function share(options: KmsClientOptions | undefined): Shared {
  checkOptions(options)
  const { provider, region, project, middleware = [], deadlineMs = 10_000, maxInFlight = 10_000 } = options
  const ownsAudit = !('emit' in options.audit)
  const audit = 'emit' in options.audit ? options.audit : createAudit(options.audit)
  const scope: Scope = Object.freeze({
    ...(region !== undefined && { region }),
    ...(project !== undefined && { project }),
  })
  const limits = { ...defaultLimits, ...options.limits }
  const borrows = provider.synchronous === true && middleware.length === 0
  const next = chain(provider, [...middleware])
  const recovery = () => (shared.recovery === true ? undefined : recovered(shared))
  const run = audited({ audit, provider, scope, limits, borrows, recovery, admitted: admission(middleware), next })
  const shared: Shared = {
    provider,
    audit,
    ownsAudit,
    scope,
    limits,
    carried: new WeakMap(),
    deadlineMs,
    maxInFlight,
    rebind: rebindOf(options.rebind, audit),
    run: options.rotateAtUsageWarning === true ? rotatingAtWarning(run, audit, () => shared) : run,
    inFlight: 0,
    recovery: undefined,
    closing: undefined,
    whenIdle: undefined,
  }
  return shared
}

/** `run`; a key whose newest version nears its limit is rotated in the background, for which `close` waits. */
function rotatingAtWarning(run: Shared['run'], { clock }: Audit, shared: () => Shared): Shared['run'] {
  async function rotated(key: KeyRef, version: number): Promise<void> {
    const { audit, deadlineMs } = shared()
    const dueAt = new Date(audit.clock.now()).toISOString()
    const raw = { key: key.identity, expectLatestVersion: version, dueAt, because: 'usage' }
    // Nobody's call: not the one that met the warning.
    const bound = prepareContext(audit.fields, {
      actor: { type: 'system', id: 'keytrail' },
      reason: { code: 'usage-warning' },
    })
    await run({ operation: 'rotateScheduled', raw, bound, context: undefined, signal: undefined, deadlineMs })
  }

  function rotate(key: KeyRef, version: number): Promise<void> | undefined {
    if (shared().closing !== undefined) return undefined
    const rotation = Promise.resolve().then(() => rotated(key, version))
    count(shared(), rotation)
    return rotation
  }

  const watch = usageRotation({ clock, rotate })
  return (request) => {
    const result = run(request)
    if (isPromise(result)) result.then(watch, nothing)
    else watch(result)
    return result
  }
}

function nothing(): void {}

/** From the audit on: the application's middleware, outermost first, then the provider. */
function chain(
  provider: KmsProvider,
  middleware: readonly KmsMiddleware[],
): (call: AuditedCall) => Output<Operation> | Promise<Output<Operation>> {
  const toProvider = (call: AuditedCall) =>
    // The input was checked against the row of this operation.
    dispatch(provider, call.operation, call.input as Input<Operation>, infoOf(call, provider))
  if (middleware.length === 0) return toProvider
  const outermost = middleware.reduceRight((next: typeof toProvider, layer) => {
    return (call) => layer(callOf(call), () => next(call))
  }, toProvider)
  // A layer may forget to return what `next` answered, or answer itself.
  return (call) => checkedOutput('the middleware', call.operation, outermost(call))
}

/** What a change must pass before its intent. */
function admission(middleware: readonly KmsMiddleware[]): (call: AuditedCall) => Promise<void> {
  return async (call) => {
    for (const { admit } of middleware) await admit?.(callOf(call))
  }
}

/** What middleware sees of a call. */
function callOf(call: AuditedCall): KmsCall {
  return Object.freeze({
    operation: call.operation,
    action: call.row.action,
    input: call.input as Input<Operation>,
    context: call.prepared.said,
    scope: call.scope,
    ...(call.key !== undefined && { key: call.key }),
  })
}

/** What a provider sees of a call. One that answers at once has nothing to stop: making a signal costs more than its call. */
function infoOf(call: AuditedCall, provider: KmsProvider): CallInfo {
  const { scope, key, anchor, operationID } = call
  if (operationID === undefined && provider.synchronous === true)
    return key === undefined
      ? { operationID: '', scope, signal: idleSignal }
      : { operationID: '', scope, signal: idleSignal, key }
  return {
    operationID: operationID ?? '',
    scope,
    signal: signalOf(call),
    ...(key !== undefined && { key }),
    ...(anchor !== undefined && { anchor }),
  }
}

const idleSignal: Signal = new host.AbortController().signal

/** Aborts with the caller's signal or at the deadline. */
function signalOf(call: AuditedCall): Signal {
  const controller = new host.AbortController()
  call.abort = () => controller.abort()
  if (call.over !== undefined) controller.abort()
  return controller.signal
}

function recovered(shared: Shared): Promise<void> {
  if (shared.recovery === true) return Promise.resolve()
  if (shared.recovery === undefined) {
    shared.recovery = recover(shared).then(
      () => {
        shared.recovery = true
      },
      (error: unknown) => {
        // The next call tries again, except where nothing can change while keystore and trail are open.
        if (!(error instanceof KmsError && error.code === 'ROLLED_BACK')) shared.recovery = undefined
        throw error
      },
    )
  }
  return shared.recovery
}

/** What recovery is to do, with the reason as the field policy keeps it. */
function rebindOf(rebind: true | Reason | undefined, audit: Audit): Recovery['rebind'] {
  if (rebind === undefined) return undefined
  if (rebind === true) return {}
  const { reason } = prepareContext(audit.fields, { reason: rebind })
  return reason === undefined ? {} : { reason }
}

function refuseIfClosedOrFull(shared: Shared): void {
  const refusal =
    shared.closing !== undefined
      ? new KmsError('CLOSED', 'this client is closed')
      : shared.inFlight >= shared.maxInFlight
        ? new KmsError('OVERLOADED', `${shared.maxInFlight} calls are in flight: try again later`)
        : undefined
  if (refusal === undefined) return
  shared.audit.countRefused(refusal)
  throw refusal
}

/** Counts a call for as long as it waits. */
function count(shared: Shared, result: Promise<unknown>): void {
  const done = () => {
    shared.inFlight -= 1
    if (shared.inFlight === 0) shared.whenIdle?.()
  }
  shared.inFlight += 1
  result.then(done, done)
}

function verdict(output: { readonly valid: boolean }): boolean {
  return output.valid
}

async function close(shared: Shared): Promise<void> {
  if (shared.inFlight > 0)
    await new Promise<void>((resolve) => {
      shared.whenIdle = resolve
    })
  if (!shared.ownsAudit) return shared.audit.flush()
  try {
    await shared.audit.close()
  } finally {
    // Last: a trail may sign its last checkpoint with the provider's key.
    await shared.provider.close?.()
  }
}

function dueRotation(key: Key): Input<'rotateScheduled'> | undefined {
  const { identity, status, latestVersion, keyRotationEnabled, nextRotationAt: dueAt } = key
  if (status !== 'active' || !keyRotationEnabled || dueAt === undefined) return undefined
  return { key: identity, expectLatestVersion: latestVersion, dueAt }
}

function dueDestruction({ identity, status, deletionScheduledAt: dueAt }: Key): Input<'destroyKey'> | undefined {
  return status === 'pending_deletion' && dueAt !== undefined ? { key: identity, dueAt } : undefined
}

async function settle<O extends Operation>(called: Promise<Called<O>>): Promise<Settled<O>> {
  try {
    return { ok: true, ...(await called) }
  } catch (error) {
    // A call fails with nothing else.
    return { ok: false, error: error as KmsError }
  }
}

function checkOptions(options: KmsClientOptions | undefined): asserts options is KmsClientOptions {
  if (typeof options !== 'object' || options === null) refuse('KmsClient takes one object: { provider, audit }')
  const { provider, audit, region, project, context, middleware = [], rebind, rotateAtUsageWarning = false } = options
  const { deadlineMs = 1, maxInFlight = 1, limits = {} } = options
  if (typeof provider?.name !== 'string' || typeof provider.operations !== 'object')
    refuse("'provider' must be a KmsProvider: a name and a table of operations")
  if (typeof audit !== 'object' || audit === null) refuse("'audit' must be audit options or the result of createAudit")
  for (const [name, value] of Object.entries({ region, project })) {
    if (value !== undefined && (typeof value !== 'string' || !/^[\w.:/-]{1,128}$/.test(value)))
      refuse(`'${name}' must be 1–128 letters, digits or . : / _ -`)
  }
  if (!Array.isArray(middleware) || middleware.some((layer) => typeof layer !== 'function'))
    refuse("'middleware' must be a list of functions")
  if (typeof rotateAtUsageWarning !== 'boolean') refuse("'rotateAtUsageWarning' must be true or false")
  if (rebind !== undefined && rebind !== true && typeof rebind?.code !== 'string')
    refuse("'rebind' must be true or a reason: { code, ticket? }")
  if (context !== undefined && typeof context?.current !== 'function')
    refuse("'context' must have a function current()")
  for (const [name, value] of Object.entries({ deadlineMs, maxInFlight, ...limits })) {
    if (!Number.isFinite(value) || value <= 0) refuse(`'${name}' must be a positive number`)
  }
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
