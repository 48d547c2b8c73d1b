/** @node DESIGN.md §2 as a test: imports point down, and each file names only what its floor may. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const src = join(root, 'src')

/** Which rooms a room may import from, besides itself. The public root is the client's floor. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  model: [],
  crypto: ['model'],
  storage: ['model'],
  audit: ['model', 'crypto', 'storage'],
  trail: ['model', 'crypto', 'storage'],
  providers: ['model', 'crypto', 'storage'],
  sinks: ['model', 'crypto', 'storage'],
  detect: ['model', 'crypto', 'storage'],
  client: ['model', 'crypto', 'storage', 'audit', 'trail', 'providers', 'sinks', 'detect'],
  integrations: ['model', 'crypto', 'storage', 'audit', 'trail', 'providers', 'sinks', 'detect', 'client'],
  testing: ['model', 'crypto', 'storage', 'audit', 'trail', 'providers', 'sinks', 'detect', 'client'],
  backup: ['model', 'crypto', 'storage', 'audit', 'trail', 'providers', 'sinks', 'detect', 'client'],
  report: ['model', 'crypto', 'storage', 'audit', 'trail', 'providers', 'sinks', 'detect', 'client'],
  cli: [
    'model',
    'crypto',
    'storage',
    'audit',
    'trail',
    'providers',
    'sinks',
    'detect',
    'client',
    'integrations',
    'testing',
    'backup',
    'report',
  ],
}

interface SourceFile {
  readonly path: string
  readonly room: string
  readonly text: string
  readonly imports: readonly string[]
}

const files: readonly SourceFile[] = readdirSync(src, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => {
    const path = relative(src, join(entry.parentPath, entry.name))
    const text = readFileSync(join(src, path), 'utf8')
    const found = [
      ...text.matchAll(
        /(?:^|\n)\s*(?:import|export)\b[^'"]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]|(?:^|\n)import\s+['"]([^'"]+)['"]/g,
      ),
    ]
    return {
      path,
      room: roomOf(path),
      text,
      imports: found.map(([, from, dynamic, bare]) => from ?? dynamic ?? bare ?? ''),
    }
  })

function roomOf(path: string): string {
  const [first = ''] = path.split('/')
  return first.endsWith('.ts') ? 'client' : first
}

function targetOf(file: SourceFile, specifier: string): string {
  return relative(src, join(src, dirname(file.path), specifier))
}

test('there is something to look at', () => {
  assert.ok(files.length > 60)
  assert.ok(files.flatMap(({ imports }) => imports).length > 300)
})

describe('imports', () => {
  test('point down the floors, and the rooms of one floor do not see each other', () => {
    const wrong = files.flatMap((file) =>
      file.imports
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => targetOf(file, specifier))
        .filter((target) => {
          const room = roomOf(target)
          return room !== file.room && !(mayImport[file.room] ?? []).includes(room)
        })
        .map((target) => `${file.path} imports ${target}`),
    )
    assert.deepEqual(wrong, [])
  })

  test('every room stands in the table', () => {
    assert.deepEqual(
      [...new Set(files.map(({ room }) => room))].filter((room) => !(room in mayImport)),
      [],
    )
  })

  test('name a file with its ending, and go straight to it: only index files re-export', () => {
    for (const file of files) {
      for (const specifier of file.imports.filter((name) => name.startsWith('.')))
        assert.match(specifier, /\.ts$/, file.path)
      const isIndex = file.path.endsWith('index.ts')
      if (!isIndex)
        assert.doesNotMatch(file.text, /(?:^|\n)export (?:\*|type \*|\{[^}]*\}|type \{[^}]*\}) from/, file.path)
    }
  })

  test('only crypto/ names @noble/* and node:crypto; #engine is how the others get an engine', () => {
    for (const file of files.filter(({ room }) => room !== 'crypto'))
      for (const specifier of file.imports) assert.doesNotMatch(specifier, /^@noble\/|^(?:node:)?crypto$/, file.path)
  })

  test('what runs in a page imports nothing of the library, which imports nothing of it', () => {
    const isPage = (path: string) => path.startsWith('report/page/')
    for (const file of files)
      for (const target of file.imports.filter((name) => name.startsWith('.')).map((name) => targetOf(file, name)))
        assert.equal(isPage(target), isPage(file.path), `${file.path} imports ${target}`)
  })

  test('only files marked @node name node:*, and a marked file does', () => {
    for (const file of files) {
      const names = file.imports.some((specifier) => specifier.startsWith('node:'))
      const marked = /^(?:#![^\n]*\n)?\/\*\*[^/]*?@node\b/.test(file.text)
      if (names) assert.ok(marked, `${file.path} names node:* and is not marked`)
    }
  })

  test('the only packages are the four runtime dependencies, and optional peers in the one file that needs each', () => {
    const named = files.flatMap(({ path, imports }) => packagesOf(imports).map((name) => ({ name, path })))
    const peers = named.filter(({ name }) => name in optionalPeers)
    const inlined = named.filter(({ name }) => name in inlinedAtBuild)
    assert.deepEqual(
      inlined.map(({ name, path }) => [name, path]),
      Object.entries(inlinedAtBuild),
    )
    assert.deepEqual(peers.map(({ name, path }) => [name, path]).sort(), Object.entries(optionalPeers).sort())
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
    assert.deepEqual(
      Object.keys(manifest.peerDependencies).sort(),
      [...Object.keys(optionalPeers), ...compiledPeers].sort(),
    )
    for (const name of compiledPeers) {
      assert.deepEqual(manifest.peerDependenciesMeta[name], { optional: true })
      assert.equal(manifest.devDependencies[name], undefined)
    }
    for (const name of Object.keys(optionalPeers)) {
      assert.deepEqual(manifest.peerDependenciesMeta[name], { optional: true })
      // Tests have what users may have.
      assert.equal(manifest.devDependencies[name], manifest.peerDependencies[name])
    }
    for (const name of Object.keys(inlinedAtBuild)) assert.notEqual(manifest.devDependencies[name], undefined)
    const known = { ...optionalPeers, ...inlinedAtBuild }
    const names = new Set(named.map(({ name }) => name).filter((name) => !(name in known)))
    assert.deepEqual([...names].sort(), Object.keys(manifest.dependencies).sort())
    assert.deepEqual(Object.keys(manifest.dependencies).sort(), [
      '@noble/ciphers',
      '@noble/curves',
      '@noble/hashes',
      'uuid',
    ])
  })
})

/** Each is named by one file, behind a subpath of its own. */
const optionalPeers: Readonly<Record<string, string>> = {
  '@noble/post-quantum': 'crypto/ml-dsa.ts',
  '@opentelemetry/api': 'integrations/context/opentelemetry.ts',
  '@aws-sdk/client-kms': 'providers/aws-kms/sdk.ts',
  expect: 'testing/jest.ts',
  vitest: 'testing/vitest.ts',
}

/** What a browser runs is bundled by `npm run build`: no user installs these. */
const inlinedAtBuild: Readonly<Record<string, string>> = { uplot: 'report/page/timeline.ts' }

/** Compiled at install, so no development dependency: cloning must not need a compiler. Loaded by name where it is used. */
const compiledPeers: readonly string[] = ['pkcs11js']

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly peerDependenciesMeta: Readonly<Record<string, object>>
}

function packagesOf(imports: readonly string[]): readonly string[] {
  const packages = imports.filter((name) => !/^(?:\.|node:|#)/.test(name))
  return packages.map((name) =>
    name
      .split('/')
      .slice(0, name.startsWith('@') ? 2 : 1)
      .join('/'),
  )
}

describe('style', () => {
  const banned: readonly [string, RegExp][] = [
    ['any', /(?<=[:<(,|&]\s*)any\b(?=[\s,;)\]>|&]|$)/m],
    ['an empty catch', /catch(?:\s*\([^)]*\))?\s*\{\s*\}/],
    ['an enum', /\benum\s+\w+\s*\{/],
    ['a default export', /export default/],
    ['work left for later', /\b(?:TODO|FIXME|XXX)\b/],
    ['a suppressed check', /@ts-(?:ignore|expect-error|nocheck)/],
  ]
  for (const [what, pattern] of banned)
    test(`no ${what}`, () => {
      for (const file of files) assert.doesNotMatch(file.text, pattern, file.path)
    })

  test('two classes', () => {
    const classes = files.flatMap(({ text }) =>
      [...text.matchAll(/^(?:export )?class (\w+)/gm)].map(([, name]) => name),
    )
    assert.deepEqual(classes.sort(), ['KmsClient', 'KmsError'])
  })

  test('every file says in its first line what it is', () => {
    for (const file of files) assert.match(file.text, /^(?:#![^\n]*\n)?\/\*\*/, file.path)
  })
})

test('the portable part compiles with neither DOM nor Node types', () => {
  execFileSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'test/portable.tsconfig.json')],
    {
      stdio: 'pipe',
    },
  )
})
