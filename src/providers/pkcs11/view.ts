/** What callers see of a key: what its objects tell, and no more. */
import type { Key, Scope } from '../../model/key.ts'
import type { TokenKey } from './assemble.ts'

/** `name` is the slug, and a token knows of no state and no schedule. A time that nobody knows is 1970-01-01T00:00:00.000Z. */
export function keyView({ identity, slug, type, versions, latest }: TokenKey, { region, project }: Scope): Key {
  const [first = latest] = versions
  return {
    identity,
    slug,
    name: slug,
    ...(region !== undefined && { region }),
    ...(project !== undefined && { projectId: project }),
    keyType: type.keyType,
    status: 'active',
    exportAllowed: versions.some(({ object }) => object.extractable === true),
    ...(first.operation === undefined && { imported: true }),
    keyRotationEnabled: false,
    latestVersion: latest.version,
    versions: versions.map(({ version, createdAt }) => ({ version, createdAt: timeText(createdAt) })),
    createdAt: timeText(first.createdAt),
    updatedAt: timeText(latest.createdAt),
    objectVersion: versions.length,
  }
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
