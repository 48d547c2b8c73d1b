/** @node */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { isUsageError, readCommandLine } from '../../src/cli/command.ts'
import { watch } from '../../src/cli/watch.ts'
import { everyRule } from '../../src/detect/shipped.ts'
import { receiver, secret } from '../integrations/alerts/receiver.ts'
import { entryAt } from '../trail/entries.ts'
import { layTrail } from '../trail/laid.ts'
import { environment, homeWith, keytrail, program, shell, type TestHome, temporary } from './run.ts'

/** A home in which a key was exported in the clear; rules that others than `export` are told nothing of. */
async function exportedHome(): Promise<TestHome & { readonly rules: (settings: object) => string }> {
  const home = await homeWith([{ slug: 'orders', exportAllowed: true }])
  const { code } = await home.run([
    'keys',
    'export',
    'orders',
    '--form',
    'raw',
    '--reason',
    'drill',
    '--out',
    join(home.folder, 'material'),
  ])
  strictEqual(code, 0)
  return {
    ...home,
    rules(settings) {
      const file = join(home.folder, 'rules.json')
      writeFileSync(file, JSON.stringify(settings))
      return file
    },
  }
}

const linesOf = (text: string) => text.split('\n').slice(0, -1)
const rulesIn = (text: string) => linesOf(text).map((line) => JSON.parse(line).rule)

test('once: a line each, exit code 1; from a kept state on nothing is told again', async () => {
  const home = await exportedHome()
  const state = join(home.folder, 'watch.json')
  const first = await home.run(['audit', 'watch', '--once', '--state', state, '--level', 'high'])
  deepStrictEqual([first.code, first.stderr], [1, ''])
  const line = linesOf(first.stdout).find((each) => each.includes(' export: '))
  match(
    line ?? '',
    /^\d{4}-\S+Z (high|critical) export: \S+ exported key orders in the clear \(raw\), .* \[[0-9a-f]{32}\]$/,
  )
  const second = await home.run(['audit', 'watch', '--once', '--state', state, '--level', 'high'])
  deepStrictEqual([second.code, second.stdout, second.stderr], [0, '', ''])
})

test('what was refused, or had no reader any more, is told again after a restart', async (t) => {
  const home = await exportedHome()
  const state = join(home.folder, 'watch.json')
  const secretFile = join(home.folder, 'hook.key')
  writeFileSync(secretFile, secret)
  let status = 401
  const { url, accepted } = await receiver(t, { answer: () => status })
  const hook = ['--webhook', url, '--webhook-secret-file', secretFile]
  const command = ['audit', 'watch', '--once', '--state', state, '--rules', writeRules(home)]
  const refused = await home.run([...command, ...hook])
  match(refused.stderr, /a finding of export did not reach webhook: the receiver at \S+ answered 401/)
  ok(!existsSync(state))
  status = 204
  strictEqual((await home.run([...command, ...hook])).code, 1)
  strictEqual(accepted.length, 1)
  ok(existsSync(state))

  rmSync(state)
  const words = command.map((word) => `'${word}'`).join(' ')
  const unread = await shell(`keytrail ${words} | true`, { env: home.env })
  strictEqual(unread.stderr, '')
  ok(!existsSync(state))
})

test('a trail with more to tell than queues have room for is told whole', async () => {
  const trail = layTrail(join(temporary(), 'audit'))
  const exported = { action: 'kms.export', details: { form: 'raw' } }
  trail.write(Array.from({ length: 3000 }, (_, at) => entryAt(at, exported)))
  const folder = temporary()
  const out = join(folder, 'found.jsonl')
  const rules = join(folder, 'rules.json')
  writeFileSync(rules, JSON.stringify({ rules: Object.fromEntries(others.map((id) => [id, false])) }))
  const { stderr } = await keytrail(['audit', 'watch', trail.path, '--once', '--out', out, '--rules', rules])
  strictEqual(stderr, '')
  strictEqual(linesOf(readFileSync(out, 'utf8')).length, 3000)
})

test('--json and --out have what is suppressed, marked; words do not, and it is no reason for exit code 1', async () => {
  const home = await exportedHome()
  const until = new Date(Date.now() + 86_400_000).toISOString()
  const suppression = { id: 'exercise', rule: 'export', until, reason: 'T-42', by: 'user:alice' }
  const rules = home.rules({ timeZone: 'Europe/Amsterdam', suppressions: [suppression] })
  const command = ['audit', 'watch', '--once', '--rules', rules, '--level', 'high']
  const words = await home.run(command)
  ok(!words.stdout.includes(' export: '))
  const { stdout } = await home.run([...command, '--json'])
  const found = linesOf(stdout).map((line) => JSON.parse(line))
  deepStrictEqual(found.find(({ rule }) => rule === 'export')?.suppressed, {
    id: 'exercise',
    until,
    reason: 'T-42',
    by: 'user:alice',
  })
  const out = join(home.folder, 'findings.jsonl')
  for (const _ of [1, 2]) strictEqual((await home.run([...command, '--out', out])).stdout, '')
  deepStrictEqual(rulesIn(readFileSync(out, 'utf8')), [...rulesIn(stdout), ...rulesIn(stdout)])
  const unsuppressed = found.filter(({ suppressed }) => suppressed === undefined)
  strictEqual(words.code, unsuppressed.length === 0 ? 0 : 1)
})

test('a rule that is left out finds nothing', async () => {
  const home = await exportedHome()
  const { stdout } = await home.run([
    'audit',
    'watch',
    '--once',
    '--json',
    '--rules',
    home.rules({ rules: { export: false } }),
  ])
  ok(!rulesIn(stdout).includes('export'))
})

test('follows: findings are posted, signed, and printed as they come; a signal ends it with 0', async (t) => {
  const home = await homeWith([{ slug: 'orders', exportAllowed: true }])
  const secretFile = join(home.folder, 'hook.key')
  writeFileSync(secretFile, Buffer.concat([secret, Buffer.from('\n')]), { mode: 0o600 })
  const { url, requests, accepted } = await receiver(t, { answer: (number) => (number === 0 ? 500 : 204) })
  const [node = '', ...own] = program
  const args = [
    'audit',
    'watch',
    '--webhook',
    url,
    '--webhook-secret-file',
    secretFile,
    '--state',
    join(home.folder, 's'),
  ]
  const child = spawn(node, [...own, ...args, '--rules', writeRules(home)], { env: environment(home.env) })
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  await home.run([
    'keys',
    'export',
    'orders',
    '--form',
    'raw',
    '--reason',
    'drill',
    '--out',
    join(home.folder, 'material'),
  ])
  const { value } = await lines.next()
  match(String(value), / export: /)
  child.kill('SIGTERM')
  const [code] = await once(child, 'close')
  strictEqual(code, 0)
  // It waited for what was still to be posted.
  const id = /\[([0-9a-f]{32})\]$/.exec(String(value))?.[1]
  deepStrictEqual(accepted, [id])
  ok(requests.length >= 2 && requests.every(({ message }) => message !== undefined))
})

function writeRules(home: TestHome): string {
  const file = join(home.folder, 'only-export.json')
  // Whatever other rules there are: this is about one finding.
  writeFileSync(file, JSON.stringify({ rules: Object.fromEntries(others.map((id) => [id, false])) }))
  return file
}

const others = everyRule.map(({ id }) => id).filter((id) => id !== 'export')

test('a wrong command line, a wrong file and a trail that is not there are each told in a sentence', async () => {
  const folder = temporary()
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const wrongs: readonly (readonly [readonly string[], RegExp])[] = [
    [['--level', 'loud'], /'--level' takes one of informational, low, medium, high, critical/],
    [['--webhook', 'https://alerts.example/'], /'--webhook' and '--webhook-secret-file' go together/],
    [['--rules', folder], /cannot read/],
    [['--rules', file('torn', '{')], /the file of --rules must be JSON/],
    [['--rules', file('unknown', '{"rules":{"exports":false}}')], /'rules' has no 'exports': it has .*export/],
    [['--state', file('state', '{}')], /remove it to begin anew/],
    [
      ['--webhook', 'https://a.example/', '--webhook-secret-file', file('short', 'x\n')],
      /secret must be a Uint8Array of 16/,
    ],
    [['--webhook', 'http://a.example/', '--webhook-secret-file', file('long', 'x'.repeat(32))], /url must be https/],
    [[join(folder, 'none'), '--once'], /there is no trail/],
  ]
  for (const [args, message] of wrongs)
    await rejects(
      async () => watch.run(readCommandLine(watch, args)),
      (error: Error) => {
        match(error.message, message)
        strictEqual(isUsageError(error), args[0] === '--level' || (args.length === 2 && args[0] === '--webhook'))
        return true
      },
    )
})
