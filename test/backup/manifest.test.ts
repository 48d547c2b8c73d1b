import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatManifest, type Manifest, parseManifest } from '../../src/backup/manifest.ts'

const manifest: Manifest = {
  createdAt: '2026-11-22T13:00:00.000Z',
  generation: 7,
  trails: [{ instance: 'main', origin: 'keytrail/x', size: 2n ** 60n, root: new Uint8Array(32).fill(3) }],
  files: [
    { path: 'keys/00000000000000000007.keys', bytes: 300, sha256: 'ab'.repeat(32) },
    { path: 'audit/main/trail.json', bytes: 0, sha256: '00'.repeat(32) },
  ],
}

function changed(change: (fields: Record<string, unknown>) => void): Uint8Array {
  const fields = JSON.parse(new TextDecoder().decode(formatManifest(manifest)))
  change(fields)
  return new TextEncoder().encode(JSON.stringify(fields))
}

test('what is written is read', () => {
  assert.deepEqual(parseManifest(formatManifest(manifest)), manifest)
})

for (const path of [
  'keys',
  'keys/',
  '/etc/passwd',
  '../keys/x',
  'keys/../../x',
  'audit/./x',
  'audit//x',
  'audit/a\\b',
  'audit/a\0b',
  'backup.json',
  'other/x',
])
  test(`a manifest that names ${JSON.stringify(path)} is refused`, () => {
    const bytes = changed((fields) => {
      fields['files'] = [{ ...manifest.files[0], path }]
    })
    assert.throws(() => parseManifest(bytes), { code: 'INVALID_INPUT', message: /not where a backup has its files/ })
  })

const wrong: readonly (readonly [string, unknown, RegExp])[] = [
  ['format', 'keytrail-backup/2', /its format is not/],
  ['createdAt', 7, /a field is missing/],
  ['generation', -1, /a field is missing/],
  ['generation', '7', /a field is missing/],
  ['trails', {}, /a field is missing/],
  ['files', undefined, /a field is missing/],
  ['trails', [{}], /a trail is not told/],
  ['trails', [{ instance: 'x', origin: 'y', size: '01', root: Buffer.alloc(32).toString('base64') }], /a trail is not/],
  ['trails', [null], /no object/],
  ['files', [{ path: 'keys/x', bytes: 1.5, sha256: 'ab'.repeat(32) }], /a file is not told/],
  ['files', [{ path: 'keys/x', bytes: 1, sha256: 'AB'.repeat(32) }], /a file is not told/],
]
for (const [field, value, message] of wrong)
  test(`a manifest with ${field} ${JSON.stringify(value)} is refused`, () => {
    const bytes = changed((fields) => {
      fields[field] = value
    })
    assert.throws(() => parseManifest(bytes), { code: 'INVALID_INPUT', message })
  })

test('anything else is refused with words', () => {
  for (const text of ['', 'null', '[]', '{', '"keytrail-backup/1"'])
    assert.throws(() => parseManifest(new TextEncoder().encode(text)), { code: 'INVALID_INPUT' })
  assert.throws(() => parseManifest(new Uint8Array([0xff])), { code: 'INVALID_INPUT' })
})
