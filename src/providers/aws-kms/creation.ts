/**
 * Making a key: the key with its tags, its rotation, and last its alias, so that the name appears once the key is whole. What
 * cannot be finished is taken back by scheduling the deletion of the key, which nobody can use from then on.
 */
import { evidenceOf, KmsError } from '../../model/errors.ts'
import type { Key } from '../../model/key.ts'
import type { Input } from '../../model/operation.ts'
import type { CallInfo, KmsProvider } from '../../model/provider.ts'
import { specToMake } from './key-specs.ts'
import { metadataOf } from './metadata.ts'
import { aliasOf } from './names.ts'
import { defaultPeriodInDays, demandPeriod } from './rotation-period.ts'
import type { CommandInputs } from './sdk.ts'
import type { Tools } from './use.ts'
import { keyOf, nameTag, neverRotated } from './view.ts'

export interface CreationOptions {
  /** What new RSA keys are for: in AWS a key has one use. */
  readonly rsaKeys: 'sign' | 'encrypt'
}

/** The shortest window that AWS has. */
const soonestDays = 7

export function creation(
  tools: Tools,
  { rsaKeys }: CreationOptions,
): NonNullable<KmsProvider['operations']['createKey']> {
  const { service, views, cache } = tools

  return async (input, call) => {
    const { slug, keyType = 'aes256-gcm96', keyRotationEnabled = false, rotationPeriodInDays } = input
    demandPossible(input)
    const row = specToMake(keyType)
    if (keyRotationEnabled && !row.rotates)
      throw new KmsError('INVALID_INPUT', `AWS KMS rotates symmetric keys, not ${row.keyType}`)
    const wanted: CommandInputs['CreateKey'] = {
      KeySpec: row.spec,
      KeyUsage: row.signs?.scheme === 'rsa' && rsaKeys === 'encrypt' ? 'ENCRYPT_DECRYPT' : row.usages[0],
      ...(input.description !== undefined && { Description: input.description }),
      ...tagsFor(input),
    }
    if (slug !== undefined) await demandFree(slug, call)
    const made = await service.ask('CreateKey', wanted, { signal: call.signal, attempts: 'once', changes: true })
    const metadata = metadataOf(made)
    const asking = { signal: call.signal, changes: true }
    try {
      if (keyRotationEnabled) {
        const period = { RotationPeriodInDays: rotationPeriodInDays ?? defaultPeriodInDays }
        await service.ask('EnableKeyRotation', { KeyId: metadata.id, ...period }, asking)
      }
      if (slug !== undefined) {
        const alias = { AliasName: aliasOf(slug), TargetKeyId: metadata.id }
        await service.ask('CreateAlias', alias, { ...asking, attempts: 'once' })
      }
    } catch (error) {
      if (!(await isNamed(slug, metadata.identity, error))) throw await takenBack(metadata.identity, error)
    } finally {
      // A name that was another's before may be known still.
      cache.forget()
    }
    const labels = { ...input.labels, ...(input.name !== undefined && { [nameTag]: input.name }) }
    const facts = { metadata, slug: slug ?? metadata.id, labels, scope: call.scope }
    const rotation = keyRotationEnabled
      ? { ...neverRotated, enabled: true, periodInDays: rotationPeriodInDays ?? defaultPeriodInDays }
      : neverRotated
    const key: Key = keyOf(facts, rotation)
    return { key, provider: made.trace }
  }

  async function demandFree(slug: string, call: CallInfo): Promise<void> {
    try {
      await views.metadata(aliasOf(slug), call.signal)
    } catch (error) {
      if (error instanceof KmsError && error.code === 'KEY_NOT_FOUND') return
      throw error
    }
    throw new KmsError('KEY_EXISTS', `AWS KMS has the alias ${aliasOf(slug)} already`)
  }

  /** Whether the alias, whose answer was lost, is the key's all the same. */
  async function isNamed(slug: string | undefined, identity: string, error: unknown): Promise<boolean> {
    const wasLost = error instanceof KmsError && evidenceOf(error).unsettled === true
    if (slug === undefined || !wasLost) return false
    try {
      const { metadata } = await views.metadata(aliasOf(slug))
      return metadata.identity === identity
    } catch {
      // Not to be seen is not there: the key is taken back.
      return false
    }
  }

  /** The error to throw: settled only if the key that was made is on its way out. Does not wait for the caller's signal. */
  async function takenBack(identity: string, error: unknown): Promise<unknown> {
    if (!(error instanceof KmsError)) return error
    const { unsettled: _whetherNamed, ...evidence } = evidenceOf(error)
    const asking = { attempts: 'once', changes: true } as const
    try {
      await service.ask('ScheduleKeyDeletion', { KeyId: identity, PendingWindowInDays: soonestDays }, asking)
    } catch (second) {
      const message = `the key ${identity} was made, could not be finished, and its deletion could not be scheduled`
      return new KmsError(error.code, message, { evidence: { ...evidence, unsettled: true }, cause: second })
    }
    const message = `${error.message}; the key made for it, ${identity}, is deleted in ${soonestDays} days`
    return new KmsError(error.code, message, { evidence, cause: error.cause })
  }
}

/** What AWS has no place for is refused, not dropped. */
function demandPossible(input: Input<'createKey'>): void {
  const { exportAllowed, annotations, labels, name, keyRotationEnabled, rotationPeriodInDays } = input
  if (exportAllowed === true) throw refused('keys of AWS KMS never leave it: exportAllowed must be false or absent')
  if (annotations !== undefined && Object.keys(annotations).length > 0)
    throw refused('AWS KMS has no annotations: use labels, which become tags')
  if (name !== undefined && labels?.[nameTag] !== undefined)
    throw refused(`'name' becomes the tag ${nameTag}: it cannot be a label too`)
  if (rotationPeriodInDays !== undefined && keyRotationEnabled !== true)
    throw refused('rotationPeriodInDays needs keyRotationEnabled: AWS KMS keeps no period for later')
  demandPeriod(rotationPeriodInDays)
  const tooLong = Object.entries(labels ?? {}).some(([key, value]) => key.length > 128 || value.length > 256)
  if (tooLong || Object.keys(labels ?? {}).length + (name === undefined ? 0 : 1) > 50)
    throw refused('labels become tags: AWS KMS takes 50, names of 1–128 and values of at most 256 characters')
}

function refused(message: string): KmsError {
  return new KmsError('INVALID_INPUT', message)
}

function tagsFor({ name, labels = {} }: Input<'createKey'>): Pick<CommandInputs['CreateKey'], 'Tags'> {
  const tags = Object.entries(labels).map(([TagKey, TagValue]) => ({ TagKey, TagValue }))
  if (name !== undefined) tags.push({ TagKey: nameTag, TagValue: name })
  return tags.length === 0 ? {} : { Tags: tags }
}
