// Measures keytrail against references in the same run: node test/bench/run.mjs [--once | --quick] [--only NAME…] [--json]
import { spawn } from 'node:child_process'
import { build } from './build.mjs'

const { main, remove } = build()
const child = spawn(process.execPath, ['--expose-gc', main, ...process.argv.slice(2)], { stdio: 'inherit' })
// An interrupt reaches the child too: it ends first, and then what was built is removed.
process.on('SIGINT', () => {})
child.on('close', (code) => {
  remove()
  process.exitCode = code ?? 1
})
