// Express 5 behind a proxy: entries name the client that the proxy tells of, and the route's template with that of the router it is in.
// prints: kms.encrypt by alice from 203.0.113.9 through 127.0.0.1, POST /tenants/:tenant/orders/:id
import { once } from 'node:events'
import express from 'express'
import { KmsClient } from 'keytrail'
import { expressContext, requestContext } from 'keytrail/context'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

const sink = memorySink()
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] }, context: requestContext })
await kms.createKey({ slug: 'orders' })

const orders = express.Router()
orders.post('/orders/:id', async (request, response) => {
  const plaintext = new TextEncoder().encode(JSON.stringify(request.body))
  const { eventID } = await kms.encrypt({ key: 'orders', plaintext })
  response.json({ eventID })
})

const app = express()
app.use(expressContext({ trustedProxies: ['127.0.0.0/8'], forwardedHeader: 'x-forwarded-for' }))
app.use((request, _response, next) => {
  // Your own authentication, whenever it knows.
  requestContext.add({ actor: { type: 'user', id: String(request.get('x-user')) } })
  next()
})
app.use(express.json())
app.use('/tenants/:tenant', orders)
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')

await fetch(`http://127.0.0.1:${server.address().port}/tenants/acme/orders/17?token=secret`, {
  method: 'POST',
  // The first address is what the client claimed, the second what the proxy saw.
  headers: { 'x-user': 'alice', 'x-forwarded-for': '6.6.6.6, 203.0.113.9', 'content-type': 'application/json' },
  body: '{"apples":3}',
})
server.close()

const { action, actor, context } = sink.entries.at(-1)
console.log(
  `${action} by ${actor.id} from ${context.clientIp} through ${context.peerIp}, ${context.method} ${context.route}`,
)
await kms.close()
