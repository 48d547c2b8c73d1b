/** A client over the transit provider over the endpoint, with the entries it leaves. */
import type { TestContext } from 'node:test'
import { KmsClient } from '../../../src/client.ts'
import { type VaultTransitOptions, vaultTransit } from '../../../src/providers/vault-transit/index.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { type Endpoint, type EndpointOptions, startEndpoint } from './endpoint.ts'

export interface Rig extends Awaited<ReturnType<typeof rig>> {}

export interface RigOptions {
  readonly endpoint?: EndpointOptions
  readonly provider?: Partial<VaultTransitOptions>
  readonly deadlineMs?: number
}

export async function rig(t: TestContext, options: RigOptions = {}) {
  const endpoint = await startEndpoint(options.endpoint)
  const provider = vaultTransit({ address: endpoint.address, token: endpoint.token, ...options.provider })
  const sink = memorySink()
  const { deadlineMs = 10_000 } = options
  const kms = new KmsClient({ provider, audit: { required: [sink] }, region: 'nl-01', project: 'billing', deadlineMs })
  t.after(async () => {
    await kms.close()
    await endpoint.close()
  })
  /** Result entries, without those of the log itself. */
  const results = () => sink.entries.filter(({ action, phase }) => action.startsWith('kms') && phase === 'result')
  return { endpoint, provider, sink, kms, results, last: () => results().at(-1) }
}

/** Requests of a path so far, as `METHOD path` below the mount. */
export function asked({ requests }: Endpoint, matches = /./): readonly string[] {
  return requests
    .map(({ method, path }) => `${method} ${path.replace('/v1/transit/', '')}`)
    .filter((one) => matches.test(one))
}

/** Resolves once a request of this kind has arrived. */
export async function seen(endpoint: Endpoint, matches: RegExp): Promise<void> {
  while (endpoint.count(matches) === 0) await new Promise((resolve) => setTimeout(resolve, 2))
}

export const bytes = (text: string): Uint8Array => new Uint8Array(new TextEncoder().encode(text))
export const text = (value: Uint8Array): string => new TextDecoder().decode(value)
