/** Changes: a new key, a new version, and how a key is set. */
import { randomToken } from '../../crypto/random.ts'
import { KmsError } from '../../model/errors.ts'
import type { Key, KeyType } from '../../model/key.ts'
import type { Input, Output } from '../../model/operation.ts'
import type { CallInfo } from '../../model/provider.ts'
import { type Answer, type Fields, isSuccess } from './answer.ts'
import { failureOf } from './failure.ts'
import type { TransitKey } from './key-description.ts'
import type { Keys } from './keys.ts'
import { evidenceOfTrace, newTrace, type Trace, traceOf } from './trace.ts'
import type { Asking, Transport } from './transport.ts'

export type LifecycleOperation = 'createKey' | 'rotate' | 'updateRotation' | 'updateMinDecryptionVersion'

export type Lifecycle = { readonly [O in LifecycleOperation]: (input: Input<O>, call: CallInfo) => Promise<Output<O>> }

export interface LifecycleOptions {
  /** What stands before a key's name in its identity. */
  readonly prefix: string
}

/** Types that both we and transit have. */
export const transitTypes: readonly string[] = [
  'aes128-gcm96',
  'aes256-gcm96',
  'chacha20-poly1305',
  'xchacha20-poly1305',
  'ed25519',
  'ecdsa-p256',
  'ecdsa-p384',
  'ecdsa-p521',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'hmac',
]
const defaultType = 'aes256-gcm96'
const defaultRotationDays = 365

export function transitLifecycle(transport: Transport, keys: Keys, { prefix }: LifecycleOptions): Lifecycle {
  const { ask } = transport

  /** Makes a change, and tells the key as it is then. */
  async function change(name: string, { path, body }: Change, asking: Asking): Promise<TransitKey> {
    const answer = await asked()
    if (!isSuccess(answer)) throw failureOf(answer, { key: name, change: true, trace: asking.trace })
    if (path === '' && answer.warnings.some((text) => text.endsWith(' already existed')))
      throw exists(name, asking.trace)
    return keys.afterChange(name, answer, asking)

    async function asked(): Promise<Answer> {
      try {
        return await ask({ method: 'POST', path: `keys/${name}${path}`, body, change: true }, asking)
      } finally {
        keys.forget({ identity: `${prefix}${name}` })
      }
    }
  }

  return {
    async createKey(input, call) {
      keys.requireScope(call.scope)
      const name = newName(input)
      const { keyType = defaultType, exportAllowed = false } = input
      checkType(keyType, name)
      const asking = { trace: newTrace(), signal: call.signal }
      await requireNone(name, asking)
      const body = {
        type: keyType,
        exportable: exportAllowed,
        ...(keyType === 'hmac' && { key_size: 32 }),
        ...(input.keyRotationEnabled && { auto_rotate_period: periodOf(input.rotationPeriodInDays) }),
      }
      const key = await change(name, { path: '', body }, asking)
      if (key.ref.keyType !== keyType || key.shown.exportAllowed !== exportAllowed) throw exists(name, asking.trace)
      const isLacking = input.keyRotationEnabled === true && !key.shown.keyRotationEnabled
      // The key is made: an error would say that it is not.
      return {
        key: key.shown,
        provider: traceOf(asking.trace),
        ...(isLacking && { flags: ['rotation_not_enabled'] }),
      }
    },

    async rotate(input, call) {
      const { name } = await keys.of(input, call)
      const asking = { trace: newTrace(), signal: call.signal }
      const { expectLatestVersion } = input
      // Also where nothing is expected: a service that is not there is found out before a change is sent that might be lost.
      const { latestVersion } = (await keys.fresh(name, asking)).ref
      if (expectLatestVersion !== undefined && latestVersion !== expectLatestVersion)
        throw new KmsError('VERSION_CONFLICT', `the latest version is ${latestVersion}, not ${expectLatestVersion}`, {
          key: name,
          evidence: evidenceOfTrace(asking.trace),
        })
      const key = await change(name, { path: '/rotate', body: {} }, asking)
      if (key.ref.latestVersion > latestVersion) return told(key, asking.trace)
      // A standby that has not caught up, say.
      throw new KmsError('PROVIDER_UNAVAILABLE', 'the service took the rotation, but shows no newer version', {
        key: name,
        evidence: { ...evidenceOfTrace(asking.trace), unsettled: true },
      })
    },

    async updateRotation(input, call) {
      const { name } = await keys.of(input, call)
      const asking = { trace: newTrace(), signal: call.signal }
      const { shown } = await keys.fresh(name, asking)
      const { keyRotationEnabled, rotationPeriodInDays = shown.rotationPeriodInDays } = input
      const period = keyRotationEnabled ? periodOf(rotationPeriodInDays) : '0'
      const key = await change(name, { path: '/config', body: { auto_rotate_period: period } }, asking)
      if (key.shown.keyRotationEnabled !== keyRotationEnabled) throw withoutRotation(name, asking.trace)
      return { key: key.shown, provider: traceOf(asking.trace) }
    },

    async updateMinDecryptionVersion(input, call) {
      const { name } = await keys.of(input, call)
      const { minDecryptionVersion } = input
      const asking = { trace: newTrace(), signal: call.signal }
      await keys.fresh(name, asking)
      const key = await change(
        name,
        { path: '/config', body: { min_decryption_version: minDecryptionVersion } },
        asking,
      )
      return { key: key.shown, provider: traceOf(asking.trace) }
    },
  }

  async function requireNone(name: string, { trace, signal }: Asking): Promise<void> {
    const answer = await ask({ method: 'GET', path: `keys/${name}` }, { trace, signal })
    if (isSuccess(answer)) throw exists(name, trace)
    const failure = failureOf(answer, { key: name, trace })
    // An engine that is not mounted answers 404 too, with words.
    if (failure.code !== 'KEY_NOT_FOUND' || answer.errors.length > 0) throw failure
  }
}

interface Change {
  /** Behind the key's name. */
  readonly path: '' | '/rotate' | '/config'
  readonly body: Fields
}

function told(key: TransitKey, trace: Trace): { key: Key; keyVersion: number; provider: ReturnType<typeof traceOf> } {
  return { key: key.shown, keyVersion: key.ref.latestVersion, provider: traceOf(trace) }
}

/** What transit cannot keep is refused rather than lost. */
export function newName(input: Input<'createKey'> | Input<'importKey'>): string {
  const {
    slug = `key-${randomToken()
      .toLowerCase()
      .replace(/[^a-z0-9]/g, '0')}`,
  } = input
  const { name = slug, description, labels, annotations } = input
  if (name !== slug || description !== undefined || labels !== undefined || annotations !== undefined)
    throw new KmsError(
      'INVALID_INPUT',
      'transit keeps no name beside the slug, no description, labels or annotations',
      { key: slug },
    )
  return slug
}

export function checkType(keyType: string, key: string): asserts keyType is KeyType {
  // Each of the list is one.
  if (transitTypes.includes(keyType)) return
  throw new KmsError('INVALID_INPUT', `transit has no keys of this type; it has ${transitTypes.join(', ')}`, { key })
}

export function exists(name: string, trace: Trace): KmsError {
  return new KmsError('KEY_EXISTS', 'there is a key of that name already', {
    key: name,
    evidence: evidenceOfTrace(trace),
  })
}

/** Go's spelling of a duration, which has no days. */
function periodOf(days: number = defaultRotationDays): string {
  return `${24 * days}h`
}

/** Servers before Vault 1.10 leave out what they do not know, without a word. */
function withoutRotation(name: string, trace: Trace): KmsError {
  const message = 'this server rotates no keys by itself: it takes Vault 1.10 or OpenBao'
  return new KmsError('UNSUPPORTED_OPERATION', message, { key: name, evidence: evidenceOfTrace(trace) })
}
