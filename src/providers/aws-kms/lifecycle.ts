/**
 * Changes of keys that are there, and reading them. What is read comes first, so that a refusal changes nothing and an answer
 * needs nothing more once the change is made; each entry's request id is that of the change.
 */
import { KmsError } from '../../model/errors.ts'
import type { Key, ResolvedKey } from '../../model/key.ts'
import type { ProviderTrace } from '../../model/operation.ts'
import type { CallInfo, KmsProvider } from '../../model/provider.ts'
import { rowOf } from './key-specs.ts'
import { defaultPeriodInDays, demandPeriod } from './rotation-period.ts'
import type { Asking } from './service.ts'
import { keyFor, type Tools } from './use.ts'

type Lifecycle = Required<
  Pick<
    KmsProvider['operations'],
    | 'describeKey'
    | 'enableKey'
    | 'disableKey'
    | 'scheduleKeyDeletion'
    | 'cancelKeyDeletion'
    | 'updateRotation'
    | 'rotate'
  >
>

export function lifecycle(tools: Tools): Lifecycle {
  const { service, views, cache, clock } = tools

  async function view(key: ResolvedKey, call: CallInfo): Promise<{ readonly key: Key; readonly trace: ProviderTrace }> {
    const { metadata, answer } = await views.metadata(key.identity, call.signal)
    const aliases = await views.aliases(metadata.id, call.signal)
    return { key: await views.key(metadata, aliases, call.scope, call.signal), trace: answer.trace }
  }

  /** Makes a change, after which whatever was known of the key is asked anew. */
  async function change<T>(key: ResolvedKey, make: () => Promise<T>): Promise<T> {
    try {
      return await make()
    } finally {
      cache.forget(key)
    }
  }

  async function setEnabled(name: string, call: CallInfo, command: 'EnableKey' | 'DisableKey') {
    const resolved = await keyFor(tools, name, call)
    const { key } = await view(resolved, call)
    const input = { KeyId: key.identity }
    // Harmless to repeat: enabled twice is enabled.
    const answer = await change(resolved, () => service.ask(command, input, { signal: call.signal, changes: true }))
    const status = command === 'EnableKey' ? ('active' as const) : ('disabled' as const)
    return { key: { ...key, status }, provider: answer.trace }
  }

  return {
    async describeKey({ key: name }, call) {
      const { key, trace } = await view(await keyFor(tools, name, call), call)
      return { key, provider: trace }
    },

    enableKey: ({ key }, call) => setEnabled(key, call, 'EnableKey'),
    disableKey: ({ key }, call) => setEnabled(key, call, 'DisableKey'),

    async scheduleKeyDeletion({ key: name, pendingWindowInDays = 30 }, call) {
      if (pendingWindowInDays > 30)
        throw new KmsError('INVALID_INPUT', "'pendingWindowInDays' must be 7–30 for keys of AWS KMS")
      const resolved = await keyFor(tools, name, call)
      const { key } = await view(resolved, call)
      const input = { KeyId: key.identity, PendingWindowInDays: pendingWindowInDays }
      // A repeat would be refused as if the first had not been done.
      const answer = await change(resolved, () => service.ask('ScheduleKeyDeletion', input, once(call)))
      answer.demandKey(key.identity)
      const deletionScheduledAt = answer.optionalTime('DeletionDate')
      if (deletionScheduledAt === undefined) throw answer.bad("no 'DeletionDate'")
      return { key: { ...key, status: 'pending_deletion', deletionScheduledAt }, provider: answer.trace }
    },

    async cancelKeyDeletion({ key: name }, call) {
      const resolved = await keyFor(tools, name, call)
      const { key } = await view(resolved, call)
      const answer = await change(resolved, () => service.ask('CancelKeyDeletion', { KeyId: key.identity }, once(call)))
      answer.demandKey(key.identity)
      const { deletionScheduledAt: _none, ...kept } = key
      // AWS leaves it so, until it is enabled.
      return { key: { ...kept, status: 'disabled' }, provider: answer.trace }
    },

    async updateRotation({ key: name, keyRotationEnabled, rotationPeriodInDays }, call) {
      demandPeriod(rotationPeriodInDays)
      const resolved = await keyFor(tools, name, call)
      demandRotates(resolved)
      const { key } = await view(resolved, call)
      const { rotationPeriodInDays: before, nextRotationAt: _none, ...kept } = key
      const days = rotationPeriodInDays ?? before ?? defaultPeriodInDays
      const asking = { signal: call.signal, changes: true }
      const answer = await change(resolved, () =>
        keyRotationEnabled
          ? service.ask('EnableKeyRotation', { KeyId: key.identity, RotationPeriodInDays: days }, asking)
          : service.ask('DisableKeyRotation', { KeyId: key.identity }, asking),
      )
      // When the next falls due AWS tells when it is asked: describeKey.
      const rotation = keyRotationEnabled ? { keyRotationEnabled, rotationPeriodInDays: days } : { keyRotationEnabled }
      return { key: { ...kept, ...rotation }, provider: answer.trace }
    },

    async rotate({ key: name, expectLatestVersion }, call) {
      const resolved = await keyFor(tools, name, call)
      demandRotates(resolved)
      const { metadata } = await views.metadata(resolved.identity, call.signal)
      const aliases = await views.aliases(metadata.id, call.signal)
      const before = await views.key(metadata, aliases, call.scope, call.signal)
      if (expectLatestVersion !== undefined && expectLatestVersion !== before.latestVersion) {
        const message = `latest version is ${before.latestVersion}, not ${expectLatestVersion} as expected`
        throw new KmsError('VERSION_CONFLICT', message, { key: name })
      }
      const answer = await change(resolved, () =>
        service.ask('RotateKeyOnDemand', { KeyId: before.identity }, once(call)),
      )
      answer.demandKey(before.identity)
      return { ...(await rotated(before, call)), provider: answer.trace }
    },
  }

  /** The rotation is accepted. AWS may take a while to complete it, and encrypts with the version before until then. */
  async function rotated(before: Key, call: CallInfo) {
    const done = await doneBy(before.identity, call)
    const versions = [before.createdAt, ...done].map((at, index) => ({ version: index + 1, createdAt: at }))
    const isDone = versions.length > before.latestVersion
    const startedAt = new Date(clock.now()).toISOString()
    if (!isDone)
      versions.splice(0, versions.length, ...before.versions, {
        version: before.latestVersion + 1,
        createdAt: startedAt,
      })
    const latestVersion = versions.length
    const updatedAt = versions.at(-1)?.createdAt ?? before.updatedAt
    const key = { ...before, versions, latestVersion, updatedAt, objectVersion: latestVersion }
    return { key, keyVersion: latestVersion, ...(!isDone && { flags: ['rotation_under_way'] }) }
  }

  /** Rotations completed by now; none when that cannot be read: the change is made, and its answer must not depend on it. */
  async function doneBy(identity: string, call: CallInfo): Promise<readonly string[]> {
    try {
      return await views.rotationsDone(identity, call.signal)
    } catch {
      // The answer then says that the rotation is under way.
      return []
    }
  }
}

function once(call: CallInfo): Asking {
  return { signal: call.signal, attempts: 'once', changes: true }
}

/** Only symmetric keys have versions in AWS. */
function demandRotates({ keyType }: ResolvedKey): void {
  if (rowOf(keyType)?.rotates === true) return
  throw new KmsError('UNSUPPORTED_OPERATION', `AWS KMS rotates symmetric keys, not ${keyType}`)
}
