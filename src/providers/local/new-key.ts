/** A key in the making: what it is to be called and to be, checked. */
import { algorithms } from '../../crypto/algorithms.ts'
import { everyAlgorithm } from '../../crypto/every-algorithm.ts'
import { requireApproved } from '../../crypto/fips.ts'
import { KmsError } from '../../model/errors.ts'
import type { ImportableKeyType, Scope } from '../../model/key.ts'
import type { Input } from '../../model/operation.ts'
import { utf8Length } from '../../model/text.ts'
import type { Before } from './change.ts'
import type { StoredKey } from './keystore.ts'
import { randomName } from './names.ts'
import { timeText } from './view.ts'

/** PLATFORM.md §2 is silent about the days. */
export const defaultRotationDays = 365

/** A key in the making: all but its versions. `flags` belong in the output. */
export interface DescribedKey {
  readonly described: Omit<StoredKey, 'versions'>
  readonly flags: FreeSlug['flags']
}

export function describedKey(
  before: Before,
  input: Omit<Input<'createKey'>, 'keyType'>,
  keyType: ImportableKeyType,
): DescribedKey {
  const { call, now } = before
  const { slug, flags } = freeSlug(input, before)
  const { name = slug, description = '', labels = {}, annotations = {} } = input
  for (const texts of [{ name, description }, labels, annotations, call.scope]) refuseUnstorable(texts)
  const { keyRotationEnabled = input.rotationPeriodInDays !== undefined } = input
  const period = input.rotationPeriodInDays ?? (keyRotationEnabled ? defaultRotationDays : undefined)
  const described: DescribedKey['described'] = {
    identity: `kms-${randomName(20)}`,
    slug,
    name,
    ...(input.description !== undefined && { description: input.description }),
    ...(input.labels !== undefined && { labels: input.labels }),
    ...(input.annotations !== undefined && { annotations: input.annotations }),
    ...(call.scope.region !== undefined && { region: call.scope.region }),
    ...(call.scope.project !== undefined && { project: call.scope.project }),
    keyType,
    status: 'active',
    exportAllowed: input.exportAllowed ?? false,
    keyRotationEnabled,
    ...(period !== undefined && { rotationPeriodInDays: period }),
    createdAt: now,
    updatedAt: now,
    objectVersion: 1,
  }
  return { described, flags }
}

/** A name of the table, allowed here. */
export function knownType({ fips }: Before, keyType: string): ImportableKeyType {
  if (!Object.hasOwn(everyAlgorithm, keyType))
    throw new KmsError('INVALID_INPUT', `'keyType' must be one of ${Object.keys(algorithms).join(', ')}`)
  const known = keyType as ImportableKeyType // a name of the table
  if (fips) requireApproved(known)
  return known
}

/** A slug for a new key: the one asked for, or a random one. `flags` belong in the output. */
export interface FreeSlug {
  readonly slug: string
  readonly flags: { readonly flags?: readonly string[] }
}

/** `KEY_EXISTS` for a slug that a key has, or that a destroyed key had unless `reuseSlug`: it must not mean another one unnoticed. */
export function freeSlug(
  wanted: { readonly slug?: string; readonly reuseSlug?: boolean },
  { keyring, call: { scope } }: Before,
): FreeSlug {
  const slug = wanted.slug ?? `key-${randomName(12)}`
  if (keyring.list(scope).some(({ stored }) => stored.slug === slug))
    throw new KmsError('KEY_EXISTS', 'a key with this slug exists in this region and project', { key: slug })
  const retired = keyring.keystore.retired.findLast((key) => key.slug === slug && isWithin(key, scope))
  if (retired === undefined) return { slug, flags: {} }
  if (wanted.reuseSlug === true) return { slug, flags: { flags: ['slug_reused'] } }
  const message = `a key with this slug was destroyed on ${timeText(retired.destroyedAt)}: reuseSlug takes it all the same`
  throw new KmsError('KEY_EXISTS', message, { key: slug })
}

function isWithin(key: Scope, { region, project }: Scope): boolean {
  return key.region === region && key.project === project
}

/** A lone surrogate has no UTF-8 form: it would read differently after reopening. */
function refuseUnstorable(texts: object): void {
  for (const text of Object.entries(texts).flat()) {
    if (typeof text === 'string' && utf8Length(text) < 0)
      throw new KmsError('INVALID_INPUT', 'a text must be well-formed Unicode: it holds a lone surrogate')
  }
}
