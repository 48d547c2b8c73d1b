/** @node */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import { type CloudTrailSource, readCloudTrail } from '../../../src/integrations/reconcile/index.ts'
import { scanRecords } from '../../../src/integrations/reconcile/json-records.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { freshFolder } from '../../storage/folder.ts'
import { kmsRecord } from './records.ts'

async function idsIn(...sources: readonly CloudTrailSource[]): Promise<readonly unknown[]> {
  const ids: unknown[] = []
  for await (const record of readCloudTrail(sources)) ids.push((record as Record<string, unknown>)['eventID'])
  return ids
}

const records = [1, 2, 3].map(() =>
  kmsRecord({ more: { odd: 'a "quoted\\" } ] { text [ \\\\', nested: { Records: [{}] } } }),
)
const ids = records.map(({ eventID }) => eventID)
const s3 = kmsRecord({ more: { eventSource: 's3.amazonaws.com' } })

/** The forms that an export comes in. */
const forms: Record<string, string> = {
  'a log file': JSON.stringify({ Records: [...records, s3] }),
  'a log file spread over lines': JSON.stringify({ Records: [s3, ...records] }, undefined, 2),
  'a list': JSON.stringify(records),
  'JSON Lines': `${records.map((record) => JSON.stringify(record)).join('\n')}\n`,
  'JSON Lines with a byte order mark and Windows ends': `\ufeff${records.map((record) => JSON.stringify(record)).join('\r\n')}`,
  'two log files in a row': records.map((record) => JSON.stringify({ Records: [record] })).join('\n'),
  'a log file with more after its records': JSON.stringify({
    Version: '1',
    Records: records,
    Events: [],
    More: { a: [[1]] },
  }),
}

const lookup = JSON.stringify(
  {
    Events: records.map((record) => ({
      EventId: record['eventID'],
      EventName: record['eventName'],
      ReadOnly: 'true',
      EventTime: '2026-01-05T08:00:00+00:00',
      EventSource: 'kms.amazonaws.com',
      Resources: [{ ResourceType: 'AWS::KMS::Key', ResourceName: 'x' }],
      CloudTrailEvent: JSON.stringify(record),
    })),
    NextToken: 'abc',
  },
  undefined,
  4,
)

function write(t: TestContext, files: Record<string, string | Uint8Array>): string {
  const folder = freshFolder(t)
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

for (const [form, text] of Object.entries(forms))
  test(`${form} is read, plain and with gzip, of AWS KMS only`, async (t) => {
    const folder = write(t, { 'plain.json': text, 'packed.anything': gzipSync(text) })
    assert.deepEqual(await idsIn(join(folder, 'plain.json')), ids)
    assert.deepEqual(await idsIn(join(folder, 'packed.anything')), ids)
  })

test('what lookup-events answers is read, with the event as the text that it is', async (t) => {
  const folder = write(t, { 'lookup.json': lookup })
  const found: unknown[] = []
  for await (const record of readCloudTrail([join(folder, 'lookup.json')])) found.push(record)
  assert.deepEqual(
    found.map((record) => JSON.parse((record as { CloudTrailEvent: string }).CloudTrailEvent)),
    JSON.parse(JSON.stringify(records)),
  )
})

test('a folder is read with all below it, in the order of names, without digests, insights and other files', async (t) => {
  const file = (at: number) => JSON.stringify({ Records: [records[at]] })
  const folder = write(t, {
    'AWSLogs/1/CloudTrail/eu/2026/01/b.json': file(1),
    'AWSLogs/1/CloudTrail/eu/2026/01/a.json.gz': gzipSync(file(0)),
    'AWSLogs/1/CloudTrail/eu/2026/02/a.jsonl': `${JSON.stringify(records[2])}\n`,
    'AWSLogs/1/CloudTrail-Digest/eu/2026/01/a.json.gz': gzipSync('{"digestStartTime":"x"}'),
    'AWSLogs/1/CloudTrail-Insight/eu/a.json': file(0),
    'notes.txt': 'not read',
  })
  assert.deepEqual(await idsIn(folder), ids)
  assert.deepEqual(await idsIn(join(folder, 'AWSLogs/1/CloudTrail/eu/2026/02'), folder), [ids[2], ...ids])
})

test('bytes are read as they come, in pieces of any size', async () => {
  for (const text of [...Object.values(forms), JSON.stringify({ Records: [] }), '', '\n', '[]', '{"Records":[]}\n[]'])
    for (const size of [1, 2, 3, 7, 64, 1000]) {
      const bytes = Buffer.from(text)
      async function* pieces() {
        for (let at = 0; at < bytes.length; at += size) yield Uint8Array.from(bytes.subarray(at, at + size))
      }
      assert.deepEqual(await idsIn(pieces()), text.length > 100 ? ids : [], `${size} of ${text.slice(0, 40)}`)
    }
})

test('only one record is held, however long the file', () => {
  const scanner = scanRecords('x')
  const record = Buffer.from(`${JSON.stringify(kmsRecord())},`)
  scanner.push(Buffer.from('{"Records":['))
  let count = 0
  for (let number = 0; number < 20_000; number++) count += scanner.push(record).length
  assert.equal(count, 20_000)
  scanner.push(Buffer.from(`${JSON.stringify(kmsRecord())}]}`))
  scanner.end()
})

describe('what is no export', () => {
  const wrong: Record<string, string | Uint8Array> = {
    'text that is no JSON': 'hunter2',
    'a text in quotes': '"hunter2"',
    'a list of texts': '{"Records":["hunter2"]}',
    'a list of lists': '[["hunter2"]]',
    'a list of numbers': '[1,2]',
    'a record that is no JSON': '{"Records":[{"eventSource":"kms.amazonaws.com", hunter2}]}',
    'a record with crossed brackets': '[{"eventSource":"kms.amazonaws.com","a":[}]',
    'a file cut off': JSON.stringify({ Records: records }).slice(0, -200),
    'a file cut off in a text': '{"Records":[{"eventSource":"kms.amazonaws.com","hunter2',
    'one bracket too many': '{"Records":[]}}',
    'a gzip file cut off': gzipSync(JSON.stringify(records)).subarray(0, 200),
    'a damaged gzip file': Buffer.concat([gzipSync('x').subarray(0, 10), Buffer.from('hunter2 hunter2')]),
    'a record without end': `{"Records":[{"eventSource":"kms.amazonaws.com","x":"${'y'.repeat(5_000_000)}"}]}`,
  }
  for (const [what, content] of Object.entries(wrong))
    test(`${what} is refused, by the file's name and unquoted`, async (t) => {
      const folder = write(t, { 'x.json': content })
      const failed = await idsIn(join(folder, 'x.json')).then(
        () => assert.fail('it was read'),
        (error: unknown) => error,
      )
      assert.ok(failed instanceof KmsError, inspect(failed))
      assert.equal(failed.code, 'INVALID_INPUT')
      assert.match(failed.message, /x\.json/)
      assert.doesNotMatch(inspect(failed, { depth: 9 }), /hunter2/)
    })

  test('a file that is not there, a folder without any, and no source at all are refused', async (t) => {
    const folder = write(t, { 'notes.txt': 'x' })
    for (const sources of [[join(folder, 'absent.json')], [folder], []])
      await assert.rejects(idsIn(...sources), { code: 'INVALID_INPUT' })
  })

  test('a stream that fails is told as it is', async () => {
    async function* failing() {
      yield Buffer.from('{"Records":[')
      throw Object.assign(new Error('hunter2'), { code: 'EIO' })
    }
    await assert.rejects(idsIn(failing()), { code: 'PROVIDER_UNAVAILABLE' })
    async function* packed() {
      yield gzipSync(JSON.stringify(records)).subarray(0, 100)
      throw Object.assign(new Error('hunter2'), { code: 'EIO' })
    }
    await assert.rejects(idsIn(packed()), { code: 'PROVIDER_UNAVAILABLE' })
  })
})
