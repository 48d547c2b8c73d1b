/** @node Entries that were made up or tampered with hold anything: they are shown all the same, and those beside them too. */
import { deepStrictEqual, doesNotMatch, ok, strictEqual } from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { rowsOf, tallyView, usualColumns } from '../../src/cli/query-view.ts'
import { handOver, timelineOf } from '../../src/integrations/investigate/index.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { lineOf } from '../../src/model/line.ts'
import { renderEntry, renderTable } from '../../src/sinks/render.ts'
import { readTrail, type TrailFilter } from '../../src/trail/index.ts'
import { lineOfRead } from '../../src/trail/reading/entry-line.ts'
import { fieldsOf } from '../../src/trail/reading/fields.ts'
import { openTally } from '../../src/trail/reading/tally.ts'
import { collect, entryAt, folderFor, refused } from '../trail/entries.ts'
import { layTrail } from '../trail/laid.ts'

const injected = '1,"x":"\u001b[2J\u202e"}\n{"index":9'
const values: readonly unknown[] = [
  null,
  7,
  injected,
  [null],
  { id: null, clientIp: 5, traceparent: 5, service: 1, requestId: [], code: {}, plaintext: null },
  { destinationKey: null, flags: 'ab', sinks: [null], cache: null, evidence: 4, amends: 4, joined: injected },
  { destinationKey: 5, flags: [1], sinks: 'x', cache: 5, kmsEventID: {}, level: [], rule: {}, unknown: { to: ['us'] } },
]
const actions = ['kms.re_encrypt', 'audit.opened', 'finding.raised', 'secret.get_value', 'audit.pruned']
const fields = ['details', 'origin', 'reason', 'error', 'valid', 'latestVersion', ...Object.keys(entryAt(0))]
const asked = entryAt(0).eventID
const odd = actions.flatMap((action) =>
  fields.flatMap((field) =>
    values.map((value) => {
      const resourceType = action.startsWith('audit.') ? 'audit_log' : 'kms_key'
      return { ...entryAt(0), resourceType, action, [field]: value }
    }),
  ),
)
/** Those that still have what readers rely upon. */
const readable = odd.filter((entry) =>
  [entry.schema, entry.eventID, entry.createdAt, entry.action, entry.outcome].every((text) => typeof text === 'string'),
)
const path = folderFor({ after })

before(() => {
  const { layout } = layTrail(path)
  const commit = `{"commit":{"from":0,"size":${odd.length + 1}},"checkpoint":"a\\nb\\nc\\n\\n— x y\\n"}`
  const lines = [...odd.map((entry) => JSON.stringify(entry)), lineOf(entryAt(odd.length)), commit, '']
  mkdirSync(layout.segments, { recursive: true })
  writeFileSync(`${layout.segments}/00000000000000000000.jsonl`, lines.join('\n'))
})

async function found(filter: TrailFilter) {
  const all: AuditEntry[] = []
  await refused(
    async () => {
      for await (const { entry } of readTrail(path, filter)) all.push(entry)
    },
    'INTERNAL',
    /damaged lines/,
  )
  return all
}

test('they are found, and none hides those behind it', async () => {
  strictEqual((await found({})).length, readable.length + 1)
  for (const filter of [{ minSize: 1 }, { minSize: { plaintext: 1 } }, { from: '2020-01-01' }, { source: '0.0.0.0/0' }])
    strictEqual((await found(filter)).at(-1)?.sequence, odd.length)
})

test('each is one line: of JSON, of CSV, of words', async () => {
  const all = await found({})
  const told = all.map((entry, index) => ({ instance: 'main', index: BigInt(index), covered: false, entry }))
  for (const { entry } of told) {
    const line = lineOfRead(entry)
    doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
    deepStrictEqual(JSON.parse(line), entry)
    doesNotMatch(renderEntry(entry, {}), /[\u0000-\u001f\u202e]/)
  }
  const columns = fieldsOf('columns', usualColumns)
  for (const form of ['text', 'json', 'csv'] as const)
    strictEqual(rowsOf(told, columns, { form, heading: false, look: {} }).trimEnd().split('\n').length, told.length)
  strictEqual(renderTable(all, {}).split('\n').length, all.length + 1)
  const by = ['actor', 'key', 'day', 'source']
  const tally = openTally({ by, stats: ['plaintext'] })
  for (const one of told) tally.add(one)
  ok(tallyView({ by, stats: ['plaintext'], tally: tally.told() }, { form: 'csv', look: {} }).length > 0)
})

test('their story is told', async () => {
  for (const options of [
    { key: 'orders' },
    { actor: 'sa-orders' },
    { actor: 'serviceAccount:sa-orders', unfolded: true } as const,
    { around: asked },
  ]) {
    let count = 0
    await refused(
      async () => {
        for await (const step of timelineOf(path, options)) {
          doesNotMatch(step.says, /[\u0000-\u001f\u202e]/)
          strictEqual(typeof step.count, 'number')
          count += step.count
        }
      },
      'INTERNAL',
      /damaged lines/,
    )
    ok(count > actions.length, JSON.stringify(options))
  }
  await refused(() => handOver(path, { actor: 'sa-orders', out: `${path}/out` }), 'INTERNAL', /damaged lines/)
})

test('of what was written, the line is the same to the byte, whatever its context’s names', async (t) => {
  const folder = folderFor(t)
  const entries = [
    entryAt(0, { encryptionContext: { b: '1', 10: 'ten', 9: '\u202enine', a: '2', __proto__: 'x' } }),
    entryAt(1, JSON.parse('{"encryptionContext":{"__proto__":"x","0":"$&"}}')),
    entryAt(2, { context: { userAgent: '"encryptionContext":0 \u{e0041}\ud800' } }),
  ]
  layTrail(folder).write(entries)
  deepStrictEqual(
    (await collect(folder)).map(({ entry }) => lineOfRead(entry)),
    entries.map(lineOf),
  )
})
