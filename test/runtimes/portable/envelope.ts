/** Cases for envelopes: the host's own streams, and the same messages on both engines. */
import { envelope, reEncryptAll } from 'keytrail/envelope'
import { type PortableCase, scene } from './case.ts'
import { counted, demand, demandBytes, demandEqual, demandOwned, flipped, refused } from './check.ts'

const key = 'orders'
const encryptionContext = { order: '17', tenant: 'é' }

export const envelopeCases: readonly PortableCase[] = [
  {
    name: 'envelope: opens what it sealed, whole and as a stream, and leaves an entry each',
    async run() {
      const { kms, lines, entries } = scene()
      await kms.createKey({ slug: key })
      const orders = envelope({ kms, key, cache: {}, chunkLength: 4096 })
      for (const length of [0, 1, 4096, 10_000]) {
        const plaintext = counted(length)
        const { sealed } = await orders.seal({ plaintext, encryptionContext })
        demandOwned(sealed, 'a sealed message')
        demandBytes((await orders.open({ sealed, encryptionContext })).plaintext, plaintext, 'the plaintext')
        const through = new Blob([plaintext]).stream().pipeThrough(orders.sealStream({ encryptionContext }))
        const opened = new Response(through.pipeThrough(orders.openStream({ encryptionContext })))
        demandBytes(new Uint8Array(await opened.arrayBuffer()), plaintext, 'the plaintext of the stream')
      }
      const made = lines().filter((line) => line === `kms.generate_data_key success ${key} v1`)
      demand(made.length === 8, `8 messages must have 8 entries, not ${made.length}`)
      const hits = entries().filter(({ details }) => details?.cache?.hit === true)
      demand(hits.length >= 7, 'uses of a cached data key must say so')
      await orders.close()
    },
  },
  {
    name: 'envelope: what was changed or cut does not open, whole or as a stream',
    async run() {
      const { kms, last } = scene()
      await kms.createKey({ slug: key })
      const orders = envelope({ kms, key, chunkLength: 4096 })
      const { sealed } = await orders.seal({ plaintext: counted(10_000), encryptionContext })
      for (const changed of [flipped(sealed, 0), flipped(sealed, 40), flipped(sealed, 9000), sealed.slice(0, -1)]) {
        const refusal = await refused(orders.open({ sealed: changed, encryptionContext }), 'INVALID_CIPHERTEXT')
        demandEqual([last().eventID, last().error], [refusal.eventID, 'INVALID_CIPHERTEXT'], 'the entry')
        const body = new Blob([changed.slice()]).stream().pipeThrough(orders.openStream({ encryptionContext }))
        const reader = body.getReader()
        const read = async (): Promise<void> => {
          while (!(await reader.read()).done);
        }
        await refused(read(), 'INVALID_CIPHERTEXT')
      }
    },
  },
  {
    name: 'envelope: a message moves to the newest version of its key',
    async run() {
      const { kms } = scene()
      await kms.createKey({ slug: key })
      const orders = envelope({ kms, key })
      const { sealed } = await orders.seal({ plaintext: counted(1000), encryptionContext })
      await kms.rotate({ key })
      const items = [{ id: 'one', ciphertext: sealed, encryptionContext }]
      for await (const one of reEncryptAll({ kms, key, items })) {
        demand(one.verdict === 'moved' && one.to === 2, 'the message must be moved to version 2')
        const opened = await orders.open({ sealed: one.ciphertext, encryptionContext })
        demandBytes(opened.plaintext, counted(1000), 'the plaintext')
      }
    },
  },
]
