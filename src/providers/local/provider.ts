/** A KMS over a keyring and a way to keep its changes: what the local and the memory provider have in common. Portable. */
import type { Later } from '../../crypto/algorithms.ts'
import { wipe } from '../../crypto/bytes.ts'
import type { Engine } from '../../crypto/engine.ts'
import type { Clock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import { checkInput } from '../../model/input.ts'
import type { ResolvedKey, Scope } from '../../model/key.ts'
import { defaultLimits, type Input, type Output } from '../../model/operation.ts'
import type { Binding, CallInfo, IntentOutcome, KmsProvider } from '../../model/provider.ts'
import type { Signer } from '../../model/signer.ts'
import type { Before, Change, Changed, ChangeOperation, Wanted } from './change.ts'
import { closedError, type Keyring } from './keyring.ts'
import { outcomeOfChange, secretsOf } from './keystore.ts'
import { changes } from './lifecycle.ts'
import { auditSigners } from './signers.ts'
import { transfers } from './transfer.ts'
import type { Usage } from './usage.ts'
import { keyringUses, type UseOperation, type Uses } from './use.ts'

function readOnly(operation: ChangeOperation): KmsError {
  return new KmsError('UNSUPPORTED_OPERATION', `keystore is open read-only: it cannot ${operation}`, { operation })
}

const everyChange: { readonly [O in ChangeOperation]: Change<O> } = { ...changes, ...transfers }

/** A provider of keys held in this process. */
export interface EmbeddedKms extends KmsProvider {
  /**
   * The keystore's Ed25519 key for its trail; no KMS operation uses it. Works until `close`, also after
   * `rotateAuditSigner`: close the trail first. Its `previous` is the key before the last rotation, and so on through the last
   * 32: a trail that one of them signs is handed over when it is opened with this one.
   */
  auditSigner(): Signer
  /** Each region and project that has keys: whoever serves many looks after all of them. */
  scopes(): readonly Scope[]
  /** Undefined when it is open read-only: the process that changes it compares. */
  binding(): Binding | undefined
  outcomeOf(operationID: string): IntentOutcome
  /** Lets changes under way settle, then wipes every secret. Idempotent; everything afterwards is `CLOSED`. */
  close(): Promise<void>
}

export interface EmbeddedKmsParts {
  readonly name: string
  readonly engine: Engine
  readonly keyring: Keyring
  readonly usage: Usage
  readonly clock: Clock
  /** Only approved algorithms: `UNSUPPORTED_OPERATION` for all else. */
  readonly fips?: boolean
  /** Makes a keystore durable, or throws and has changed nothing. Absent: changes are refused. */
  readonly persist?: (next: NextKeystore) => Promise<{ readonly oldRemain: boolean }>
  /** Called before each use; a promise when the keyring must first catch up with another process's changes. */
  readonly catchUp?: () => Promise<void> | undefined
  /** Called once, after the secrets are wiped. */
  readonly release?: () => Promise<void>
}

/** What a change makes of the keystore; see {@link Changed}. */
export type NextKeystore = Omit<Changed<ChangeOperation>, 'output'>

/** A change with its input. */
type Run<O extends ChangeOperation> = (before: Before) => Changed<O> | Wanted<O>

/** Crypto and reads answer at once (but see `catchUp`); changes are made one after another. */
export function embeddedKms(parts: EmbeddedKmsParts): EmbeddedKms {
  const { engine, keyring, usage, clock, fips = false, persist, catchUp, release } = parts
  const uses = keyringUses({ engine, keyring, usage, fips })
  const signers = auditSigners(engine)
  let queue: Promise<unknown> = Promise.resolve()
  let generating: Promise<unknown> = Promise.resolve()
  let closed: Promise<void> | undefined

  /** One change after another: each is made from the keystore that the one before left. */
  function change<O extends ChangeOperation>(operation: O) {
    return async (given: Input<O>, call: CallInfo): Promise<Output<O>> => {
      if (closed !== undefined) throw closedError()
      if (persist === undefined) throw readOnly(operation)
      const input = checkInput(operation, given, defaultLimits)
      try {
        const run: Change<O> = everyChange[operation]
        const made = await inTurn(() => make(operation, (before) => run(input, before), call, undefined))
        if (!('wants' in made)) return made
        // Other changes go on while the material is made; then this one is asked anew.
        const { wants, again = (before: Before) => run(input, before) } = made
        const material = await (typeof wants === 'function' ? generated(wants, operation, call) : wants)
        return await withMaterial(operation, again, call, material)
      } finally {
        if ('keyMaterial' in input) wipe(input.keyMaterial)
      }
    }
  }

  async function withMaterial<O extends ChangeOperation>(
    operation: O,
    run: Run<O>,
    call: CallInfo,
    material: Uint8Array,
  ): Promise<Output<O>> {
    try {
      const made = await inTurn(() => make(operation, run, call, material))
      if (!('wants' in made)) return made
      throw new KmsError('INTERNAL', `${operation} was given its material and wants more`)
    } catch (error) {
      wipe(material)
      throw error
    }
  }

  function inTurn<T>(run: () => Promise<T>): Promise<T> {
    const done = queue.then(run)
    queue = done.catch(() => undefined)
    return done
  }

  /** One at a time: each takes a core. Not for a call that was given up, and not after `close`. */
  function generated(make: Later, operation: ChangeOperation, call: CallInfo): Promise<Uint8Array> {
    const done = generating.then(() => {
      refuseGivenUp(operation, call)
      return make()
    })
    generating = done.catch(() => undefined)
    return done
  }

  async function make<O extends ChangeOperation>(
    operation: O,
    run: Run<O>,
    call: CallInfo,
    material: Uint8Array | undefined,
  ): Promise<Output<O> | Wanted<O>> {
    if (persist === undefined) throw readOnly(operation)
    if (material !== undefined || call.signal.aborted) refuseGivenUp(operation, call)
    const now = Math.max(0, Math.trunc(clock.now()))
    const change = run({ engine, keyring, usage, call, now, fips, material })
    if ('wants' in change) return change
    const { output, ...made } = change
    const keystore = { ...made.keystore, usage: usage.counts(made.keystore) }
    const { oldRemain } = await kept(persist, { ...made, keystore })
    keyring.replace(keystore)
    return oldRemain ? { ...output, flags: [...(output.flags ?? []), 'old_generations_remain'] } : output
  }

  /** Makes it durable; secrets that it brings are wiped when that fails. */
  async function kept(
    persist: NonNullable<EmbeddedKmsParts['persist']>,
    next: NextKeystore,
  ): Promise<{ readonly oldRemain: boolean }> {
    try {
      await usage.reserve(next.keystore)
      return await persist(next)
    } catch (error) {
      const inForce = new Set(secretsOf(keyring.keystore))
      wipe(...secretsOf(next.keystore).filter((secret) => !inForce.has(secret)))
      throw error
    }
  }

  function refuseGivenUp(operation: ChangeOperation, call: CallInfo): void {
    if (closed !== undefined) throw closedError()
    if (call.signal.aborted) throw new KmsError('ABORTED', 'aborted before the change was begun', { operation })
  }

  function use<O extends UseOperation>(operation: O) {
    const run: Uses[O] = uses[operation]
    if (catchUp === undefined) return run
    return (input: Input<O>, call: CallInfo): Output<O> | Promise<Output<O>> => {
      const behind = catchUp()
      return behind === undefined ? run(input, call) : behind.then(() => run(input, call))
    }
  }

  function resolve(key: string, scope: Scope): ResolvedKey | Promise<ResolvedKey> {
    const behind = catchUp?.()
    return behind === undefined ? keyring.find(key, scope).ref : behind.then(() => keyring.find(key, scope).ref)
  }

  function auditSigner(): Signer {
    if (closed !== undefined) throw closedError()
    const { signerSeed, formerSeeds } = keyring.keystore
    return signers.of([signerSeed, ...formerSeeds])
  }

  async function shut(): Promise<void> {
    await queue
    signers.close()
    keyring.close()
    await usage.close()
    await release?.()
  }

  return {
    name: parts.name,
    // A follower may have to look at the disk first, and RSA is WebCrypto's where there is no node:crypto.
    synchronous: catchUp === undefined && engine.rsa.synchronous,
    operations: Object.freeze({
      encrypt: use('encrypt'),
      decrypt: use('decrypt'),
      sign: use('sign'),
      verify: use('verify'),
      hmac: use('hmac'),
      verifyHmac: use('verifyHmac'),
      rotate: change('rotate'),
      rotateScheduled: change('rotateScheduled'),
      export: change('export'),
      generateDataKey: use('generateDataKey'),
      reEncrypt: use('reEncrypt'),
      createKey: change('createKey'),
      importKey: change('importKey'),
      importKeyVersion: change('importKeyVersion'),
      getWrappingKey: change('getWrappingKey'),
      rotateWrappingKey: change('rotateWrappingKey'),
      describeKey: use('describeKey'),
      listKeys: use('listKeys'),
      enableKey: change('enableKey'),
      disableKey: change('disableKey'),
      scheduleKeyDeletion: change('scheduleKeyDeletion'),
      cancelKeyDeletion: change('cancelKeyDeletion'),
      destroyKey: change('destroyKey'),
      updateRotation: change('updateRotation'),
      updateMinDecryptionVersion: change('updateMinDecryptionVersion'),
      getPublicKey: use('getPublicKey'),
      rewrapRootKey: change('rewrapRootKey'),
      rotateAuditSigner: change('rotateAuditSigner'),
    }),
    resolve,
    auditSigner,
    scopes: () => keyring.scopes(),
    binding() {
      if (persist === undefined) return undefined
      const { id, generation, anchor } = keyring.keystore
      return { keystore: id, generation, ...(anchor !== undefined && { anchor }) }
    },
    outcomeOf: (operationID) => outcomeOfChange(keyring.keystore.changes, operationID),
    close() {
      closed ??= shut()
      return closed
    },
  }
}
