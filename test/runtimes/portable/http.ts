/** Cases for the http sink, against a collector that another process, and another program, runs. */
import { type AuditEntry, KmsClient, lineOf } from 'keytrail'
import { memoryKms } from 'keytrail/providers/memory'
import { httpSink, verifySignature } from 'keytrail/sinks/http'
import { summary } from 'keytrail/testing'
import type { PortableCase, Runtime } from './case.ts'
import { demand, demandEqual, refused, utf8 } from './check.ts'
import { type Behaviour, type Received, secret } from './collected.ts'

const plaintext = utf8('attack at dawn')
function fresh(
  runtime: Runtime,
  behaviour: Behaviour,
): { readonly url: string; received(): Promise<readonly Received[]> } {
  const id = globalThis.crypto.randomUUID()
  return {
    url: `${runtime.collector}/${behaviour}/${id}`,
    async received() {
      const response = await fetch(`${runtime.collector}/received/${id}`)
      // The collector of the test answers so.
      return (await response.json()) as readonly Received[]
    },
  }
}

function entriesOf(received: readonly Received[]): readonly AuditEntry[] {
  return received.flatMap(({ body }) =>
    body
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditEntry),
  )
}

export const httpCases: readonly PortableCase[] = [
  {
    name: 'http sink: the collector has every entry, signed, before the result is there',
    async run(runtime) {
      const { url, received } = fresh(runtime, 'accept')
      const sink = httpSink({ url, secret, headers: { authorization: 'Bearer t' } })
      const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] } })
      await kms.createKey({ slug: 'orders' })
      const { eventID } = await kms.encrypt({ key: 'orders', plaintext })
      const requests = await received()
      demand(requests.length > 0 && requests.every(({ signed }) => signed), 'every request must be signed')
      const [first] = requests
      demandEqual([first?.contentType, first?.authorization], ['application/x-ndjson', 'Bearer t'], 'the headers')
      const entries = entriesOf(requests)
      demandEqual(first?.batch, entries[0]?.eventID, 'the name of the first batch')
      demandEqual(entries.at(-1)?.eventID, eventID, 'the newest entry')
      demandEqual(
        requests.map(({ body }) => body).join(''),
        entries.map((entry) => `${lineOf(entry)}\n`).join(''),
        'the lines',
      )
      demandEqual(
        summary(entries).slice(-3),
        ['kms_key.create pending orders', 'kms_key.create success orders', 'kms.encrypt success orders v1'],
        'entries',
      )
      demand(kms.health().durable, 'a required remote sink is durable')
      await kms.close()
    },
  },
  {
    name: 'http sink: a collector that is busy once gets the same batch again',
    async run(runtime) {
      const { url, received } = fresh(runtime, 'busy-once')
      const kms = new KmsClient({ provider: memoryKms(), audit: { required: [httpSink({ url, secret })] } })
      await kms.createKey({ slug: 'orders' })
      const [first, second] = await received()
      demand(first !== undefined && first.body === second?.body, 'the second request must be the first again')
      await kms.close()
    },
  },
  {
    name: 'http sink: a collector that refuses, redirects, is silent or is not there lets nothing out',
    async run(runtime) {
      const silent = { timeoutMs: 150, retries: 0 }
      // A port where nobody listens, and which fetch does not refuse by itself.
      const nobody = 'http://127.0.0.1:2/nobody'
      const wrong: readonly (readonly [string, string])[] = [
        [fresh(runtime, 'refuse').url, 'answered 400'],
        [fresh(runtime, 'redirect').url, 'redirected'],
        [fresh(runtime, 'hang').url, 'did not answer within timeoutMs'],
        [nobody, 'could not be reached'],
      ]
      for (const [url, why] of wrong) {
        const sink = httpSink({ url, secret, ...silent })
        const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink], sinkDeadlineMs: 300 } })
        const refusal = await refused(kms.createKey({ slug: 'orders' }), 'AUDIT_REFUSED')
        const told = [refusal.message, refusal.cause instanceof Error ? refusal.cause.message : ''].join(' ')
        demand(told.includes(why), `the refusal must say that it ${why}, and says: ${told}`)
        await kms.close().catch((error: unknown) => error)
      }
    },
  },
  {
    name: 'http sink: verifySignature accepts the known answer, and nothing beside it',
    async run() {
      // HMAC-SHA-256 (RFC 2104) of `1767323045.{}` + newline with the bytes 00 … 1f, by Python's hmac.
      const known = {
        secret: Uint8Array.from({ length: 32 }, (_, at) => at),
        timestamp: '1767323045',
        signature: 'v1=1ab9c2addc4ddd0a9b5f251fdd93d466a68f302ee6d7de2da9865c207ea925e7',
        body: utf8('{}\n'),
        now: 1_767_323_045_000,
      }
      demand(verifySignature(known), 'the known answer must verify')
      demand(!verifySignature({ ...known, body: utf8('{} \n') }), 'another body must not verify')
      demand(!verifySignature({ ...known, timestamp: '1767323046' }), 'another time must not verify')
      demand(!verifySignature({ ...known, now: known.now + 300_001 }), 'an old request must not verify')
    },
  },
]
