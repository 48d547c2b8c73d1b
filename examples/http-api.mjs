// The KMS over HTTP: one handler, here on Node's http, with the credentials and the rules of your own application. Whoever may
// not use a key hears what whoever names a key that is not there hears, and only the audit log tells the two apart.
// prints: alice: 200, attack at dawn
// prints: bob: 404 {"message":"not found"}
// prints: serviceAccount bob failed to decrypt something with payments: ACCESS_DENIED
import { once } from 'node:events'
import { createServer } from 'node:http'
import { KmsClient } from 'keytrail'
import { createKmsHandler, platformEntry, toNodeHandler } from 'keytrail/http-api'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

const tokens = new Map([
  ['Bearer a-token-of-alice', { type: 'user', id: 'alice' }],
  ['Bearer a-token-of-bob', { type: 'serviceAccount', id: 'bob' }],
])
const sink = memorySink()
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink] }, region: 'nl-01' })
const handler = createKmsHandler({
  kms,
  authenticate: (request) => {
    const actor = tokens.get(request.headers.get('authorization'))
    return actor && { actor }
  },
  authorize: ({ actor, key }) => key?.slug !== 'payments' || actor.id === 'alice',
})
const server = createServer(toNodeHandler(handler)).listen(0, '127.0.0.1')
await once(server, 'listening')

function post(token, path, body) {
  const headers = { authorization: token, 'x-organisation-identity': 'acme', 'content-type': 'application/json' }
  const url = `http://127.0.0.1:${server.address().port}/v1/kms/nl-01${path}`
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
}

const plaintext = Buffer.from('attack at dawn').toString('base64')
await post('Bearer a-token-of-alice', '/keys', { name: 'Payments' })
const sealed = await post('Bearer a-token-of-alice', '/keys/payments/encrypt', { plaintext })
const { ciphertext } = await sealed.json()
const alice = await post('Bearer a-token-of-alice', '/keys/payments/decrypt', { ciphertext })
console.log(`alice: ${alice.status}, ${Buffer.from((await alice.json()).plaintext, 'base64')}`)
const bob = await post('Bearer a-token-of-bob', '/keys/payments/decrypt', { ciphertext })
console.log(`bob: ${bob.status} ${await bob.text()}`)
console.log(platformEntry(sink.entries.at(-1)).description)

server.close()
server.closeAllConnections()
await kms.close()
