import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { prepareContext } from '../../src/audit/context.ts'
import { compileFields } from '../../src/audit/fields.ts'
import { noShared, sharedJson } from '../shared.ts'

const all = compileFields()

test('what nobody said is unknown, never invented', () => {
  const { actor, context, origin, reason, flags } = prepareContext(all, {})
  assert.deepEqual(
    { actor, context, origin, reason, flags },
    { actor: { type: 'unknown' }, context: undefined, origin: undefined, reason: undefined, flags: [] },
  )
})

test('what is said later wins field by field, and the actor says where it was named', () => {
  const bound = { actor: { type: 'user', id: 'alice' }, userAgent: 'a', clientIp: '::1' } as const
  const { actor, context } = prepareContext(all, bound, { userAgent: 'b', requestId: 'r' })
  assert.deepEqual(actor, { type: 'user', id: 'alice', source: 'context' })
  assert.deepEqual(context, { clientIp: '::1', userAgent: 'b', requestId: 'r' })
  const called = prepareContext(all, bound, { actor: { type: 'client', id: 'cli', name: 'Client' } })
  assert.deepEqual(called.actor, { type: 'client', id: 'cli', name: 'Client', source: 'call' })
})

test('texts are capped and marked, without splitting a character', () => {
  const { actor, context, origin, reason } = prepareContext(all, {
    actor: { type: 'user', id: 'i'.repeat(300), name: 'n'.repeat(129) },
    userAgent: `${'u'.repeat(255)}😀`,
    requestId: 'r'.repeat(129),
    origin: { service: 's'.repeat(65), resource: 'p'.repeat(513) },
    reason: { code: 'c'.repeat(129), ticket: 't'.repeat(129) },
  })
  assert.equal(actor.id, `${'i'.repeat(256)}…#300`)
  assert.equal(actor.name, `${'n'.repeat(128)}…#129`)
  assert.equal(context?.userAgent, `${'u'.repeat(255)}…#257`)
  assert.equal(context?.requestId, `${'r'.repeat(128)}…#129`)
  assert.equal(origin?.service, `${'s'.repeat(64)}…#65`)
  assert.equal(origin?.resource, `${'p'.repeat(512)}…#513`)
  assert.deepEqual(reason, { code: `${'c'.repeat(128)}…#129`, ticket: `${'t'.repeat(128)}…#129` })
})

test('a bad IP address, a bad traceparent and a query string are dropped and flagged', () => {
  const { context, flags } = prepareContext(all, {
    clientIp: '010.0.0.1',
    traceparent: '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
    route: '/orders/:id?token=secret',
  })
  assert.deepEqual(context, { route: '/orders/:id' })
  assert.deepEqual(flags, ['client_ip_invalid', 'traceparent_invalid', 'route_query_dropped'])
})

test('the peer stands beside the client, held to the same rules', () => {
  const said = { clientIp: '2001:DB8::7', peerIp: '::ffff:10.0.0.1' }
  assert.deepEqual(prepareContext(all, said).context, { clientIp: '2001:db8::7', peerIp: '10.0.0.1' })
  const prefixes = compileFields({ clientIp: 'prefix' })
  assert.deepEqual(prepareContext(prefixes, said).context, { clientIp: '2001:db8::/48', peerIp: '10.0.0.0/24' })
  assert.deepEqual(prepareContext(all, { peerIp: '10.0.0.1:443' }).flags, ['peer_ip_invalid'])
  assert.equal(prepareContext(compileFields({ clientIp: 'none' }), said).context, undefined)
})

test('the caller cannot change what it has said', () => {
  const said = { actor: { type: 'user', id: 'alice' }, userAgent: 'a' } as const
  const prepared = prepareContext(all, said)
  Object.assign(said, { userAgent: 'changed' })
  Object.assign(said.actor, { id: 'mallory' })
  assert.equal(prepared.actor.id, 'alice')
  assert.equal(prepared.said.actor?.id, 'alice')
  assert.throws(() => Object.assign(prepared.said, { userAgent: 'changed' }), TypeError)
})

describe('wrong types are INVALID_INPUT', () => {
  const wrong: unknown[] = [
    null,
    'alice',
    { actor: 'alice' },
    { actor: { type: 'god', id: 'x' } },
    { actor: { type: 'user' } },
    { actor: { type: 'user', id: '' } },
    { clientIp: 7 },
    { reason: 'because' },
    { reason: {} },
    { origin: [] },
    { userAgent: {} },
  ]
  for (const context of wrong)
    test(JSON.stringify(context), () => {
      assert.throws(() => prepareContext(all, context as never), { code: 'INVALID_INPUT' })
    })
})

test('the field policy drops, hashes, shortens and masks before anything is kept', () => {
  const hashKey = new Uint8Array(32).fill(7)
  const fields = compileFields({
    clientIp: 'prefix',
    drop: ['actor.name', 'requestId'],
    hash: ['actor.id'],
    shorten: { userAgent: 7 },
    hashKey,
  })
  const { actor, context } = prepareContext(fields, {
    actor: { type: 'user', id: 'alice', name: 'Alice' },
    clientIp: '192.0.2.7',
    userAgent: 'Mozilla/5.0',
    requestId: 'r',
  })
  const lp = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)])
  const mac = createHmac('sha256', hashKey).update(Buffer.concat([lp('keytrail/field/1'), lp('actor.id'), lp('alice')]))
  assert.deepEqual(actor, {
    type: 'user',
    id: `h:${mac.digest().subarray(0, 16).toString('base64url')}`,
    source: 'context',
  })
  assert.deepEqual(context, { clientIp: '192.0.2.0/24', userAgent: 'Mozilla…#11' })
  assert.equal(
    fields.text,
    'clientIp=prefix encryptionContext=clear drop=actor.name,requestId hash=actor.id shorten=userAgent:7',
  )
  assert.doesNotMatch(fields.text, /07|Bwc/, 'the key is not told')
})

test('IP modes: full, prefix, hash, none', () => {
  const hashKey = new Uint8Array(16)
  const ip = (clientIp: 'full' | 'prefix' | 'hash' | 'none') =>
    prepareContext(compileFields({ clientIp, hashKey }), { clientIp: '2001:db8::1' }).context?.clientIp
  assert.equal(ip('full'), '2001:db8::1')
  assert.equal(ip('prefix'), '2001:db8::/48')
  assert.match(ip('hash') ?? '', /^h:[\w-]{22}$/)
  assert.equal(ip('none'), undefined)
})

test('encryption-context modes: clear, names, drop', () => {
  const hashKey = new Uint8Array(16)
  const keep = (encryptionContext: 'clear' | 'names' | 'drop') =>
    compileFields({ encryptionContext, hashKey }).encryptionContext({ order: '17', user: '17' })
  assert.deepEqual(keep('clear'), { order: '17', user: '17' })
  const names = keep('names') ?? {}
  assert.deepEqual(Object.keys(names), ['order', 'user'])
  assert.match(names['order'] ?? '', /^h:[\w-]{22}$/)
  assert.notEqual(names['order'], names['user'], 'equal values under different names do not link')
  assert.equal(keep('drop'), undefined)
})

test('hostile text is capped in linear time and never throws', { skip: noShared }, () => {
  const hostile = sharedJson<{ logInjection: string[]; badUnicode: string[]; ips: string[] }>('vectors/hostile.json')
  for (const text of [...hostile.logInjection, ...hostile.badUnicode, 'x'.repeat(1e6)]) {
    const { context } = prepareContext(all, {
      userAgent: text,
      requestId: text,
      route: text,
      clientIp: text,
      traceparent: text,
    })
    assert.ok((context?.userAgent?.length ?? 0) <= 256 + 10)
    assert.equal(context?.clientIp, undefined)
  }
  const ips = hostile.ips
    .filter((ip) => ip !== '')
    .map((clientIp) => prepareContext(all, { clientIp }).context?.clientIp)
  assert.deepEqual(ips, ['::1', undefined, undefined, undefined, undefined])
})
