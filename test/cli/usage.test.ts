/** @node */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Command, isUsageError, readCommandLine } from '../../src/cli/command.ts'
import { helpPage, listVerbs } from '../../src/cli/help.ts'
import { everyVerb, options } from '../../src/cli/options.ts'
import { commands } from '../../src/cli/verbs.ts'
import { version } from '../../src/model/version.ts'
import { keytrail, shell } from './run.ts'

function verb(name: string): Command {
  return commands.find((command) => command.verb === name) ?? assert.fail(`no verb ${name}`)
}

test('the verbs are those that the README promises, each once', () => {
  assert.deepEqual(
    commands.map((command) => command.verb),
    [
      'demo',
      'init',
      'backup',
      'restore',
      ...[
        'create',
        'list',
        'show',
        'rotate',
        'enable',
        'disable',
        'delete',
        'cancel-deletion',
        'destroy',
        'min-version',
        'public-key',
        'export',
        'import',
        'import-version',
        'wrapping-key',
        'wrap',
        'unwrap',
        'import-transit',
        'rewrap-root',
      ].map((name) => `keys ${name}`),
      'encrypt',
      'decrypt',
      'sign',
      'verify',
      'hmac',
      'verify-hmac',
      'serve',
      ...[
        'query',
        'verify',
        'review',
        'report',
        'prove',
        'check-proof',
        'consistency',
        'check-consistency',
        'export',
        'reconcile',
        'access',
        'trace',
        'timeline',
        'watch',
        'prune',
        'pin',
        'rotate-signer',
      ].map((name) => `audit ${name}`),
    ],
  )
})

test('a help page names the operands, every option with its meaning, and an example', () => {
  for (const command of commands) {
    const page = helpPage(command)
    assert.ok(page.startsWith(`keytrail ${command.verb} `))
    assert.ok(page.includes(command.operands))
    for (const name of [...command.options, ...everyVerb]) {
      assert.ok(page.includes(`--${name}`), `${command.verb} --${name}`)
      assert.ok(page.includes(options[name].says))
    }
    assert.ok(page.includes(`\n  keytrail ${command.verb}`), `an example of ${command.verb}`)
    assert.ok(page.split('\n').every((line) => line.length <= 100))
    assert.ok(listVerbs(commands).includes(command.summary))
  }
})

test('every option of the table is taken by a verb, and every example is a command line', () => {
  const taken = new Set(commands.flatMap((command) => [...command.options, ...everyVerb]))
  assert.deepEqual([...taken].sort(), Object.keys(options).sort())
  for (const { verb: name, examples } of commands) {
    for (const example of examples) {
      const own = example.slice(example.indexOf(`keytrail ${name}`) + `keytrail ${name}`.length).split('|')[0] ?? ''
      readCommandLine(
        verb(name),
        own.split(' ').filter((word) => word !== ''),
      )
    }
  }
})

test('what is not an option, missing, too much or given twice is a wrong command line', () => {
  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['encrypt', ['orders', '--passphrase=hunter2'], /^unknown option '--passphrase'$/],
    ['encrypt', ['orders', '--signature', 'x'], /^unknown option '--signature'$/],
    ['encrypt', [], /^KEY is missing$/],
    ['encrypt', ['orders', 'a', 'b'], /^nothing may follow KEY \[FILE\] but options$/],
    ['encrypt', ['orders', '--out'], /'-o, --out <value>' argument missing/],
    ['encrypt', ['orders', '--json=1'], /'--json' does not take an argument/],
    ['audit query', ['--limit', '-1'], /'--limit/],
  ]
  for (const [name, args, message] of cases) {
    assert.throws(
      () => readCommandLine(verb(name), args),
      (error: Error) => isUsageError(error) && message.test(error.message),
    )
  }
  const twice = readCommandLine(verb('encrypt'), ['orders', '--out', 'a', '--out', 'b'])
  assert.throws(() => twice.text('out'), isUsageError)
  const noNumber = readCommandLine(verb('audit query'), ['--limit', 'many'])
  assert.throws(() => noNumber.count('limit'), isUsageError)
})

test('a wrong command line is 2 and one line that says what is wrong, without the value that may be a secret', async () => {
  const { code, stdout, stderr } = await keytrail(['encrypt', 'orders', '--passphrase', 'hunter2'])
  assert.deepEqual([code, stdout], [2, ''])
  assert.equal(stderr, "keytrail: INVALID_INPUT: unknown option '--passphrase'\ntry: keytrail encrypt --help\n")
})

test('help is data when asked for, and words when it is the answer to nothing', async () => {
  const line = [
    'keytrail --help | head -1',
    'keytrail --version',
    'keytrail keys --help | head -3 | tail -1',
    'keytrail; echo $?',
    'keytrail frob --json; echo $?',
    'keytrail keys frob; echo $?',
    'keytrail --dir x keys list; echo $?',
  ].join('\n')
  const { stdout, stderr } = await shell(line)
  assert.deepEqual(stdout.split('\n'), [
    'A KMS that leaves a trail: no result leaves before its entry is accepted.',
    version,
    '  keytrail keys create [SLUG]               make a key',
    '2',
    '2',
    '2',
    '2',
    '',
  ])
  assert.match(stderr, /there is no verb 'frob'/)
  assert.match(stderr, /there is no verb 'keys frob'/)
  assert.match(stderr, /options stand after the verb/)
})
