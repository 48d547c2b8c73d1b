/** @node How many bytes an entry takes in the trail. */

import { ok } from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { KmsClient, type KmsClientOptions } from '../../src/client.ts'
import type { RequestContext } from '../../src/model/context.ts'
import { lineOf } from '../../src/model/line.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { kibibyte } from './bare.ts'
import { type Figure, type Measured, spread } from './figure.ts'
import { browser } from './requests.ts'

export const sizeFigures: readonly Figure[] = [
  {
    name: 'entry-minimal',
    text: 'bytes of an encrypt that says nothing of itself',
    unit: 'B',
    aim: { atMost: 600 },
    count: () => lineBytes({}, {}),
  },
  {
    name: 'entry-browser',
    text: "bytes of an encrypt in a browser's request",
    unit: 'B',
    aim: { atMost: 1000 },
    count: () => lineBytes({ region: 'nl-01', project: 'billing' }, browser),
  },
]

/** Newline included; several, because times and sequence numbers differ in length. */
async function lineBytes(scope: Pick<KmsClientOptions, 'region' | 'project'>, said: RequestContext): Promise<Measured> {
  const sink = memorySink()
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] }, ...scope })
  await kms.createKey({ slug: 'orders' })
  sink.clear()
  const bound = kms.with(said)
  for (let call = 0; call < 1000; call++) await bound.encrypt({ key: 'orders', plaintext: kibibyte })
  const lengths = sink.entries.map((entry) => Buffer.byteLength(lineOf(entry)) + 1)
  ok(lengths.length === 1000)
  await kms.close()
  return spread(lengths)
}
