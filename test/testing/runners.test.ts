/** @node The assertions in real projects of real runners: the page's own tests pass there, failing ones explain themselves, types fit. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { packed, root } from '../packed.ts'
import { missing, programs } from '../runtimes/installed.ts'
import { explained, failingFile, plain, turnedFile, typesOf } from './runner-files.ts'

const exec = promisify(execFile)
const { project: installed, dispose } = await packed()
after(dispose)

let made = 0

/** The page's files, by the name in their first line. */
const page: ReadonlyMap<string, string> = new Map(
  [...readFileSync(join(root, 'src/testing/README.md'), 'utf8').matchAll(/```js\n\/\/ (\S+\.mjs)\n([\s\S]*?)```/g)].map(
    ([, name = '', code = '']) => [name, code],
  ),
)

interface Runner {
  readonly name: string
  /** Why it cannot be run here, if it cannot. */
  readonly skip: string | false
  /** Where its packages lie, and which of them the project gets. */
  readonly modules: string
  readonly packages: readonly string[]
  /** What `expect` and `test` are imported from. */
  readonly from: string
  readonly subpath: string
  /** The page's file for it. */
  readonly passing: string
  /** Runs the files named. */
  readonly command: (file: string) => readonly [program: string, ...args: readonly string[]]
  /** Number of passed and failed tests in its output. */
  readonly counts: (output: string) => readonly [passed: number, failed: number]
}

const ours = join(root, 'node_modules')
const theirs = join(root, '.runtimes/node_modules')

const vitest: Pick<Runner, 'packages' | 'from' | 'subpath' | 'passing' | 'counts'> = {
  packages: ['vitest'],
  from: 'vitest',
  subpath: 'keytrail/testing/vitest',
  passing: 'orders.vitest.mjs',
  counts: (output) => [numberIn(/^ *Tests .*?(\d+) passed/m, output), numberIn(/^ *Tests .*?(\d+) failed/m, output)],
}

const runners: readonly Runner[] = [
  {
    ...vitest,
    name: 'Vitest 4',
    skip: false,
    modules: ours,
    command: (file) => [process.execPath, join(ours, 'vitest/vitest.mjs'), 'run', file],
  },
  {
    ...vitest,
    name: 'Vitest 5, on Node 22',
    skip: missing('Vitest 5') || missing('Node 22'),
    modules: theirs,
    command: (file) => [programs['Node 22'], programs['Vitest 5'], 'run', file],
  },
  {
    name: 'Jest 30',
    skip: missing('Jest'),
    modules: theirs,
    packages: ['expect', 'jest', '@jest/globals', '@types/jest'],
    from: '@jest/globals',
    subpath: 'keytrail/testing/jest',
    passing: 'orders.jest.mjs',
    command: (file) => [
      process.execPath,
      '--experimental-vm-modules',
      programs.Jest,
      '--ci',
      '--testMatch',
      `**/${file}`,
    ],
    counts: (output) => [numberIn(/^Tests: .*?(\d+) passed/m, output), numberIn(/^Tests: .*?(\d+) failed/m, output)],
  },
]

for (const runner of runners)
  describe(`in a project of ${runner.name}`, { skip: runner.skip }, () => {
    const project = projectOf(runner)

    test("the page's test passes", async () => {
      const { code, output } = await runIn(project, runner, runner.passing)
      assert.deepEqual(runner.counts(output), [1, 0], output)
      assert.equal(code, 0, output)
    })

    test('tests that must fail do, and say why', async () => {
      const { code, output } = await runIn(project, runner, 'failing.mjs')
      assert.deepEqual(runner.counts(output), [0, explained.length], output)
      assert.notEqual(code, 0)
      for (const { lines } of explained)
        for (const line of lines) assert.ok(output.includes(line), `${line}\n\n${output}`)
    })

    test('tests that must fail only without `not` pass with it', async () => {
      const { output } = await runIn(project, runner, 'turned.mjs')
      assert.deepEqual(runner.counts(output), [1, 0], output)
    })

    test('TypeScript knows the matchers, and which criteria there are', async () => {
      const output = await typesIn(project, 'types.ts')
      assert.equal(output, '')
    })
  })

describe('in a project of Jest 30', { skip: missing('Jest') }, () => {
  const jest = runners.find(({ name }) => name === 'Jest 30') ?? assert.fail('Jest is there')

  test("TypeScript knows them of the global expect, too: '@types/jest'", async () => {
    const project = projectOf(jest)
    writeFileSync(join(project, 'global.ts'), typesOf('', 'keytrail/testing/jest'))
    assert.equal(await typesIn(project, 'global.ts', ['jest']), '')
  })

  test('where there is no global expect, the import says what to do, and that works', async () => {
    const project = projectOf(jest)
    const config = join(project, 'jest.config.json')
    writeFileSync(config, JSON.stringify({ injectGlobals: false, testEnvironment: 'node' }))
    const { output } = await runIn(project, jest, jest.passing)
    assert.match(output, /there is no global expect: .*expect\.extend\(keytrailMatchers\)/)
    const own = (page.get(jest.passing) ?? '').replace(
      "import 'keytrail/testing/jest'",
      "import { keytrailMatchers } from 'keytrail/testing'\nexpect.extend(keytrailMatchers)",
    )
    writeFileSync(join(project, 'own.mjs'), own)
    assert.deepEqual(jest.counts((await runIn(project, jest, 'own.mjs')).output), [1, 0])
  })
})

describe('in a project with nothing but Node', () => {
  const project = projectOf({ modules: ours, packages: [] })
  const files = [...page.keys()].filter((name) => name.endsWith('.node.mjs'))

  test('the page has its tests', () => assert.ok(files.length >= 5))

  for (const file of files)
    test(`the page's ${file} passes`, async () => {
      const { code, output } = await nodeTest(project, file)
      assert.match(output, /ℹ pass [1-9]/)
      assert.match(output, /ℹ fail 0\n/)
      assert.equal(code, 0, output)
    })

  test("the page's picture of a failure is what is shown", async () => {
    const failing = (page.get('orders.node.mjs') ?? '').replace("actor: 'alice'", "actor: 'bob'")
    writeFileSync(join(project, 'bob.mjs'), failing)
    const { output } = await nodeTest(project, 'bob.mjs')
    const readme = readFileSync(join(root, 'src/testing/README.md'), 'utf8')
    const picture = /```\n(expected an entry [\s\S]*?)```/.exec(readme)?.[1] ?? assert.fail('the page has it')
    for (const line of picture.trim().split('\n')) assert.ok(output.includes(line), `${line}\n\n${output}`)
  })

  test('tests that must fail do, and say why', async () => {
    writeFileSync(join(project, 'failing.mjs'), plain(failingFile('node:test', 'keytrail/testing')))
    const { code, output } = await nodeTest(project, 'failing.mjs')
    assert.match(output, new RegExp(`ℹ fail ${explained.length}\n`))
    assert.notEqual(code, 0)
    for (const { lines } of explained)
      for (const line of lines) assert.ok(output.includes(line), `${line}\n\n${output}`)
  })
})

/** A copy of the project that has the tarball installed, with the runner's packages beside it. */
function projectOf(runner: Pick<Runner, 'modules' | 'packages'> & Partial<Runner>): string {
  const project = `${installed}-${made++}`
  cpSync(installed, project, { recursive: true })
  for (const name of runner.packages) {
    const place = join(project, 'node_modules', name)
    mkdirSync(dirname(place), { recursive: true })
    // Left out where the runner is: what is described here is then not run.
    if (existsSync(join(runner.modules, name))) symlinkSync(join(runner.modules, name), place)
  }
  for (const [name, code] of page) writeFileSync(join(project, name), code)
  const { from, subpath } = runner
  if (from === undefined || subpath === undefined) return project
  writeFileSync(join(project, 'failing.mjs'), failingFile(from, subpath))
  writeFileSync(join(project, 'turned.mjs'), turnedFile(from, subpath))
  writeFileSync(join(project, 'types.ts'), typesOf(from, subpath))
  writeFileSync(join(project, 'vitest.config.mjs'), "export default { test: { include: ['*.mjs'] } }\n")
  writeFileSync(join(project, 'jest.config.json'), JSON.stringify({ testEnvironment: 'node' }))
  return project
}

interface Ran {
  readonly code: number
  readonly output: string
}

function runIn(project: string, runner: Runner, file: string): Promise<Ran> {
  const [program, ...args] = runner.command(file)
  return outputOf(project, program, args)
}

function nodeTest(project: string, file: string): Promise<Ran> {
  return outputOf(project, process.execPath, ['--test-reporter=spec', file])
}

async function outputOf(cwd: string, program: string, args: readonly string[]): Promise<Ran> {
  // Inherited, the first would make a child report to this runner instead.
  const { NODE_TEST_CONTEXT: _, FORCE_COLOR: __, ...inherited } = process.env
  const env = { ...inherited, NO_COLOR: '1', CI: 'true' }
  try {
    const { stdout, stderr } = await exec(program, args, { cwd, env, maxBuffer: 16 * 1024 * 1024 })
    return { code: 0, output: `${stdout}${stderr}` }
  } catch (error) {
    // What execFile rejects with for a program that ends with another code than 0.
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, output: `${stdout}${stderr}` }
  }
}

async function typesIn(project: string, file: string, types: readonly string[] = []): Promise<string> {
  const config = {
    compilerOptions: {
      module: 'nodenext',
      target: 'es2023',
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      skipLibCheck: true,
      types,
    },
    files: [file],
  }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(config))
  const { output } = await outputOf(project, process.execPath, [join(ours, 'typescript/bin/tsc'), '-p', '.'])
  return output
}

function numberIn(pattern: RegExp, output: string): number {
  return Number(pattern.exec(output)?.[1] ?? 0)
}
