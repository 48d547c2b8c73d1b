// Starts main.ts as the test runner starts tests: TypeScript from source.
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fromSource } from '../from-source.mjs'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const main = join(root, 'test/eval/main.ts')
const child = spawn(process.execPath, [...fromSource, main, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
child.on('close', (code) => {
  process.exitCode = code ?? 1
})
