/** @node A web service on Express, behind a proxy, that reads a secret; and what `audit trace` tells of it afterwards. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { before, test } from 'node:test'
import express from 'express'
import { isUsageError, readCommandLine } from '../../src/cli/command.ts'
import { trace } from '../../src/cli/trace.ts'
import { KmsClient } from '../../src/client.ts'
import { expressContext, requestContext } from '../../src/integrations/context/index.ts'
import { secretsManager } from '../../src/integrations/secrets-manager/index.ts'
import { openSecretFiles } from '../../src/integrations/secrets-manager/secret-files.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import { openTrail, verifyTrail } from '../../src/trail/index.ts'
import { keytrail, temporary } from './run.ts'

const folder = temporary()
const audit = join(folder, 'audit')
const path = '/billing/database'
const nobody = '0199c9d0-1b00-7000-8000-000000000000'
let got = ''
let put = ''
let decrypted = ''

before(async () => {
  const allowFilesystem = ['tmpfs']
  const rootKey = crypto.getRandomValues(new Uint8Array(32))
  const local = await openLocalKms({ path: join(folder, 'keys'), rootKey, allowFilesystem })
  const trail = await openTrail({ path: audit, signer: local.auditSigner(), allowFilesystem })
  const kms = new KmsClient({ provider: local, audit: { required: [trail] }, context: requestContext })
  const secrets = secretsManager({
    kms,
    store: await openSecretFiles({ path: join(folder, 'secrets'), allowFilesystem }),
  })
  await kms.createKey({ slug: 'orders' })
  put = (await secrets.create({ path, key: 'orders', secretString: 'hunter2' })).eventID
  const orders = express.Router().get('/:id', async (_request, response) => {
    // Knows nothing of who asks.
    got = (await secrets.get({ path })).eventID
    response.send('done')
  })
  const app = express()
  app.use(expressContext({ trustedProxies: ['127.0.0.0/8'], requestId: 'x-request-id' }))
  app.use((request, _response, next) => {
    requestContext.add({ actor: { type: 'user', id: request.get('x-user') ?? '' } })
    next()
  })
  app.use('/orders', orders)
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const headers = {
    'user-agent': 'shop/1.2',
    'x-forwarded-for': '6.6.6.6, 203.0.113.9',
    'x-request-id': 'r-17',
    'x-user': 'alice',
  }
  await (await fetch(`http://127.0.0.1:${port}/orders/17?token=hunter2`, { headers })).text()
  server.close()
  await secrets.close()
  await kms.close()
})

test('from the eventID of either end to the whole chain, with the address and the agent of the client', async () => {
  const { code, stdout, stderr } = await keytrail(['audit', 'trace', got, audit])
  assert.deepEqual([code, stderr], [0, ''])
  const [request = '', secret = '', kms = ''] = stdout.split('\n')
  assert.equal(
    request,
    'request  GET /orders/:id, request r-17, by user alice, from 203.0.113.9, through 127.0.0.1, with shop/1.2',
  )
  assert.match(
    secret,
    new RegExp(`^secret   \\S+Z {2}secret.get_value {2}success {2}${path} {2}version 1 {2}key orders v1 {2}${got}$`),
  )
  assert.match(
    kms,
    /^kms {6}\S+Z {2}kms.decrypt {2}success {2}for \/billing\/database {2}key orders v1 {2}[0-9a-f-]{36}$/,
  )
  decrypted = kms.split('  ').at(-1) ?? ''
  assert.equal((await keytrail(['audit', 'trace', decrypted, audit])).stdout, stdout)
  assert.equal((await keytrail(['audit', 'trace', '--request', 'r-17', audit])).stdout, stdout)
  assert.equal((await keytrail(['audit', 'trace', '--request', 'r-17', '--dir', folder])).stdout, stdout)
})

test('the trail that tells it is valid', async () => {
  assert.equal((await verifyTrail(audit)).verdict, 'valid')
})

test('as JSON, one line a call, with the entries as they stand in the trail', async () => {
  const { stdout } = await keytrail(['audit', 'trace', put, audit, '--json'])
  const told = JSON.parse(stdout) as Record<string, { eventID: string; phase: string; origin?: { eventID: string } }>
  assert.equal(stdout.split('\n').length, 2)
  assert.equal(told['kind'], 'chain')
  assert.deepEqual([told['intent']?.phase, told['secret']?.eventID, told['kms']?.origin?.eventID], ['intent', put, put])
})

test('a trail without orphans is 0; with --since a chain that was cut is none', async () => {
  const { code, stdout } = await keytrail(['audit', 'trace', audit])
  assert.deepEqual([code, stdout], [0, 'no orphans\n'])
  assert.equal((await keytrail(['audit', 'trace', '--orphans', '--since', '1h', audit])).stdout, 'no orphans\n')
})

test('a KMS call in the name of a Secrets Manager that tells of none is an orphan, and 1', async () => {
  const rootKey = crypto.getRandomValues(new Uint8Array(32))
  const local = await openLocalKms({ path: join(folder, 'other-keys'), rootKey, allowFilesystem: ['tmpfs'] })
  const other = join(folder, 'other')
  const trail = await openTrail({ path: other, signer: local.auditSigner(), allowFilesystem: ['tmpfs'] })
  const kms = new KmsClient({ provider: local, audit: { required: [trail] } })
  await kms.createKey({ slug: 'orders' })
  const origin = { service: 'secrets-manager', eventID: nobody, resource: '/forged\u001b[2J' }
  await kms.with({ clientIp: '203.0.113.9', origin }).encrypt({ key: 'orders', plaintext: Uint8Array.of(1) })
  await kms.close()
  const { code, stdout } = await keytrail(['audit', 'trace', other])
  assert.equal(code, 1)
  assert.match(
    stdout,
    /^orphan: a KMS call for a secret, and no entry of the secret.*\nrequest {2}by unknown, from 203\.0\.113\.9\nkms {6}.* {2}for \/forged\\u001b\[2J {2}.*\n\n1 orphan\n$/,
  )
  const byOrigin = await keytrail(['audit', 'trace', nobody, other])
  assert.equal(byOrigin.code, 1)
  assert.match(byOrigin.stdout, /^orphan: /)
})

test('an eventID that no call has is 1; a command line that asks for two things is 2', async () => {
  const { code, stderr } = await keytrail(['audit', 'trace', nobody, audit])
  assert.equal(code, 1)
  assert.match(stderr, /no call of a Secrets Manager/)
  for (const args of [
    [got, '--orphans'],
    [got, '--request', 'r'],
    ['--request', 'r', '--orphans'],
    [audit, audit],
    [audit, got],
  ])
    await assert.rejects(async () => trace.run(readCommandLine(trace, args)), isUsageError, args.join(' '))
})
