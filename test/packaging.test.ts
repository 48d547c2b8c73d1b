/** @node What a user installs: the packed tarball, its exports and types, the README's program and every example. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { version } from '../src/model/version.ts'
import { packed, root, run } from './packed.ts'

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string
  scripts: Record<string, string>
  exports: Record<string, unknown>
}

/** The optional package that a subpath imports as it is loaded. */
const peers: Readonly<Record<string, string>> = {
  './ml-dsa': '@noble/post-quantum',
  './providers/aws-kms': '@aws-sdk/client-kms',
  './testing/vitest': 'vitest',
}

/** Loaded by a test runner only: testing/runners.test.ts has them in real projects. */
const ofRunners: readonly string[] = ['./testing/jest', './testing/vitest']

const { copy, project, tarball, dispose } = await packed()
after(dispose)

test('publint finds nothing, strictly', async () => {
  await run(join(root, 'node_modules/.bin/publint'), ['--strict', tarball], { cwd: copy })
})

test('the types resolve for every importer of ES modules', async () => {
  await run(join(root, 'node_modules/.bin/attw'), ['--profile', 'esm-only', '--no-color', tarball], { cwd: copy })
})

test('no script runs at install', () => {
  for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) assert.equal(hook in manifest.scripts, false)
})

test('the version that entries tell is the package version', () => {
  assert.equal(version, manifest.version)
})

test('the tarball holds what it should and nothing else', async () => {
  const { stdout } = await run('tar', ['-tzf', tarball])
  const names = stdout
    .trim()
    .split('\n')
    .map((name) => name.replace('package/', ''))
  const tops = new Set(names.map((name) => name.split('/')[0]))
  assert.deepEqual([...tops].sort(), [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'SECURITY.md',
    'dist',
    'package.json',
    'src',
  ])
  assert.ok(names.includes('dist/model/schema.json'))
  const page = names.filter((name) => name.startsWith('dist/report/page/')).sort()
  assert.deepEqual(
    page,
    ['page.css', 'page.js', 'uplot-LICENSE.txt'].map((name) => `dist/report/page/${name}`),
  )
})

describe('in an empty project with the tarball installed', () => {
  test('the optional packages are not there, and the subpath that needs one says which', async () => {
    for (const [subpath, peer] of Object.entries(peers)) {
      const code = `await import('keytrail${subpath.slice(1)}')`
      await assert.rejects(run(process.execPath, ['--input-type=module', '-e', code], { cwd: project }), (error) => {
        assert.ok(String(error).includes(`Cannot find package '${peer}'`))
        return true
      })
    }
  })

  for (const subpath of Object.keys(manifest.exports).filter((path) => !ofRunners.includes(path)))
    test(`${subpath} can be imported`, async () => {
      const peer = peers[subpath]
      if (peer !== undefined) install(peer)
      const specifier = `keytrail${subpath.slice(1)}`
      const attribute = subpath.endsWith('.json') ? ", { with: { type: 'json' } }" : ''
      const code = `const found = await import('${specifier}'${attribute}); if (Object.keys(found).length === 0) process.exit(1)`
      await run(process.execPath, ['--no-warnings', '--input-type=module', '-e', code], { cwd: project })
    })

  test('the subpath for Jest says what it wants when it is loaded elsewhere', async () => {
    const code = "await import('keytrail/testing/jest')"
    await assert.rejects(run(process.execPath, ['--input-type=module', '-e', code], { cwd: project }), (error) => {
      assert.match(String(error), /KmsError: there is no global expect/)
      return true
    })
  })

  test("the README's program prints two entries", async () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8')
    const program = /```js\n(\/\/ first\.mjs\n[\s\S]*?)```/.exec(readme)?.[1] ?? assert.fail('the README has first.mjs')
    writeFileSync(join(project, 'first.mjs'), program)
    const { stdout } = await run(process.execPath, ['first.mjs'], { cwd: project })
    const lines = stdout.trim().split('\n')
    const actions = lines
      .filter((line) => line.startsWith('{'))
      .map((line) => (JSON.parse(line) as { action: string }).action)
    assert.deepEqual(actions, ['kms.encrypt', 'kms.decrypt'])
    assert.ok(lines.includes('attack at dawn'))
  })

  test("the page's provider of 60 lines at most passes the kit", async () => {
    const page = readFileSync(join(root, 'src/providers/README.md'), 'utf8')
    const [provider = '', conformance = ''] = [
      ...page.matchAll(/```js\n\/\/ (?:provider|conformance)\.mjs\n([\s\S]*?)```/g),
    ].map(([, code]) => code)
    assert.ok(provider.trim().split('\n').length <= 60)
    writeFileSync(join(project, 'provider.mjs'), provider)
    writeFileSync(join(project, 'conformance.mjs'), conformance)
    // Inherited, it would make the child report to this runner instead.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const { stdout } = await run(process.execPath, ['--test-reporter=spec', 'conformance.mjs'], { cwd: project, env })
    assert.match(stdout, /ℹ pass 1[0-9]\n/)
    assert.match(stdout, /ℹ fail 0\n/)
  })

  test("the report's page has its script and its style", async () => {
    const code = `import { readParts } from './node_modules/keytrail/dist/report/html/parts.js'
const { script, style, licence } = readParts()
console.log(script.length, style.length, licence.split('\\n')[0])`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], { cwd: project })
    const [, script = '', style = ''] = /^(\d+) (\d+) The MIT License \(MIT\)\n$/.exec(stdout) ?? []
    // What every page carries: a third more is not an accident of minifying.
    assert.ok(Number(script) > 50_000 && Number(script) < 80_000, script)
    assert.ok(Number(style) > 10_000 && Number(style) < 24_000, style)
  })

  test('the command line is there', async () => {
    const { stdout } = await run(join(project, 'node_modules/.bin/keytrail'), ['--help'], { cwd: project })
    assert.match(stdout, /keytrail/)
  })

  const examples = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.mjs'))
  test('there are examples', () => assert.ok(examples.length >= 3))
  for (const name of examples)
    test(`examples/${name} runs, and prints what its first comment promises`, async () => {
      const text = readFileSync(join(root, 'examples', name), 'utf8')
      const promised = [...text.matchAll(/^\/\/ prints: (.+)$/gm)].map(([, line]) => line ?? '')
      assert.ok(promised.length > 0)
      for (const [, name = ''] of text.matchAll(/^import .* from '((?!keytrail|node:)(?:@[^/']+\/)?[^/']+)/gm))
        install(name)
      writeFileSync(join(project, name), text)
      const { stdout } = await run(process.execPath, [name], { cwd: project })
      for (const line of promised)
        assert.ok(stdout.includes(line), `${name} must print: ${line}\nand printed:\n${stdout}`)
    })
})

/** What the project's own author would have installed beside keytrail. */
function install(name: string): void {
  const path = join(project, 'node_modules', name)
  if (existsSync(path)) return
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(join(root, 'node_modules', name), path)
}
