/** AWS KMS behind the client, over the application's own `KMSClient`. */
import { type Clock, systemClock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import type { ResolvedKey, Scope } from '../../model/key.ts'
import type { CallInfo, KmsProvider } from '../../model/provider.ts'
import { keyCache } from '../key-cache.ts'
import { creation } from './creation.ts'
import { lifecycle } from './lifecycle.ts'
import { listing } from './listing.ts'
import { refOf } from './metadata.ts'
import { slugAmong } from './names.ts'
import type { AwsKmsClient } from './sdk.ts'
import { sealing } from './sealing.ts'
import { awsService } from './service.ts'
import { signing } from './signing.ts'
import type { Tools } from './use.ts'
import { views } from './view.ts'

export interface AwsKmsOptions {
  /**
   * A `KMSClient` of `@aws-sdk/client-kms`, with the application's region, credentials, retry mode and middleware. It stays
   * the application's: nothing here changes or destroys it.
   */
  readonly client: AwsKmsClient
  /** The region and project that calls must have; calls of others find no key. Absent: any. */
  readonly scope?: Scope
  /**
   * How long what a name resolved to holds, ms; 60,000 by default, 0 for not at all. For so long an alias that was moved
   * elsewhere means the key that it meant before; AWS itself looks at the state of the key in every call.
   */
  readonly resolveTtlMs?: number
  /** What RSA keys that `createKey` makes are for: in AWS a key either signs (default) or encrypts. */
  readonly rsaKeys?: 'sign' | 'encrypt'
  readonly clock?: Clock
}

/** What `awsKms` makes: {@link awsKms} says what it can do. */
export interface AwsKms extends KmsProvider {
  readonly name: 'aws-kms'
}

/**
 * Keys in AWS KMS: the material never leaves it, and each operation is one request to it (changes and reads of keys are some
 * more). A key may be named by slug, alias (`alias/orders`), key id or ARN. Its identity is the ARN; its slug its oldest
 * alias without `alias/`, or the key id.
 *
 * Limits of AWS KMS: 4,096 bytes of plaintext (with RSA keys 190, 318 or 446) and of a message to authenticate, refused
 * as `INVALID_INPUT` before anything is sent; longer messages to sign are hashed here and signed as digests. Which version of
 * a symmetric key was used AWS does not tell: `keyVersion` is absent there, and 1 for all other keys.
 *
 * Left out, and so `UNSUPPORTED_OPERATION`: export, import, `rotateScheduled` (AWS rotates by its own schedule, which
 * `updateRotation` sets), `destroyKey` (AWS destroys by itself), `updateMinDecryptionVersion`.
 *
 * @throws `KmsError` from every operation: `ACCESS_DENIED` for credentials or permissions (the message names the
 * permission), `THROTTLED`, `PROVIDER_UNAVAILABLE` when AWS cannot be reached or its answer cannot be read. A change whose
 * answer was lost leaves its intent open: `OUTCOME_UNAUDITED`.
 *
 * @example
 * ```ts
 * const provider = awsKms({ client: new KMSClient({ region: 'eu-west-1' }) })
 * const kms = new KmsClient({ provider, audit: { required: [trail] } })
 * const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext, encryptionContext: { order: '17' } })
 * ```
 */
export function awsKms({ client, scope, resolveTtlMs, rsaKeys = 'sign', clock = systemClock }: AwsKmsOptions): AwsKms {
  const service = awsService(client, clock)
  const view = views(service)
  const cache = keyCache({ find, scope, ttlMs: resolveTtlMs, clock })
  const tools: Tools = { service, views: view, cache, clock }
  const create = creation(tools, { rsaKeys })
  const list = listing(tools)

  async function find(name: string): Promise<ResolvedKey> {
    const { metadata } = await view.metadata(name)
    // Without the aliases a rule on a slug could be passed by naming the ARN.
    return Object.freeze(refOf(metadata, slugAmong(await view.aliases(metadata.id), metadata.id)))
  }

  function isHome(call: CallInfo): boolean {
    return scope === undefined || (scope.region === call.scope.region && scope.project === call.scope.project)
  }

  return Object.freeze({
    name: 'aws-kms',
    operations: Object.freeze({
      ...sealing(tools),
      ...signing(tools),
      ...lifecycle(tools),
      createKey: async (input, call) => {
        if (isHome(call)) return create(input, call)
        throw new KmsError('INVALID_INPUT', 'the keys of this provider are of another region and project')
      },
      listKeys: async (input, call) => (isHome(call) ? list(input, call) : { keys: [] }),
    } satisfies KmsProvider['operations']),
    resolve: cache.resolve,
  })
}
