/** @node A KMS client of the AWS SDK, audited, against the local endpoint. */
import {
  CreateAliasCommand,
  CreateKeyCommand,
  type KeySpec,
  type KMSClient,
  type KMSClientConfig,
} from '@aws-sdk/client-kms'
import { type AuditAwsKmsOptions, type AwsKmsAudit, auditAwsKms } from '../../../src/integrations/aws-sdk/index.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { type Puppet, puppet } from '../../audit/puppet.ts'
import { type EndpointOptions, type KmsEndpoint, startKmsEndpoint } from '../../providers/aws-kms/endpoint.ts'
import { sdkClient } from '../../providers/aws-kms/sdk-client.ts'

export interface Rig {
  readonly endpoint: KmsEndpoint
  readonly client: KMSClient
  /** Another on the same endpoint, without an audit: for what a test needs beside. */
  readonly plain: KMSClient
  readonly sink: Puppet
  readonly handle: AwsKmsAudit
  /** Makes a key and gives its ARN; with `alias`, under this name too. */
  newKey(spec?: KeySpec, alias?: string): Promise<string>
  /** Entries accepted, without those about the log itself. */
  entries(): readonly AuditEntry[]
  close(): Promise<void>
}

export interface RigOptions extends Partial<AuditAwsKmsOptions> {
  readonly config?: KMSClientConfig
  readonly endpoint?: EndpointOptions
}

export async function rig({ config = {}, endpoint: asked = {}, ...options }: RigOptions = {}): Promise<Rig> {
  const endpoint = await startKmsEndpoint(asked)
  const client = sdkClient(endpoint, { maxAttempts: 1, ...config })
  const plain = sdkClient(endpoint)
  const sink = puppet()
  const handle = auditAwsKms(client, {
    audit: { required: [sink], floods: { perWindow: Number.POSITIVE_INFINITY } },
    ...options,
  })
  return {
    endpoint,
    client,
    plain,
    sink,
    handle,
    async newKey(spec = 'SYMMETRIC_DEFAULT', alias) {
      const made = await plain.send(new CreateKeyCommand({ KeySpec: spec, KeyUsage: usageOf(spec) }))
      const { Arn = '', KeyId = '' } = made.KeyMetadata ?? {}
      if (alias !== undefined)
        await plain.send(new CreateAliasCommand({ AliasName: `alias/${alias}`, TargetKeyId: KeyId }))
      return Arn
    },
    entries: () => sink.accepted.filter(({ resourceType }) => resourceType !== 'audit_log'),
    async close() {
      sink.settle('accept')
      sink.mode = 'sync'
      await handle.close()
      client.destroy()
      plain.destroy()
      await endpoint.close()
    },
  }
}

function usageOf(spec: KeySpec) {
  if (spec.startsWith('HMAC')) return 'GENERATE_VERIFY_MAC'
  return spec === 'SYMMETRIC_DEFAULT' ? 'ENCRYPT_DECRYPT' : 'SIGN_VERIFY'
}

/** What of an entry does not differ from run to run. */
export function steady(entry: AuditEntry | undefined): object {
  const { schema, eventID, operationID, createdAt, instance, sequence, salt, durationMs, provider, ...rest } =
    entry as AuditEntry
  const { requestId, durationMs: sdkMs, ...traced } = provider ?? { name: 'none' }
  return { ...rest, provider: traced }
}
