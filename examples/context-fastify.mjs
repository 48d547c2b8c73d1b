// Fastify 5: a plugin, registered first; its hooks are those of the whole application.
// prints: kms.encrypt by alice from 127.0.0.1, POST /orders/:id, request req-1
import fastify from 'fastify'
import { KmsClient } from 'keytrail'
import { fastifyContext, requestContext } from 'keytrail/context'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

const sink = memorySink()
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] }, context: requestContext })
await kms.createKey({ slug: 'orders' })

const app = fastify()
await app.register(
  fastifyContext({
    actor: (request) => ({ type: 'user', id: String(request.headers['x-user']) }),
    requestId: (request) => request.id,
  }),
)
app.post('/orders/:id', async (request) => {
  const plaintext = new TextEncoder().encode(JSON.stringify(request.body))
  const { eventID } = await kms.encrypt({ key: 'orders', plaintext })
  return { eventID }
})
const origin = await app.listen({ host: '127.0.0.1', port: 0 })

await fetch(`${origin}/orders/17`, {
  method: 'POST',
  headers: { 'x-user': 'alice', 'content-type': 'application/json' },
  body: '{"apples":3}',
})
await app.close()

const entry = sink.entries.at(-1)
const { clientIp, method, route, requestId } = entry.context
console.log(`${entry.action} by ${entry.actor.id} from ${clientIp}, ${method} ${route}, request ${requestId}`)
await kms.close()
