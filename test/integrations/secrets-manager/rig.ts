/** A Secrets Manager over the embedded KMS, in memory, and what it leaves behind. */
import { createAudit } from '../../../src/audit/emitter.ts'
import { KmsClient, type KmsClientOptions } from '../../../src/client.ts'
import {
  memorySecretStore,
  type SecretStore,
  type SecretsManager,
  secretsManager,
} from '../../../src/integrations/secrets-manager/index.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import type { KmsProvider } from '../../../src/model/provider.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { type FakeClock, fakeClock } from '../../../src/testing/clock.ts'
import { type Puppet, puppet } from '../../audit/puppet.ts'

export interface Rig {
  readonly clock: FakeClock
  readonly sink: Puppet
  readonly kms: KmsClient
  readonly store: SecretStore
  readonly secrets: SecretsManager
  /** Accepted since the last look, without those about the log and about keys. */
  entries(): readonly AuditEntry[]
}

export interface RigOptions extends Partial<KmsClientOptions> {
  readonly store?: SecretStore
  readonly provider?: KmsProvider
  readonly require?: Readonly<Record<string, readonly 'reason'[]>>
}

/** With the key `orders`, region nl-01, project billing; who asks is alice, unless `context` says otherwise. */
export async function rig(options: RigOptions = {}): Promise<Rig> {
  const { store = memorySecretStore(), provider, require = {}, ...rest } = options
  const clock = fakeClock()
  const sink = puppet()
  const audit = createAudit({ required: [sink], clock, require })
  const kms = new KmsClient({
    provider: provider ?? memoryKms({ clock }),
    audit,
    region: 'nl-01',
    project: 'billing',
    ...rest,
  }).with({ actor: { type: 'user', id: 'alice' }, clientIp: '192.0.2.7', userAgent: 'curl/8.5.0', requestId: 'r-1' })
  await kms.createKey({ slug: 'orders' })
  const secrets = secretsManager({ kms, store })
  let seen = 0
  return {
    clock,
    sink,
    kms,
    store,
    secrets,
    entries() {
      const fresh = sink.accepted.slice(seen)
      seen = sink.accepted.length
      return fresh.filter(({ action }) => /^(?:secret|kms)\./.test(action))
    },
  }
}

/** Action, phase unless it is a result, outcome, error, secret and key version, rule. */
export function told(entries: readonly AuditEntry[]): readonly string[] {
  return entries.map(({ action, phase, outcome, error, resourceIdentity, keyVersion, details = {} }) =>
    [
      action,
      phase === 'amendment' ? 'withheld' : outcome,
      error,
      action.startsWith('secret.') ? resourceIdentity : undefined,
      details.secretVersion !== undefined ? `#${details.secretVersion}` : undefined,
      keyVersion !== undefined ? `v${keyVersion}` : undefined,
      details.rule,
    ]
      .filter((word) => word !== undefined)
      .join(' '),
  )
}
