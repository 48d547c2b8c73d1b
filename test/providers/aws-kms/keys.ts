/** @node The endpoint's keys: their metadata, names and states, as AWS documents them. */
import { randomBytes, randomUUID } from 'node:crypto'
import { makePair, type Pair } from './material.ts'
import { notFound, refusal } from './refusal.ts'
import { type Spec, specs, type Usage } from './specs.ts'

export interface Rotation {
  readonly at: number
  readonly type: 'AUTOMATIC' | 'ON_DEMAND'
}

export interface ServiceKey {
  readonly id: string
  readonly arn: string
  readonly specName: string
  readonly spec: Spec
  readonly usage: Usage
  readonly createdAt: number
  description: string
  state: 'Enabled' | 'Disabled' | 'PendingDeletion'
  deletionAt: number | undefined
  policy: string
  /** Symmetric: the newest is last. HMAC: one. */
  readonly materials: Buffer[]
  readonly pair: Pair | undefined
  readonly rotations: Rotation[]
  rotationDays: number | undefined
  rotationSince: number
  /** An on-demand rotation under way. */
  rotatingSince: number | undefined
  readonly tags: Map<string, string>
}

export interface Alias {
  readonly name: string
  readonly createdAt: number
  updatedAt: number
  keyId: string
}

export interface KeyStore {
  readonly account: string
  readonly region: string
  readonly keys: Map<string, ServiceKey>
  readonly aliases: Map<string, Alias>
  /** By id, ARN, alias or alias ARN. */
  find(name: string): ServiceKey
  /** By id or ARN alone: most lifecycle operations take no alias. */
  findById(name: string): ServiceKey
  create(specName: string, usage: Usage): Promise<ServiceKey>
  aliasArn(name: string): string
}

export function keyStore(account: string, region: string, now: () => number): KeyStore {
  const keys = new Map<string, ServiceKey>()
  const aliases = new Map<string, Alias>()
  const arn = (rest: string) => `arn:aws:kms:${region}:${account}:${rest}`

  function find(name: string): ServiceKey {
    const rest = name.startsWith('arn:') ? afterArn(name) : name
    if (!rest.startsWith('alias/')) return findById(name)
    const alias = aliases.get(rest)
    if (alias === undefined) throw refusal('NotFoundException', `Alias ${arn(rest)} is not found.`)
    return findById(alias.keyId)
  }

  function findById(name: string): ServiceKey {
    if (name.startsWith('alias/'))
      throw refusal('InvalidArnException', `Invalid keyId ${name}: aliases are not taken here`)
    const id = name.startsWith('arn:') ? afterArn(name).replace(/^key\//, '') : name
    const key = keys.get(id)
    if (key === undefined) throw notFound(arn(`key/${id}`))
    return key
  }

  function afterArn(name: string): string {
    const parts = /^arn:aws:kms:([a-z0-9-]+):(\d{12}):((?:key|alias)\/.+)$/.exec(name)
    if (parts === null) throw refusal('InvalidArnException', `Invalid arn ${name}`)
    if (parts[1] !== region) throw refusal('NotFoundException', `Invalid arn ${parts[1]}`)
    return parts[3] ?? ''
  }

  return {
    account,
    region,
    keys,
    aliases,
    find,
    findById,
    aliasArn: arn,
    async create(specName, usage) {
      const spec = specs[specName]
      if (spec === undefined) throw refusal('UnsupportedOperationException', `${specName} is not offered here`)
      if (!spec.usages.includes(usage))
        throw refusal('ValidationException', `KeyUsage ${usage} is not compatible with KeySpec ${specName}`)
      const isPair = spec.curve !== undefined || spec.bits !== undefined
      const id = randomUUID()
      const key: ServiceKey = {
        id,
        arn: arn(`key/${id}`),
        specName,
        spec,
        usage,
        createdAt: now(),
        description: '',
        state: 'Enabled',
        deletionAt: undefined,
        policy: defaultPolicy(account),
        materials: isPair ? [] : [randomBytes(spec.bytes ?? 32)],
        pair: isPair ? await makePair(spec) : undefined,
        rotations: [],
        rotationDays: undefined,
        rotationSince: now(),
        rotatingSince: undefined,
        tags: new Map(),
      }
      keys.set(id, key)
      return key
    },
  }
}

export function metadataOf(key: ServiceKey, account: string): Record<string, unknown> {
  return {
    AWSAccountId: account,
    KeyId: key.id,
    Arn: key.arn,
    CreationDate: key.createdAt / 1000,
    Enabled: key.state === 'Enabled',
    Description: key.description,
    KeyUsage: key.usage,
    KeyState: key.state,
    ...(key.deletionAt !== undefined && { DeletionDate: key.deletionAt / 1000 }),
    Origin: 'AWS_KMS',
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: key.specName,
    KeySpec: key.specName,
    ...algorithmsOf(key),
    MultiRegion: false,
  }
}

/** What the key may do, by its usage. */
export function algorithmsOf({ usage, spec }: ServiceKey): Record<string, unknown> {
  if (usage === 'ENCRYPT_DECRYPT') return { EncryptionAlgorithms: spec.encryption }
  if (usage === 'SIGN_VERIFY') return { SigningAlgorithms: spec.signing }
  if (usage === 'GENERATE_VERIFY_MAC') return { MacAlgorithms: spec.macs }
  return { KeyAgreementAlgorithms: ['ECDH'] }
}

/** For what needs an enabled key. */
export function demandEnabled(key: ServiceKey): void {
  if (key.state === 'Disabled') throw refusal('DisabledException', `${key.arn} is disabled.`)
  demandNotPending(key)
}

export function demandNotPending(key: ServiceKey): void {
  if (key.state === 'PendingDeletion') throw refusal('KMSInvalidStateException', `${key.arn} is pending deletion.`)
}

/** An enabled key that is for this. */
export function demandUsage(key: ServiceKey, usage: Usage, operation: string): void {
  demandEnabled(key)
  if (key.usage !== usage)
    throw refusal(
      'InvalidKeyUsageException',
      `${key.arn} key usage is ${key.usage} which is not valid for ${operation}.`,
    )
}

export function demandSymmetric(key: ServiceKey): void {
  if (key.specName !== 'SYMMETRIC_DEFAULT') throw refusal('UnsupportedOperationException')
}

function defaultPolicy(account: string): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Id: 'key-default-1',
    Statement: [
      {
        Sid: 'Enable IAM User Permissions',
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${account}:root` },
        Action: 'kms:*',
        Resource: '*',
      },
    ],
  })
}
