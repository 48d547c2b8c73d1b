/** A key as it is returned: asked together from what AWS tells in five places. */
import { KmsError } from '../../model/errors.ts'
import type { Signal } from '../../model/host.ts'
import type { Key, Scope } from '../../model/key.ts'
import type { Answer } from './answer.ts'
import { type Metadata, metadataOf } from './metadata.ts'
import { type Alias, keyIdOf, slugAmong } from './names.ts'
import type { Service } from './service.ts'

export interface Rotation {
  readonly enabled: boolean
  readonly periodInDays?: number
  readonly nextAt?: string
  /** When each completed rotation was done, oldest first. */
  readonly doneAt: readonly string[]
  /** A rotation on demand is under way. */
  readonly isUnderWay: boolean
}

/** The tag that AWS's own tools show as a resource's name. */
export const nameTag = 'Name'

export interface Views {
  metadata(name: string, signal?: Signal): Promise<{ readonly metadata: Metadata; readonly answer: Answer }>
  /** Of one key. */
  aliases(id: string, signal?: Signal): Promise<readonly Alias[]>
  /** Of all keys, by key id. */
  everyAlias(signal?: Signal): Promise<ReadonlyMap<string, readonly Alias[]>>
  rotation(metadata: Metadata, signal?: Signal): Promise<Rotation>
  /** Completed rotations. */
  rotationsDone(identity: string, signal?: Signal): Promise<readonly string[]>
  key(metadata: Metadata, aliases: readonly Alias[], scope: Scope, signal?: Signal): Promise<Key>
}

export const neverRotated: Rotation = { enabled: false, doneAt: [], isUnderWay: false }

/** Tags that AWS lists at once. */
const tagsAtOnce = 50
const aliasesAtOnce = 100
const rotationsAtOnce = 1000

export function views(service: Service): Views {
  async function rotationsDone(identity: string, signal?: Signal): Promise<readonly string[]> {
    const input = { KeyId: identity, Limit: rotationsAtOnce }
    const rotations = await service.askAll('ListKeyRotations', input, 'Rotations', signal)
    return rotations.map((rotation) => timeIn(rotation, 'RotationDate')).sort()
  }

  async function rotation({ identity, rotates }: Metadata, signal?: Signal): Promise<Rotation> {
    if (!rotates) return neverRotated
    try {
      const status = await service.ask('GetKeyRotationStatus', { KeyId: identity }, { signal })
      const periodInDays = status.optionalNumber('RotationPeriodInDays')
      const nextAt = status.optionalTime('NextRotationDate')
      return {
        enabled: status.flag('KeyRotationEnabled'),
        ...(periodInDays !== undefined && { periodInDays }),
        ...(nextAt !== undefined && { nextAt }),
        doneAt: await rotationsDone(identity, signal),
        isUnderWay: status.optionalTime('OnDemandRotationStartDate') !== undefined,
      }
    } catch (error) {
      // Of key material that was imported, or stands in a key store of the customer's.
      if (error instanceof KmsError && error.code === 'UNSUPPORTED_OPERATION') return neverRotated
      throw error
    }
  }

  async function tags(identity: string, signal?: Signal): Promise<Readonly<Record<string, string>>> {
    const input = { KeyId: identity, Limit: tagsAtOnce }
    const told = await service.askAll('ListResourceTags', input, 'Tags', signal)
    return Object.fromEntries(told.map((tag) => [tag.text('TagKey'), tag.optionalText('TagValue') ?? '']))
  }

  return {
    rotation,
    rotationsDone,
    async metadata(name, signal) {
      const asked = keyIdOf(name)
      const answer = await service.ask('DescribeKey', { KeyId: asked }, { signal })
      const metadata = metadataOf(answer)
      const namesAnother = asked !== metadata.identity && asked !== metadata.id
      // Of an alias nobody knows beforehand what it stands for.
      if (namesAnother && !asked.startsWith('alias/') && !asked.includes(':alias/'))
        throw answer.bad('another key than was asked for')
      return { metadata, answer }
    },
    async aliases(id, signal) {
      const told = await service.askAll('ListAliases', { KeyId: id, Limit: aliasesAtOnce }, 'Aliases', signal)
      return told.filter((alias) => alias.optionalText('TargetKeyId') === id).map(aliasIn)
    },
    async everyAlias(signal) {
      const told = await service.askAll('ListAliases', { Limit: aliasesAtOnce }, 'Aliases', signal)
      const byKey = new Map<string, Alias[]>()
      for (const alias of told) {
        const id = alias.optionalText('TargetKeyId')
        // AWS has names of its own ready for keys that it has not made yet.
        if (id === undefined) continue
        byKey.set(id, [...(byKey.get(id) ?? []), aliasIn(alias)])
      }
      return byKey
    },
    async key(metadata, aliases, scope, signal) {
      const labels = await tags(metadata.identity, signal)
      return keyOf({ metadata, slug: slugAmong(aliases, metadata.id), labels, scope }, await rotation(metadata, signal))
    },
  }
}

function aliasIn(told: Answer): Alias {
  return { name: told.text('AliasName'), createdAt: told.optionalTime('CreationDate') ?? '' }
}

function timeIn(told: Answer, name: string): string {
  const time = told.optionalTime(name)
  if (time === undefined) throw told.bad(`no '${name}'`)
  return time
}

export interface KeyFacts {
  readonly metadata: Metadata
  readonly slug: string
  readonly labels: Readonly<Record<string, string>>
  readonly scope: Scope
}

export function keyOf({ metadata, slug, labels, scope }: KeyFacts, rotation: Rotation): Key {
  const { identity, keyType, status, description, createdAt, deletionScheduledAt, imported } = metadata
  const { [nameTag]: name, ...others } = labels
  const versions = [createdAt, ...rotation.doneAt].map((at, index) => ({ version: index + 1, createdAt: at }))
  return {
    identity,
    slug,
    name: name ?? slug,
    ...(description !== undefined && { description }),
    ...(Object.keys(others).length > 0 && { labels: others }),
    ...(scope.region !== undefined && { region: scope.region }),
    ...(scope.project !== undefined && { projectId: scope.project }),
    keyType,
    status,
    exportAllowed: false,
    ...(imported && { imported: true }),
    keyRotationEnabled: rotation.enabled,
    ...(rotation.periodInDays !== undefined && { rotationPeriodInDays: rotation.periodInDays }),
    ...(rotation.nextAt !== undefined && { nextRotationAt: rotation.nextAt }),
    latestVersion: versions.length,
    versions,
    ...(deletionScheduledAt !== undefined && { deletionScheduledAt }),
    createdAt,
    updatedAt: versions.at(-1)?.createdAt ?? createdAt,
    objectVersion: versions.length,
  }
}
