// OpenSSL 3.5's ML-DSA, by the node:crypto of Node 24: takes what we made as JSON on standard input, answers with what it made.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { text } from 'node:stream/consumers'

const hex = (bytes) => Buffer.from(bytes).toString('hex')
const given = JSON.parse(await text(process.stdin))
const message = Buffer.from(given.message, 'hex')
const answer = given.ours.map(({ keyType, spki, pkcs8, jwk, signature }) => {
  const publicKey = createPublicKey({ key: Buffer.from(spki, 'hex'), format: 'der', type: 'spki' })
  const privateKey = createPrivateKey({ key: Buffer.from(pkcs8, 'hex'), format: 'der', type: 'pkcs8' })
  const fromJwk = createPrivateKey({ key: jwk, format: 'jwk' })
  const own = generateKeyPairSync(keyType)
  return {
    verified: verify(null, message, publicKey, Buffer.from(signature, 'hex')),
    refused: !verify(null, Buffer.concat([message, message]), publicKey, Buffer.from(signature, 'hex')),
    isSameKey: createPublicKey(privateKey).equals(publicKey) && fromJwk.equals(privateKey),
    signature: hex(sign(null, message, privateKey)),
    own: {
      spki: hex(own.publicKey.export({ format: 'der', type: 'spki' })),
      pkcs8: hex(own.privateKey.export({ format: 'der', type: 'pkcs8' })),
      jwk: own.privateKey.export({ format: 'jwk' }),
      signature: hex(sign(null, message, own.privateKey)),
    },
  }
})
process.stdout.write(JSON.stringify(answer))
