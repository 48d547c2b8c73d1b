/** The conformance kits that the package ships, over its own portable provider and sinks. */
import type { AuditEntry, AuditSink, CallInfo, KmsProvider } from 'keytrail'
import { memoryKms } from 'keytrail/providers/memory'
import { httpSink } from 'keytrail/sinks/http'
import { memorySink } from 'keytrail/sinks/memory'
import { fakeProvider, type ProviderUnderTest, providerConformance, sinkConformance } from 'keytrail/testing'
import type { PortableCase } from './case.ts'
import { type Received, secret } from './collected.ts'

const scope = { region: 'nl-01', project: 'billing' }

async function withKeys(provider: KmsProvider): Promise<ProviderUnderTest> {
  const operationID = '0199c9d0-1b00-7000-8000-000000000000'
  const call: CallInfo = { operationID, scope, signal: new AbortController().signal }
  const { createKey } = provider.operations
  await createKey?.({ slug: 'orders', keyType: 'aes256-gcm96' }, call)
  await createKey?.({ slug: 'archive', keyType: 'xaes256-gcm' }, call)
  await createKey?.({ slug: 'releases', keyType: 'ed25519' }, call)
  await createKey?.({ slug: 'cookies', keyType: 'hmac-sha256' }, call)
  return { provider, scope, keys: { encrypt: 'orders', other: 'archive', sign: 'releases', mac: 'cookies' } }
}

const providers: readonly PortableCase[] = [
  ...providerConformance(() => withKeys(memoryKms())).map(named('memory KMS')),
  ...providerConformance(() => withKeys(fakeProvider())).map(named('fake provider')),
]

const memory: readonly PortableCase[] = sinkConformance(() => {
  const sink = memorySink()
  return { sink, accepted: () => sink.entries }
}).map(named('memory sink'))

/** The kit is asked once for its names, and once more in the runtime, where the collector is known. */
const http: readonly PortableCase[] = sinkConformance(() => {
  throw new Error('made when it runs')
}).map(({ name }, at) => ({
  name: `http sink: ${name}`,
  run: async ({ collector }) => sinkConformance(() => httpUnderTest(collector))[at]?.run(),
}))

function httpUnderTest(collector: string): { readonly sink: AuditSink; accepted(): Promise<readonly AuditEntry[]> } {
  const id = globalThis.crypto.randomUUID()
  return {
    sink: httpSink({ url: `${collector}/accept/${id}`, secret }),
    async accepted() {
      const response = await fetch(`${collector}/received/${id}`)
      // The collector of the test answers so.
      const received = (await response.json()) as readonly Received[]
      const lines = received.flatMap(({ body }) => body.trim().split('\n'))
      return lines.map((line) => JSON.parse(line) as AuditEntry)
    },
  }
}

function named(subject: string) {
  return ({ name, run }: { readonly name: string; run(): Promise<void> }): PortableCase => ({
    name: `${subject}: ${name}`,
    run,
  })
}

export const kitCases: readonly PortableCase[] = [...providers, ...memory, ...http]
