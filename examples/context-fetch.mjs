// A fetch-style handler, as workers, Deno and Bun have them: what a Request does not tell, its host or its edge does.
// prints: kms.encrypt by cli from 203.0.113.9, POST /orders/:id
import { KmsClient } from 'keytrail'
import { fetchContext, requestContext } from 'keytrail/context'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

const sink = memorySink()
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] }, context: requestContext })
await kms.createKey({ slug: 'orders' })

async function answer(request) {
  const plaintext = new Uint8Array(await request.arrayBuffer())
  const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext })
  return new Response(ciphertext)
}

const handler = fetchContext(answer, {
  actor: (request) => ({ type: 'client', id: request.headers.get('x-client') ?? 'nobody' }),
  // A header that the edge sets, whatever the client sends.
  clientIp: (request) => request.headers.get('cf-connecting-ip'),
  route: '/orders/:id',
})

// What the host does: `export default { fetch: handler }`, `Deno.serve(handler)`.
await handler(
  new Request('https://edge.example/orders/17', {
    method: 'POST',
    headers: { 'x-client': 'cli', 'cf-connecting-ip': '203.0.113.9' },
    body: '{"apples":3}',
  }),
)

const { action, actor, context } = sink.entries.at(-1)
console.log(`${action} by ${actor.id} from ${context.clientIp}, ${context.method} ${context.route}`)
await kms.close()
