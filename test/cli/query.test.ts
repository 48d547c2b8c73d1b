/** @node */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { csvLine } from '../../src/cli/csv.ts'
import { visible } from '../../src/sinks/render.ts'
import { entryAt } from '../trail/entries.ts'
import { layTrail } from '../trail/laid.ts'
import { keytrail, onTerminal, shell } from './run.ts'

const formulas = [
  '=1+1',
  '+1',
  '-1',
  '@SUM(A1)',
  '\t=1',
  '\r=1',
  '  =1',
  '"=1',
  " '=1",
  '\n=1',
  '＝1',
  'a;=1',
  'a;"-1',
  '\u00a0=1',
]
const actors = [...formulas, 'plain', 'a,b', 'say "hi"', '\u202eevil', '\u001b[31mred', '-7']
let folder = ''
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'keytrail-query-'))
  const trail = layTrail(folder)
  trail.write(
    actors.map((id, at) =>
      entryAt(at, {
        actor: { type: 'user', id },
        ...(at % 2 === 1 && { outcome: 'failure', statusCode: 400, error: 'INVALID_CIPHERTEXT' }),
      }),
    ),
  )
  trail.write([entryAt(90, { action: 'audit.clock_stepped', resourceType: 'audit_log', details: { steppedMs: -5 } })])
})
after(() => rmSync(folder, { recursive: true, force: true }))

const query = (...args: readonly string[]) => keytrail(['audit', 'query', folder, ...args])

/** RFC 4180 §2, strictly. */
function parseCsv(text: string): readonly (readonly string[])[] {
  ok(text.endsWith('\r\n'))
  return text
    .slice(0, -2)
    .split('\r\n')
    .map((record) => {
      const cells: string[] = []
      for (let rest: string | undefined = record; rest !== undefined; ) {
        const [all, quoted, bare]: readonly (string | undefined)[] =
          /^(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/.exec(rest) ?? []
        if (all === undefined) throw new Error(`no cell: ${rest}`)
        cells.push(quoted?.replaceAll('""', '"') ?? bare ?? '')
        rest = rest.length > all.length ? rest.slice(all.length + 1) : undefined
      }
      return cells
    })
}

// What runs in a spreadsheet, whichever character it takes for the one that parts cells.
const runs = /(?:^|;)[\s"'`]*?[=+\-@\t\r＝]/

test('a cell of CSV is what it was, on one line, and nothing that a spreadsheet runs', () => {
  const text = fc.oneof(
    fc.constantFrom(...actors),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.array(fc.constantFrom('=', '-', '"', ',', ';', ' ', "'", '\t', '\r\n', 'x')).map((all) => all.join('')),
  )
  const value = fc.oneof(text, fc.integer(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(undefined))
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 5 }), (values) => {
      const [cells = [], ...more] = parseCsv(csvLine(values))
      deepStrictEqual([cells.length, more.length], [values.length, 0])
      for (const [at, one] of values.entries()) {
        const cell = cells[at] ?? ''
        if (typeof one !== 'string') strictEqual(cell, one === undefined ? '' : String(one))
        // An apostrophe before a formula is all that was added.
        else {
          strictEqual(cell.replaceAll("'", ''), visible(one).replaceAll("'", ''))
          ok(!/(?:^|;)[\s"`]*[=+\-@\t\r＝]/u.test(cell), cell)
        }
      }
    }),
  )
  ok(formulas.filter((one) => runs.test(one)).length > 10)
})

test('--csv has a heading, a record for each entry, and numbers that stay numbers', async () => {
  const { code, stdout, stderr } = await query('--csv', '--columns', 'index,actor.id,plaintext,details.steppedMs,valid')
  deepStrictEqual([code, stderr], [0, ''])
  const [heading, ...records] = parseCsv(stdout)
  deepStrictEqual(heading, ['index', 'actor.id', 'plaintext', 'details.steppedMs', 'valid'])
  strictEqual(records.length, actors.length + 1)
  deepStrictEqual(records.at(-1), [String(actors.length), 'sa-orders', '1024', '-5', ''])
  deepStrictEqual(records[0]?.slice(0, 3), ['0', "'=1+1", '1024'])
  strictEqual(records[actors.indexOf('-7')]?.[1], "'-7")
  strictEqual(records[actors.indexOf('a,b')]?.[1], 'a,b')
  ok(!stdout.includes('\u001b') && !stdout.includes('\u202e'))
  const none = await query('--csv', '--action', 'kms.export')
  deepStrictEqual([none.code, parseCsv(none.stdout).length], [0, 1])
})

test('--columns shows fields by their paths: a table, or an object each', async () => {
  const text = await query('--columns', 'sequence,actor,source', '--limit', '2')
  strictEqual(text.stdout, 'sequence  actor  source\n0         =1+1   192.0.2.7\n1         +1     192.0.2.7\n')
  const json = await query('--columns', 'sequence,error,context.clientIp', '--limit', '2', '--json')
  strictEqual(
    json.stdout,
    '{"sequence":0,"context.clientIp":"192.0.2.7"}\n{"sequence":1,"error":"INVALID_CIPHERTEXT","context.clientIp":"192.0.2.7"}\n',
  )
  const red = await query('--columns', 'actor', '--actor', '\u001b[31mred')
  strictEqual(red.stdout, 'actor\n\\u001b[31mred\n')
  const terminal = await onTerminal(
    ['audit', 'query', folder, '--columns', 'actor,context.userAgent,createdAt,eventID,salt,instance'],
    [],
  )
  ok(terminal.stdout.split('\r\n').every((line) => [...line].length <= 100))
})

test('filters name sources, errors, sizes and verdicts', async () => {
  const count = async (...args: readonly string[]) =>
    JSON.parse((await query('--stats', 'plaintext', '--json', ...args)).stdout).count
  strictEqual(await count(), actors.length + 1)
  strictEqual(await count('--error', 'INVALID_CIPHERTEXT', '--source', '192.0.2.0/24'), actors.length / 2)
  strictEqual(await count('--source', '10.0.0.0/8'), 0)
  strictEqual(await count('--size', 'plaintext>1023', '--size', 'plaintext<=1024'), actors.length + 1)
  strictEqual(await count('--size', 'plaintext>1024'), 0)
  strictEqual(await count('--size', '=1089'), actors.length + 1)
  strictEqual(await count('--size', '>1024', '--size', '<1089'), 0)
  strictEqual(await count('--valid', 'yes'), 0)
  strictEqual(
    await count('--key-type', 'aes256-gcm96', '--key-version', '3', '--region', 'nl-01', '--project', 'billing'),
    actors.length + 1,
  )
  strictEqual(await count('--origin', 'secrets-manager'), 0)
})

test('--by counts the largest group first, --stats sums up, in a table, JSON or CSV', async () => {
  const { stdout } = await query('--by', 'action,outcome')
  deepStrictEqual(
    stdout.split('\n').map((line) => line.split(/ +/)),
    [
      ['action', 'outcome', 'count', 'failures'],
      ['kms.encrypt', 'failure', String(actors.length / 2), String(actors.length / 2)],
      ['kms.encrypt', 'success', String(actors.length / 2), '0'],
      ['audit.clock_stepped', 'success', '1', '0'],
      ['(all)', String(actors.length + 1), String(actors.length / 2)],
      [''],
    ],
  )
  const lines = (await query('--by', 'outcome', '--stats', 'plaintext', '--json')).stdout.trim().split('\n')
  const [first, , all] = lines.map((line) => JSON.parse(line))
  deepStrictEqual(
    [first.group, first.stats.plaintext.p99, all.all, all.failures],
    [{ outcome: 'success' }, 1024, true, actors.length / 2],
  )
  const csv = parseCsv((await query('--by', 'actor', '--csv', '--stats', 'durationMs')).stdout)
  deepStrictEqual(csv[0]?.slice(0, 5), ['actor', 'count', 'failures', 'durationMs.min', 'durationMs.p50'])
  strictEqual(csv.length, actors.length + 2)
  ok(csv.slice(1).every(([actor = '']) => !/^[=+\-@]/.test(actor)))
  match(
    (await query('--stats', 'plaintext,durationMs')).stdout,
    /^\d+ entries, \d+ failures\n +count +min +p50.*\nplaintext +\d+ +1024.*\ndurationMs /,
  )
})

test('what cannot be asked for is a wrong command line', async () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['--columns', 'actor,nope'], /'--columns' takes fields .* number 2 is none/],
    [['--by', 'actor,actor'], /'--by'.*twice/],
    [['--by', 'actor', '--follow'], /'--follow' never ends/],
    [['--by', 'actor', '--columns', 'actor'], /give '--columns', or/],
    [['--csv', '--json'], /'--csv' or '--json'/],
    [['--source', '10.1.2.3/8'], /'source' must hold networks/],
    [['--size', 'plaintext'], /'--size' takes a bound/],
    [['--size', 'nope>1'], /no payload 'nope'/],
    [['--size', '>1', '--size', 'plaintext>1'], /names the payload in each bound/],
    [['--size', '<0'], /fewer than 0/],
    [['--valid', 'true'], /yes or no/],
    [['--since', '2026-02-30'], /'--since' takes a time/],
    [['--action', 'kms.*.x'], /only at the end/],
  ]
  const runs = await Promise.all(wrong.map(([args]) => query(...args)))
  for (const [at, { code, stdout, stderr }] of runs.entries()) {
    deepStrictEqual([code, stdout], [2, ''], String(wrong[at]?.[0]))
    match(stderr, wrong[at]?.[1] ?? /never/)
  }
})

test('a reader that has gone ends it quietly, however it is shown', async () => {
  for (const form of ['--csv', '--columns actor', '--by actor', '--json']) {
    const { stderr } = await shell(`{ keytrail audit query '${folder}' ${form}; echo "code $?" >&2; } | true`)
    strictEqual(stderr, 'code 0\n', form)
  }
})

test('--follow --csv begins with the heading, and goes on with records', async () => {
  const { code, stdout } = await query('--follow', '--csv', '--columns', 'index', '--limit', '2')
  deepStrictEqual([code, stdout], [0, 'index\r\n0\r\n1\r\n'])
})
