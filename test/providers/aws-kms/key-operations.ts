/** The operations on keys themselves. */
import {
  algorithmsOf,
  demandEnabled,
  demandNotPending,
  demandSymmetric,
  type KeyStore,
  metadataOf,
  type ServiceKey,
} from './keys.ts'
import { spkiOf } from './material.ts'
import type { Handler } from './operation.ts'
import { page } from './page.ts'
import { refusal } from './refusal.ts'
import { specs, type Usage } from './specs.ts'

const day = 86_400_000
const mostTags = 50

export function keyOperations(store: KeyStore, now: () => number): Readonly<Record<string, Handler>> {
  function setTags(key: ServiceKey, tags: readonly unknown[]): void {
    for (const tag of tags) {
      // The model's validator has seen that each has both texts.
      const { TagKey, TagValue } = tag as { TagKey: string; TagValue: string }
      if (TagKey.startsWith('aws:')) throw refusal('TagException', 'Tags beginning with aws: are reserved')
      key.tags.set(TagKey, TagValue)
    }
    if (key.tags.size > mostTags) throw refusal('TagException', 'Too many tags')
  }

  return {
    async CreateKey(body) {
      const spec = body.text('KeySpec') ?? body.text('CustomerMasterKeySpec') ?? 'SYMMETRIC_DEFAULT'
      if (body.text('Origin') !== undefined && body.text('Origin') !== 'AWS_KMS')
        throw refusal('UnsupportedOperationException', 'only keys of AWS KMS itself are made here')
      const asked = body.text('KeyUsage')
      if (asked === undefined && spec !== 'SYMMETRIC_DEFAULT' && specs[spec] !== undefined)
        throw refusal('ValidationException', `You must specify a KeyUsage value for all KMS keys except for symmetric.`)
      // The model's enum.
      const key = await store.create(spec, (asked ?? 'ENCRYPT_DECRYPT') as Usage)
      try {
        setTags(key, body.list('Tags'))
      } catch (error) {
        store.keys.delete(key.id)
        throw error
      }
      key.description = body.text('Description') ?? ''
      key.policy = body.text('Policy') ?? key.policy
      return { KeyMetadata: metadataOf(key, store.account) }
    },
    DescribeKey(body) {
      return { KeyMetadata: metadataOf(store.find(body.required('KeyId')), store.account) }
    },
    ListKeys(body) {
      const keys = [...store.keys.values()].map(({ id, arn }) => ({ KeyId: id, KeyArn: arn }))
      return page('Keys', keys, body)
    },
    EnableKey(body) {
      const key = store.findById(body.required('KeyId'))
      demandNotPending(key)
      key.state = 'Enabled'
      return undefined
    },
    DisableKey(body) {
      const key = store.findById(body.required('KeyId'))
      demandNotPending(key)
      key.state = 'Disabled'
      return undefined
    },
    ScheduleKeyDeletion(body) {
      const key = store.findById(body.required('KeyId'))
      demandNotPending(key)
      const days = body.number('PendingWindowInDays') ?? 30
      // Documented; the model allows 1–365.
      if (days < 7 || days > 30) throw refusal('ValidationException', 'PendingWindowInDays must be between 7 and 30')
      key.state = 'PendingDeletion'
      key.deletionAt = now() + days * day
      return {
        KeyId: key.arn,
        DeletionDate: key.deletionAt / 1000,
        KeyState: key.state,
        PendingWindowInDays: days,
      }
    },
    CancelKeyDeletion(body) {
      const key = store.findById(body.required('KeyId'))
      if (key.state !== 'PendingDeletion')
        throw refusal('KMSInvalidStateException', `${key.arn} is not pending deletion.`)
      key.state = 'Disabled'
      key.deletionAt = undefined
      return { KeyId: key.arn }
    },
    UpdateKeyDescription(body) {
      const key = store.findById(body.required('KeyId'))
      demandNotPending(key)
      key.description = body.required('Description')
      return undefined
    },
    GetPublicKey(body) {
      const key = store.find(body.required('KeyId'))
      if (key.pair === undefined) throw refusal('UnsupportedOperationException', `${key.arn} is not asymmetric.`)
      demandEnabled(key)
      return {
        KeyId: key.arn,
        PublicKey: spkiOf(key.pair),
        CustomerMasterKeySpec: key.specName,
        KeySpec: key.specName,
        KeyUsage: key.usage,
        ...algorithmsOf(key),
      }
    },
    ListResourceTags(body) {
      const key = store.findById(body.required('KeyId'))
      const tags = [...key.tags].map(([TagKey, TagValue]) => ({ TagKey, TagValue }))
      return page('Tags', tags, body)
    },
    TagResource(body) {
      const key = store.findById(body.required('KeyId'))
      demandNotPending(key)
      setTags(key, body.list('Tags'))
      return undefined
    },
    UntagResource(body) {
      const key = store.findById(body.required('KeyId'))
      demandNotPending(key)
      for (const name of body.list('TagKeys')) key.tags.delete(String(name))
      return undefined
    },
    GetKeyPolicy(body) {
      const key = store.findById(body.required('KeyId'))
      demandDefaultPolicy(body.text('PolicyName'))
      return { Policy: key.policy, PolicyName: 'default' }
    },
    PutKeyPolicy(body) {
      const key = store.findById(body.required('KeyId'))
      demandDefaultPolicy(body.text('PolicyName'))
      const policy = body.required('Policy')
      try {
        JSON.parse(policy)
      } catch {
        throw refusal('MalformedPolicyDocumentException', 'This policy contains invalid Json')
      }
      key.policy = policy
      return undefined
    },
    ListKeyPolicies(body) {
      store.findById(body.required('KeyId'))
      return page('PolicyNames', ['default'], body)
    },
    EnableKeyRotation(body) {
      const key = store.findById(body.required('KeyId'))
      demandEnabled(key)
      demandSymmetric(key)
      key.rotationDays = body.number('RotationPeriodInDays') ?? key.rotationDays ?? 365
      key.rotationSince = now()
      return undefined
    },
    DisableKeyRotation(body) {
      const key = store.findById(body.required('KeyId'))
      demandEnabled(key)
      demandSymmetric(key)
      key.rotationDays = undefined
      return undefined
    },
    GetKeyRotationStatus(body) {
      const key = store.findById(body.required('KeyId'))
      demandSymmetric(key)
      return {
        KeyId: key.id,
        KeyRotationEnabled: key.rotationDays !== undefined && key.state !== 'PendingDeletion',
        ...(key.rotationDays !== undefined && {
          RotationPeriodInDays: key.rotationDays,
          NextRotationDate: (key.rotationSince + key.rotationDays * day) / 1000,
        }),
        ...(key.rotatingSince !== undefined && { OnDemandRotationStartDate: key.rotatingSince / 1000 }),
      }
    },
    ListKeyRotations(body) {
      const key = store.findById(body.required('KeyId'))
      demandSymmetric(key)
      const rotations = key.rotations.map(({ at, type }) => ({
        KeyId: key.id,
        RotationDate: at / 1000,
        RotationType: type,
      }))
      return page('Rotations', rotations, body)
    },
  }
}

function demandDefaultPolicy(name: string | undefined): void {
  if (name !== undefined && name !== 'default') throw refusal('NotFoundException', `No such policy exists: ${name}`)
}
