/** @node A provider, and a client with its entries, over the real SDK and the endpoint. */
import type { KMSClientConfig } from '@aws-sdk/client-kms'

import { KmsClient } from '../../../src/client.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { type AwsKms, type AwsKmsOptions, awsKms } from '../../../src/providers/aws-kms/index.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { type EndpointOptions, type KmsEndpoint, startKmsEndpoint } from './endpoint.ts'
import { sdkClient } from './sdk-client.ts'

export interface Rig {
  readonly endpoint: KmsEndpoint
  readonly provider: AwsKms
  readonly kms: KmsClient
  readonly entries: readonly AuditEntry[]
  /** The last entry. */
  last(): AuditEntry
  close(): Promise<void>
}

export interface RigOptions extends EndpointOptions {
  readonly sdk?: KMSClientConfig
  readonly aws?: Partial<AwsKmsOptions>
  readonly deadlineMs?: number
}

export const home = { region: 'eu-west-1', project: 'billing' }

export async function startRig({ sdk = {}, aws = {}, deadlineMs, ...options }: RigOptions = {}): Promise<Rig> {
  const endpoint = await startKmsEndpoint(options)
  const client = sdkClient(endpoint, sdk)
  const provider = awsKms({ client, scope: home, ...aws })
  const sink = memorySink()
  const kms = new KmsClient({
    provider,
    audit: { required: [sink] },
    ...home,
    ...(deadlineMs !== undefined && { deadlineMs }),
  })
  return {
    endpoint,
    provider,
    kms,
    entries: sink.entries,
    last() {
      const entry = sink.entries.at(-1)
      if (entry === undefined) throw new Error('no entry')
      return entry
    },
    async close() {
      await kms.close()
      client.destroy()
      await endpoint.close()
    },
  }
}

/** The `KmsError` that a call must end in. */
export async function refusalOf(run: Promise<unknown>): Promise<KmsError> {
  const thrown = await run.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (thrown instanceof KmsError) return thrown
  throw new Error('expected a KmsError', { cause: thrown })
}
