// Which test files the gate runs on the Nodes besides the oldest, where it runs all: each but those that cannot come out otherwise
// there. What a Node brings along is its engine, files, streams, sockets, processes, threads, timers and `inspect`. A file that
// is not named below runs on every Node: name one only if it costs seconds and says nothing of these.
import { execFileSync } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

const leftOut = [
  {
    why: 'they look at the source and the package, or start every Node themselves',
    files: ['architecture', 'packaging', 'runtimes/runtimes', 'testing/runners'],
  },
  {
    why: 'our own code alone, over disks in memory and clocks turned by hand, the same way on each run of a seed',
    files: ['clock', 'defects', 'faults', 'fsync', 'hostile', 'power', 'tamper', 'torn'].map(
      (name) => `campaigns/${name}`,
    ),
  },
  {
    why: 'our own code alone, at each step of a disk that fails by plan',
    files: ['trail/faults'],
  },
  {
    why: 'verifying, over bytes in files: reading and hashing them is tested beside',
    files: ['independent', 'tamper', 'tlog-tiles', 'verify', 'witness-independent'].map((name) => `trail/${name}`),
  },
  {
    why: 'verbs that do not touch the terminal, pipes or signals: those of the other files of cli/ do',
    files: [
      ...[
        'audit',
        'backup',
        'import-transit',
        'prove',
        'prune',
        'query',
        'reconcile',
        'report',
        'review',
        'rewrap',
        'sign',
        'signer',
        'transfer',
        'usage',
      ],
    ].map((name) => `cli/${name}`),
  },
  {
    why: 'what a service answers: conformance, the application and failures go over the same sockets',
    files: [
      ...['boto3', 'endpoint', 'examples', 'operations'].map((name) => `providers/aws-kms/${name}`),
      ...['batches', 'context', 'endpoint', 'operations', 'recorded', 'token'].map(
        (name) => `providers/vault-transit/${name}`,
      ),
    ],
  },
  {
    why: 'what a token answers: operations, failures and processes load the same compiled module into a thread',
    files: ['conformance', 'objects'].map((name) => `providers/pkcs11/${name}`),
  },
  {
    why: 'rules and findings: our own code alone, over entries and clocks that are made up',
    files: [
      ...['baseline', 'detector', 'detector-hostile', 'examples', 'finding-line', 'learning', 'names', 'page', 'rule'],
      ...['settings', 'stepping-clock', 'suppression', 'table', 'words', 'recommendations'],
      ...[
        'export',
        'findings',
        'heartbeat-missing',
        'lists',
        'real-calls',
        'rotation-overdue',
        'secrets',
        'settings',
      ].map((name) => `rules/${name}`),
    ].map((name) => `detect/${name}`),
  },
  {
    why: 'searching, counting and telling what is in files: reading, following and verifying them are tested beside',
    files: ['trail/search', 'trail/tally', 'integrations/investigate/timeline', 'report/review-trail'],
  },
  {
    why: 'the evaluation of the rules: a life that is made up',
    files: ['evaluate', 'fidelity', 'life', 'ordinary'].map((name) => `eval/${name}`),
  },
  {
    why: 'what a review counts and says; reading and verifying are tested beside',
    files: [
      'describe',
      'failures',
      'html',
      'keys',
      'log',
      'markup',
      'page',
      'rows',
      'sequences',
      'silences',
      'timeline',
    ].map((name) => `report/${name}`),
  },
].flatMap(({ files }) => files.map((name) => `test/${name}.test.ts`))

const all = execFileSync('git', ['ls-files', 'test/*.test.ts'], { cwd: root, encoding: 'utf8' }).trimEnd().split('\n')
const gone = leftOut.filter((file) => !all.includes(file))
if (gone.length > 0) throw new Error(`left out on other Nodes, but not there: ${gone.join(', ')}`)
process.stdout.write(`${all.filter((file) => !leftOut.includes(file)).join('\n')}\n`)
