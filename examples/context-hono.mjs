// Hono 4 on Node; on other runtimes `peerIp` says who connects.
// prints: kms.encrypt by alice from 127.0.0.1, POST /shop/orders/:id
import { once } from 'node:events'
import { serve } from '@hono/node-server'
import { getConnInfo } from '@hono/node-server/conninfo'
import { Hono } from 'hono'
import { KmsClient } from 'keytrail'
import { honoContext, requestContext } from 'keytrail/context'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

const sink = memorySink()
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] }, context: requestContext })
await kms.createKey({ slug: 'orders' })

const shop = new Hono()
shop.post('/orders/:id', async (c) => {
  const plaintext = new TextEncoder().encode(await c.req.text())
  const { eventID } = await kms.encrypt({ key: 'orders', plaintext })
  return c.json({ eventID })
})

const app = new Hono()
app.use(
  honoContext({
    actor: (c) => ({ type: 'user', id: String(c.req.header('x-user')) }),
    peerIp: (c) => getConnInfo(c).remote.address,
  }),
)
app.route('/shop', shop)
const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 })
await once(server, 'listening')

await fetch(`http://127.0.0.1:${server.address().port}/shop/orders/17`, {
  method: 'POST',
  headers: { 'x-user': 'alice' },
  body: '{"apples":3}',
})
server.close()

const { action, actor, context } = sink.entries.at(-1)
console.log(`${action} by ${actor.id} from ${context.clientIp}, ${context.method} ${context.route}`)
await kms.close()
