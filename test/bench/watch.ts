/** @node What a live watch costs those who call. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { KmsClient } from '../../src/client.ts'
import { createDetector } from '../../src/detect/detector.ts'
import { shippedRules } from '../../src/detect/shipped.ts'
import { detectorSink } from '../../src/detect/sink.ts'
import type { AuditSink } from '../../src/model/sink.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { kibibyte } from './bare.ts'
import type { Contest, Figure, Side } from './figure.ts'

const calls = 2000
/** A service has other things to do in between: then the detector has its turn. */
const atOnce = 50

export const watchFigures: readonly Figure[] = [
  {
    name: 'watched',
    text: 'encrypt, memory sink, with a live detector ÷ without',
    of: 'time',
    open: () => contestWith(detectorSink(createDetector(shippedRules()), { onFindings: () => undefined })),
  },
  {
    name: 'watched-idle',
    text: 'the same, with a best-effort sink that does nothing ÷ without',
    of: 'time',
    open: () => contestWith({ name: 'idle', durability: 'memory', write: () => Promise.resolve() }),
  },
]

async function contestWith(watch: AuditSink): Promise<Contest> {
  const [without, watched] = [await client([]), await client([watch])]
  return {
    reference: without.side,
    ours: watched.side,
    async close() {
      await watched.kms.close()
      await without.kms.close()
      deepStrictEqual(
        watched.kms.health().sinks.map(({ lost }) => lost),
        [0, 0],
      )
    },
  }
}

async function client(bestEffort: readonly AuditSink[]): Promise<{ readonly kms: KmsClient; readonly side: Side }> {
  const sink = memorySink()
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink], bestEffort } })
  await kms.createKey({ slug: 'key', keyType: 'aes256-gcm96' })
  sink.clear()
  return {
    kms,
    side: {
      calls,
      async run() {
        for (let call = 1; call <= calls; call++) {
          await kms.encrypt({ key: 'key', plaintext: kibibyte })
          if (call % atOnce === 0) await setImmediate()
        }
      },
      check() {
        strictEqual(sink.entries.length, calls)
        sink.clear()
      },
    },
  }
}
