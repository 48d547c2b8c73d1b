/** @node The portable suite in every runtime that the README names, over the package as a user installs it. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { packed, root } from '../packed.ts'
import { writeSuite } from './bundle.ts'
import { startCollector } from './collector.ts'
import { bun, chromium, deno, type Host, node, textOf, withWorker, workerd } from './hosts.ts'
import { missing, type Program } from './installed.ts'
import { bundles, measure } from './sizes.ts'

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

const built = missing('esbuild') === false ? await packed() : undefined
after(() => built?.dispose())
const collector = await startCollector()
after(() => collector.close())
if (built !== undefined) {
  // The optional package, as a user of ML-DSA installs it.
  const peer = 'node_modules/@noble/post-quantum'
  cpSync(join(root, peer), join(built.project, peer), { recursive: true })
  await writeSuite(built.project)
}

for (const { program, host, engine } of rows) {
  test(`the portable part in ${program}`, { skip: skipOf(program) }, async (t) => {
    assert.ok(built)
    const reports = await host({ project: built.project, runtime: { engine, collector: collector.origin } })
    for (const { name, failure } of reports)
      await t.test(name, () => {
        if (failure !== undefined) assert.fail(failure)
      })
    assert.ok(reports.length >= fewestCases, `${reports.length} cases ran`)
  })
}

// A worker may not wait for what another request began: each has a client of its own, over the keys that they share.
test('workerd: requests at once over one KMS, each with its client, have their entries', {
  skip: skipOf('workerd'),
}, async () => {
  assert.ok(built)
  const id = randomUUID()
  const code = `import { KmsClient } from 'keytrail'
import { memoryKms } from 'keytrail/providers/memory'
import { httpSink } from 'keytrail/sinks/http'
const sink = httpSink({ url: '${collector.origin}/accept/${id}' })
let provider
export default { async fetch(request) {
  provider ??= memoryKms()
  const kms = new KmsClient({ provider, audit: { required: [sink] } })
  const { key } = await kms.createKey({ slug: new URL(request.url).pathname.slice(1) })
  const { ciphertext } = await kms.encrypt({ key: key.slug, plaintext: new Uint8Array(10) })
  const { plaintext } = await kms.decrypt({ key: key.slug, ciphertext })
  return new Response(String(plaintext.length))
} }`
  const slugs = Array.from({ length: 12 }, (_, at) => `key-${at}`)
  const answers = await withWorker(built.project, code, (url) =>
    Promise.all(slugs.map((slug) => textOf(`${url}${slug}`))),
  )
  assert.deepEqual(
    answers,
    slugs.map(() => '10'),
  )
  const told = await textOf(`${collector.origin}/received/${id}`)
  for (const slug of slugs)
    assert.equal(told.split(`\\"keySlug\\":\\"${slug}\\"`).length - 1, 4, `the entries of ${slug}: ${told}`)
})

for (const row of bundles)
  test(`a browser's bundle of ${row.name}`, { skip: missing('esbuild') }, async (t) => {
    assert.ok(built)
    const { bytes, gzipBytes, warnings, imports, inputs } = await measure(built.project, row)
    t.diagnostic(`${bytes} bytes minified, ${gzipBytes} with gzip`)
    assert.deepEqual(warnings, [])
    assert.deepEqual(imports, [])
    const foreign = inputs.filter(
      (path) => !/^(?:keytrail\/dist|@noble\/(?:hashes|ciphers|curves)|uuid|.*entry\.mjs)/.test(path),
    )
    assert.deepEqual(foreign, [])
    const ofNode = inputs.filter((path) =>
      /^keytrail\/dist\/(?:crypto\/node\.|(?:storage|trail|cli|backup)\/)/.test(path),
    )
    assert.deepEqual(ofNode, [])
    assert.ok(bytes <= row.mostBytes, `${bytes} bytes, and ${row.mostBytes} at most`)
  })

test('what is installed is what packages.json pins', { skip: missing('esbuild') }, () => {
  const pins = JSON.parse(readFileSync(join(root, 'test/runtimes/packages.json'), 'utf8')) as Manifest
  for (const [name, pin] of Object.entries(pins.dependencies)) {
    const installed = join(root, '.runtimes/node_modules', name, 'package.json')
    const { version } = JSON.parse(readFileSync(installed, 'utf8')) as Manifest
    // `1.2.3`, or `npm:name@1.2.3`.
    assert.equal(version, pin.split('@').at(-1), name)
  }
})

function skipOf(program: Program): string | false {
  return missing(program) || missing('esbuild')
}

interface Manifest {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
}
