// Who asked, and from where: a web service binds each request's context once, and every KMS call below it is recorded
// with it, however deep it is.
// prints: kms.encrypt by alice from 127.0.0.1, POST /orders/:id
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { KmsClient } from 'keytrail'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

const requests = new AsyncLocalStorage()
const sink = memorySink()
const kms = new KmsClient({
  provider: memoryKms(),
  audit: { required: [sink] },
  context: { current: () => requests.getStore() },
})
await kms.createKey({ slug: 'orders' })

// Knows nothing of requests.
async function store(order) {
  return kms.encrypt({ key: 'orders', plaintext: new TextEncoder().encode(order) })
}

const server = createServer((request, response) => {
  const context = {
    actor: { type: 'user', id: String(request.headers['x-user']) },
    clientIp: request.socket.remoteAddress ?? '',
    userAgent: request.headers['user-agent'] ?? 'none',
    method: request.method ?? '',
    route: '/orders/:id',
  }
  requests.run(context, async () => {
    await store('three apples')
    response.end('stored')
  })
}).listen(0, '127.0.0.1')
await once(server, 'listening')

await fetch(`http://127.0.0.1:${server.address().port}/orders/17`, { method: 'POST', headers: { 'x-user': 'alice' } })
server.close()

const { action, actor, context } = sink.entries.at(-1)
console.log(`${action} by ${actor.id} from ${context.clientIp}, ${context.method} ${context.route}`)
await kms.close()
