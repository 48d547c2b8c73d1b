// Who asked, and from where: each request to Node's own server is served within its context, and every KMS call below it is
// recorded with it, however deep it is.
// prints: kms.encrypt by alice from 127.0.0.1, POST /orders/:id
import { once } from 'node:events'
import { createServer } from 'node:http'
import { KmsClient } from 'keytrail'
import { nodeContext, requestContext } from 'keytrail/context'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

const sink = memorySink()
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] }, context: requestContext })
await kms.createKey({ slug: 'orders' })

// Knows nothing of requests.
async function store(order) {
  return kms.encrypt({ key: 'orders', plaintext: new TextEncoder().encode(order) })
}

async function handle(_request, response) {
  await store('three apples')
  response.end('stored')
}

const actor = (request) => ({ type: 'user', id: String(request.headers['x-user']) })
const server = createServer(nodeContext(handle, { actor, route: '/orders/:id' })).listen(0, '127.0.0.1')
await once(server, 'listening')

await fetch(`http://127.0.0.1:${server.address().port}/orders/17`, { method: 'POST', headers: { 'x-user': 'alice' } })
server.close()

const entry = sink.entries.at(-1)
console.log(
  `${entry.action} by ${entry.actor.id} from ${entry.context.clientIp}, ${entry.context.method} ${entry.context.route}`,
)
await kms.close()
