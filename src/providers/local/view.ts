/** What callers and entries see of a stored key: everything but its secrets. */
import { everyAlgorithm } from '../../crypto/every-algorithm.ts'
import type { Key, ResolvedKey } from '../../model/key.ts'
import { rotationDueAt } from '../../model/rotation.ts'
import { latestOf, type StoredKey } from './keystore.ts'
import type { Usage } from './usage.ts'

export const dayMs = 86_400_000

/** The key as outputs and entries name it; one frozen object per key state. */
export function refOf(key: StoredKey): ResolvedKey {
  const { identity, slug, keyType, status } = key
  return Object.freeze({ identity, slug, keyType, status, latestVersion: latestOf(key) })
}

/** The key resource, frozen through and through. */
export function keyOf(key: StoredKey): Key {
  const rotationAt = nextRotationAt(key)
  return Object.freeze({
    identity: key.identity,
    slug: key.slug,
    name: key.name,
    ...(key.description !== undefined && { description: key.description }),
    ...(key.labels !== undefined && { labels: Object.freeze({ ...key.labels }) }),
    ...(key.annotations !== undefined && { annotations: Object.freeze({ ...key.annotations }) }),
    ...(key.region !== undefined && { region: key.region }),
    ...(key.project !== undefined && { projectId: key.project }),
    keyType: key.keyType,
    status: key.status,
    exportAllowed: key.exportAllowed,
    ...(key.imported !== undefined && { imported: true, allowRotation: key.imported.allowRotation }),
    keyRotationEnabled: key.keyRotationEnabled,
    ...(key.rotationPeriodInDays !== undefined && { rotationPeriodInDays: key.rotationPeriodInDays }),
    ...(rotationAt !== undefined && { nextRotationAt: timeText(rotationAt) }),
    latestVersion: latestOf(key),
    versions: Object.freeze(
      key.versions.map(({ version, createdAt }) => Object.freeze({ version, createdAt: timeText(createdAt) })),
    ),
    ...(key.minDecryptionVersion !== undefined && { minDecryptionVersion: key.minDecryptionVersion }),
    ...(key.deletionScheduledAt !== undefined && { deletionScheduledAt: timeText(key.deletionScheduledAt) }),
    createdAt: timeText(key.createdAt),
    updatedAt: timeText(key.updatedAt),
    objectVersion: key.objectVersion,
  })
}

/** The key with how often each version has sealed, where that is counted: as of now, which `keyOf` cannot know. */
export function keyWithUsage(key: StoredKey, shown: Key, usage: Usage): Key {
  if (!everyAlgorithm[key.keyType].counted) return shown
  const versions = shown.versions.map((one) => {
    return Object.freeze({ ...one, messages: usage.meter(key, one.version)?.messages ?? 0 })
  })
  return Object.freeze({ ...shown, versions: Object.freeze(versions) })
}

/** When automatic rotation falls due: one period after the newest version. Only active keys rotate. */
export function nextRotationAt(key: StoredKey): number | undefined {
  return dueAt(key, Number.POSITIVE_INFINITY)
}

/** The same as the clock tells `now`: {@link rotationDueAt}. */
export function dueAt(key: StoredKey, now: number): number | undefined {
  const { keyRotationEnabled, rotationPeriodInDays, status, versions } = key
  if (key.imported?.allowRotation === false) return undefined
  if (!keyRotationEnabled || rotationPeriodInDays === undefined || status !== 'active') return undefined
  const createdAt = versions.map((version) => version.createdAt)
  return rotationDueAt({ createdAt, periodMs: rotationPeriodInDays * dayMs }, now)
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
