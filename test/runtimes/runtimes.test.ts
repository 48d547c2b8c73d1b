/** @node The portable suite in every runtime that the README names, over the package as a user installs it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { packed, root } from '../packed.ts'
import { writeSuite } from './bundle.ts'
import { startCollector } from './collector.ts'
import { bun, chromium, deno, type Host, node, workerd } from './hosts.ts'
import { missing, type Program } from './installed.ts'

interface Row {
  readonly program: Program
  readonly host: Host
  readonly engine: 'node' | 'noble'
}

const rows: readonly Row[] = [
  { program: 'Node 20', host: node('Node 20'), engine: 'node' },
  { program: 'Node 22', host: node('Node 22'), engine: 'node' },
  { program: 'Node 24', host: node('Node 24'), engine: 'node' },
  { program: 'Node 26', host: node('Node 26'), engine: 'node' },
  { program: 'Bun', host: bun, engine: 'noble' },
  { program: 'Deno', host: deno, engine: 'noble' },
  { program: 'workerd', host: workerd, engine: 'noble' },
  { program: 'Chromium', host: chromium, engine: 'noble' },
]

/** Fewer than this would mean that the suite lost its cases. */
const fewestCases = 100

const isAny = rows.some(({ program }) => missing(program) === false) && missing('esbuild') === false
const built = isAny ? await packed() : undefined
after(() => built?.dispose())
const collector = await startCollector()
after(() => collector.close())
if (built !== undefined) await writeSuite(built.project)

for (const { program, host, engine } of rows) {
  const skip = missing(program) || missing('esbuild')

  test(`the portable part in ${program}`, { skip }, async (t) => {
    assert.ok(built)
    const reports = await host({ project: built.project, runtime: { engine, collector: collector.origin } })
    for (const { name, failure } of reports)
      await t.test(name, () => {
        if (failure !== undefined) assert.fail(failure)
      })
    assert.ok(reports.length >= fewestCases, `${reports.length} cases ran`)
  })
}

test('what is installed is what packages.json pins', { skip: missing('esbuild') }, () => {
  const pins = JSON.parse(readFileSync(join(root, 'test/runtimes/packages.json'), 'utf8')) as Manifest
  for (const [name, pin] of Object.entries(pins.dependencies)) {
    const installed = join(root, '.runtimes/node_modules', name, 'package.json')
    const { version } = JSON.parse(readFileSync(installed, 'utf8')) as Manifest
    // `1.2.3`, or `npm:name@1.2.3`.
    assert.equal(version, pin.split('@').at(-1), name)
  }
})

interface Manifest {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
}
