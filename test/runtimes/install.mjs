/**
 * `npm run runtimes`: the runtimes that the suite is run in, as packages.json pins them, into .runtimes/. Apart from
 * node_modules, because nobody needs a gigabyte of them to work on the library. What is there already is left alone.
 * Chromium is a Debian package: `apt-get install chromium`.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const wanted = join(here, 'packages.json')
const folder = join(here, '../../.runtimes')
// Written last: an install that was broken off is begun again.
const done = join(folder, 'installed.json')

if (existsSync(done) && readFileSync(done, 'utf8') === readFileSync(wanted, 'utf8')) process.exit(0)

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder)
copyFileSync(wanted, join(folder, 'package.json'))
const flags = ['--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund']
const { status } = spawnSync('npm', ['install', ...flags], { cwd: folder, stdio: 'inherit' })
if (status !== 0) process.exit(status ?? 1)
copyFileSync(wanted, done)
