import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import type { AuditEntry } from '../../src/model/entry.ts'
import { operations } from '../../src/model/operation.ts'
import { describeEntry, renderEntry, renderTable, visible } from '../../src/sinks/render.ts'
import { exampleEntries, exampleEntry } from '../../src/testing/entries.ts'
import { fullEntry } from '../model/full-entry.ts'

const hostile = [
  '\u001b[2J\u001b[31mroot',
  'a\nb',
  'user\u202egro',
  '\u200b\u2028\u009b31m',
  '\ud800',
  '\\u001b',
  'a b "c"',
]

test('an entry is one line with what happened, to what, by whom', () => {
  assert.equal(
    renderEntry(exampleEntry()),
    '2026-01-02T03:04:05.000Z success kms.encrypt orders v1 user alice plaintext=120 ciphertext=206 0.04ms',
  )
})

test('a failure shows its code, a verdict what it was, an amendment that the result was withheld', () => {
  const failure = exampleEntry(0, { outcome: 'failure', error: 'INVALID_CIPHERTEXT', statusCode: 400 })
  assert.match(renderEntry(failure), / failure:INVALID_CIPHERTEXT /)
  assert.match(renderEntry(exampleEntry(0, { action: 'kms.verify', valid: false })), / success:invalid kms\.verify /)
  assert.match(renderEntry(exampleEntry(0, { phase: 'amendment' })), / success:withheld /)
})

test('what is absent takes no room', () => {
  const { keySlug: _, keyVersion: __, actor: ___, payloadSizes: ____, durationMs: _____, ...bare } = exampleEntry()
  assert.equal(renderEntry(bare), '2026-01-02T03:04:05.000Z success kms.encrypt kms-example')
})

test('the outcome is coloured when asked, and nothing else changes', () => {
  const plain = renderEntry(exampleEntry())
  const painted = renderEntry(exampleEntry(), { color: true })
  assert.ok(painted.includes('\u001b[32msuccess\u001b[0m'))
  assert.equal(stripVTControlCharacters(painted), plain)
  const failed = exampleEntry(0, { outcome: 'failure', error: 'INTERNAL' })
  assert.ok(renderEntry(failed, { color: true }).includes('\u001b[31mfailure\u001b[0m'))
})

test('a line is cut to the width of the terminal, whatever it is', () => {
  const entry = exampleEntry(0, { keySlug: '🔑'.repeat(50) })
  for (const width of [1, 2, 30, 40, 80]) {
    const line = stripVTControlCharacters(renderEntry(entry, { width, color: true }))
    assert.equal([...line].length, width)
    assert.ok(line.endsWith('…'))
    for (const row of renderTable([entry], { width }).split('\n')) assert.ok([...row].length <= width)
  }
  assert.doesNotMatch(renderEntry(entry, { width: 500 }), /…/)
  assert.throws(() => renderEntry(entry, { width: 0 }), { code: 'INVALID_INPUT' })
})

test('a table has its columns below one another', () => {
  const table = renderTable([
    exampleEntry(0),
    exampleEntry(1, { action: 'kms.decrypt', outcome: 'failure', error: 'KEY_NOT_FOUND', keySlug: 'a-longer-slug' }),
  ])
  const rows = table.split('\n')
  assert.equal(rows.length, 3)
  const columns = ['action', 'key', 'actor', 'bytes'].map((heading) => rows[0]?.indexOf(heading))
  assert.deepEqual(
    columns,
    ['kms.encrypt', 'orders', 'user', 'plaintext='].map((cell) => rows[1]?.indexOf(cell)),
  )
  assert.deepEqual(
    columns,
    ['kms.decrypt', 'a-longer', 'user', 'plaintext='].map((cell) => rows[2]?.indexOf(cell)),
  )
  assert.equal(renderTable([]).split('\n').length, 1)
})

test('a table of many entries is made in reasonable time', () => {
  assert.equal(renderTable(exampleEntries(20_000)).split('\n').length, 20_001)
})

const findingActions = ['raised', 'suppressed', 'suppression_added', 'suppression_removed'].map(
  (name) => `finding.${name}`,
)

test('nothing from an entry reaches a terminal unescaped', () => {
  for (const text of hostile) {
    for (const entry of [
      everywhere(text),
      { ...everywhere(text), action: 'audit.opened', resourceType: 'audit_log' },
      { ...everywhere(text), action: 'finding.raised', resourceType: 'finding' },
    ]) {
      for (const part of [{ outcome: 'failure' }, { outcome: 'unknown' }, { phase: 'intent' }] as const) {
        assert.doesNotMatch(describeEntry({ ...entry, ...part }), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
      }
      for (const action of [
        'kms.encrypt',
        text,
        'audit.sink_down',
        'audit.dropped',
        'audit.opened',
        ...findingActions,
        'constructor',
      ]) {
        const shown = { ...entry, action }
        assert.equal(renderEntry(shown, { color: true }), renderEntry(shown))
        for (const out of [renderEntry(shown), renderTable([shown]), describeEntry(shown)]) {
          assert.doesNotMatch(
            out.replaceAll('\n', out.startsWith('time') ? '' : '\n'),
            /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u,
          )
        }
        assert.equal(renderTable([shown]).split('\n').length, 2)
      }
    }
  }
})

test('a text with blanks cannot pass for two fields', () => {
  const entry = exampleEntry(0, { keySlug: 'orders v9 user root', actor: { type: 'user', id: 'a"b' } })
  assert.match(renderEntry(entry), / "orders v9 user root" v1 user "a\\"b" /)
  assert.match(renderEntry(exampleEntry(0, { keySlug: 'a\u00a0b' })), / "a\u00a0b" v1 /)
})

test('an entry that stands for many says for how many', () => {
  const entry = exampleEntry(0, { outcome: 'failure', error: 'KEY_NOT_FOUND', details: { joined: 150 } })
  assert.match(renderEntry(entry), / failure:KEY_NOT_FOUND×150 /)
})

test('escapes cannot be faked', () => {
  assert.equal(visible('\u001b'), '\\u001b')
  assert.equal(visible('\\u001b'), '\\\\u001b')
  assert.equal(visible('é €'), 'é €')
})

const secret = { resourceType: 'secret', resourceIdentity: '/db/password', details: { secretVersion: 3 } } as const

test('of a secret the path and the version are shown, not the key that it needed', () => {
  assert.match(
    renderEntry(exampleEntry(0, { ...secret, action: 'secret.get_value' })),
    / \/db\/password version 3 user /,
  )
})

const finding = {
  resourceType: 'finding',
  resourceIdentity: '0123456789abcdef0123456789abcdef',
  actor: { type: 'system', id: 'keytrail' },
  details: {
    rule: 'export',
    level: 'high',
    subject: 'key orders, actor user:alice',
    count: 3,
    until: '2026-03-01T00:00:00.000Z',
  },
} as const

test('of a finding its rule is shown where a key would stand', () => {
  assert.match(
    renderEntry(exampleEntry(0, { ...finding, action: 'finding.raised', keySlug: 'orders' })),
    / rule export /,
  )
})

const sentences: readonly (readonly [Partial<AuditEntry>, string])[] = [
  [{ ...secret, action: 'secret.get_value' }, 'user alice read the value of /db/password version 3'],
  [
    { ...secret, action: 'secret.put_value', phase: 'intent' },
    'user alice is about to write a value of /db/password version 3',
  ],
  [
    { resourceType: 'secret', resourceIdentity: '/db/', action: 'secret.list' },
    'user alice listed the secrets in /db/',
  ],
  [{}, 'user alice encrypted 120 bytes with orders v1'],
  [{ payloadSizes: { plaintext: 1 } }, 'user alice encrypted 1 byte with orders v1'],
  [{ action: 'kms.decrypt' }, 'user alice decrypted 206 bytes with orders v1'],
  [
    { action: 'kms.decrypt', outcome: 'failure', error: 'INVALID_CIPHERTEXT' },
    'user alice failed to decrypt 206 bytes with orders v1: INVALID_CIPHERTEXT',
  ],
  [
    {
      action: 'kms.decrypt',
      outcome: 'failure',
      error: 'KEY_NOT_FOUND',
      payloadSizes: {},
      details: { joined: 150, firstAt: '2026-01-02T03:04:06.000Z', lastAt: '2026-01-02T03:04:07.490Z' },
    },
    'user alice failed to decrypt something with orders v1: KEY_NOT_FOUND, 150 times from 2026-01-02T03:04:06.000Z to 2026-01-02T03:04:07.490Z',
  ],
  [
    { action: 'kms.verify', valid: false, payloadSizes: { input: 9 }, actor: { type: 'unknown' } },
    'an unknown caller verified a signature over 9 bytes with orders v1: not valid',
  ],
  [
    { action: 'kms.verify_hmac', valid: true, payloadSizes: { input: 9 } },
    'user alice verified an HMAC over 9 bytes with orders v1: valid',
  ],
  [
    { action: 'kms.rotate', phase: 'intent', outcome: 'pending', actor: { type: 'serviceAccount', id: 'ci' } },
    'serviceAccount ci is about to rotate orders v1',
  ],
  [
    { action: 'kms.rotate.scheduled', outcome: 'unknown', actor: { type: 'system', id: 'scheduler' } },
    'system scheduler may have rotated orders v1 on schedule; nobody can tell',
  ],
  [
    { action: 'kms.export', phase: 'amendment' },
    'user alice exported the key material of orders v1; the result was withheld',
  ],
  [
    {
      action: 'kms.re_encrypt',
      details: { destinationKey: { identity: 'kms-2', slug: 'archive', keyType: 'xaes256-gcm', keyVersion: 3 } },
    },
    'user alice re-encrypted 206 bytes from orders v1 to archive v3',
  ],
  [{ keySlug: "a$&b$'" }, "user alice encrypted 120 bytes with a$&b$' v1"],
  [
    { ...finding, action: 'finding.raised' },
    'rule export (high) found something: key orders, actor user:alice, in 3 entries',
  ],
  [
    { ...finding, action: 'finding.suppressed', reason: { code: 'T-42', ticket: 'migration' } },
    'a finding of rule export (high) was held back until 2026-03-01T00:00:00.000Z, because of T-42: key orders, actor user:alice',
  ],
  [
    { ...finding, action: 'finding.suppression_added', reason: { code: 'T-42' }, actor: { type: 'user', id: 'alice' } },
    'user alice holds back findings of rule export until 2026-03-01T00:00:00.000Z, because of T-42: key orders, actor user:alice',
  ],
  [
    { ...finding, action: 'finding.suppression_removed', reason: { code: 'expired' }, details: { rule: 'export' } },
    'system keytrail holds back findings of rule export no more, because of expired',
  ],
  [{ action: 'acme.frobnicate' }, 'user alice performed acme.frobnicate on orders v1'],
]

for (const [fields, sentence] of sentences) {
  test(`says: ${sentence}`, () => assert.equal(describeEntry(exampleEntry(0, fields)), sentence))
}

test('has a sentence of its own for every action', () => {
  for (const { action } of Object.values(operations)) {
    assert.doesNotMatch(describeEntry(exampleEntry(0, { action })), /performed/, action)
  }
})

const ofTheLog: readonly (readonly [string, AuditEntry['details'], string])[] = [
  [
    'audit.opened',
    { sinks: [{ name: 'trail', durability: 'synced', required: true }] },
    'the audit log was opened into trail (synced)',
  ],
  ['audit.closed', undefined, 'the audit log was closed'],
  ['audit.recovered', { quarantinedBytes: 17 }, 'the audit log was recovered; 17 bytes went to quarantine'],
  ['audit.sink_down', { sink: 'http' }, 'sink http stopped accepting entries'],
  [
    'audit.sink_up',
    { sink: 'http', refusedCalls: 3 },
    'sink http accepts entries again; 3 calls were refused meanwhile',
  ],
  ['audit.dropped', { sink: 'http', dropped: 5 }, 'sink http lost 5 entries'],
  ['audit.clock_stepped', { steppedMs: -5000 }, 'the clock was set by -5000 ms'],
  ['audit.heartbeat', undefined, 'the audit log is alive'],
  [
    'audit.key_rotated',
    { sink: 'trail', vkey: 'audit+1+AQ==', previousVkey: 'audit+0+AQ==' },
    'sink trail is signed by another key from here on: audit+1+AQ==',
  ],
  ['audit.pruned', { sink: 'trail', prunedBelow: '1234' }, 'sink trail drops its entries below index 1234'],
  [
    'audit.restored',
    { keystore: 'ks', generation: 7 },
    'a keystore at generation 7 was accepted although it does not fit the audit log',
  ],
  ['audit.space_low', { sink: 'trail', usedBytes: 81, budgetBytes: 100 }, 'sink trail has used 81 of 100 bytes'],
  ['audit.renamed', undefined, 'the audit log tells audit.renamed'],
]

for (const [action, details, sentence] of ofTheLog) {
  test(`says: ${sentence}`, () => {
    const entry = exampleEntry(0, { action, resourceType: 'audit_log', ...(details && { details }) })
    assert.equal(describeEntry(entry), sentence)
  })
}

/** `text` in place of every value, numbers too: an entry from a file that was tampered with. */
function everywhere(text: string): AuditEntry {
  const replaced = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(replaced)
    if (typeof value !== 'object' || value === null) return text
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, replaced(inner)]))
  }
  // The shape of an entry with the wrong types on purpose.
  return replaced(fullEntry) as AuditEntry
}
