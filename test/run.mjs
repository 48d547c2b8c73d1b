// Runs the tests from source: all of them, or only the files named on the command line. Zero tests found is a failure.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { fromSource } from './from-source.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const named = process.argv.slice(2)
const files = named.length > 0 ? named : testFiles(join(root, 'test'))
if (files.length === 0) {
  console.error('no test files found')
  process.exit(1)
}

const child = spawn(
  process.execPath,
  [
    ...fromSource,
    '--import',
    './test/every-entry.ts',
    '--test',
    '--test-concurrency=2',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    ...files,
  ],
  { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
)
let ran = 0
createInterface({ input: child.stdout }).on('line', (line) => {
  console.log(line)
  const count = /^ℹ tests (\d+)$/.exec(line)?.[1]
  if (count !== undefined) ran = Number(count)
})
child.on('close', (code) => {
  if (ran === 0) console.error('no tests ran')
  process.exitCode = code === 0 && ran === 0 ? 1 : (code ?? 1)
})

function testFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort()
}
