/**
 * `npm run pkcs11`: the optional peer pkcs11js, for the tests of the PKCS#11 provider. It is compiled when it is installed, so it is no
 * development dependency: a clone must not need a compiler. The version is the least that package.json's peer range allows; one
 * that is there already is left alone, and neither package.json nor the lock file is touched. The Debian packages it wants are
 * g++, make and python3, and the tests softhsm2 and opensc.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..')
const { peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const [, wanted] = /^\^(\d+\.\d+\.\d+)$/.exec(peerDependencies.pkcs11js) ?? []
if (wanted === undefined) throw new Error('the peer range of pkcs11js is not of the form ^1.2.3')
if (works()) process.exit(0)
// Elsewhere, and then moved: npm takes an optional peer that the lock file does not know for one that nobody wants. It depends on nothing.
const away = mkdtempSync(join(tmpdir(), 'pkcs11js-'))
try {
  writeFileSync(join(away, 'package.json'), '{}')
  const flags = ['--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts=false']
  const { status } = spawnSync('npm', ['install', ...flags, `pkcs11js@${wanted}`], { cwd: away, stdio: 'inherit' })
  if (status !== 0) throw new Error(`npm did not install pkcs11js@${wanted}`)
  const place = join(root, 'node_modules/pkcs11js')
  rmSync(place, { recursive: true, force: true })
  cpSync(join(away, 'node_modules/pkcs11js'), place, { recursive: true })
} finally {
  rmSync(away, { recursive: true, force: true })
}
if (!works()) throw new Error(`pkcs11js@${wanted} was installed, but does not load`)

/** In a process of its own: what was loaded once stays. */
function works() {
  const require = createRequire(join(root, 'package.json'))
  let manifest
  try {
    manifest = require.resolve('pkcs11js/package.json')
  } catch {
    return false
  }
  if (JSON.parse(readFileSync(manifest, 'utf8')).version !== wanted) return false
  return spawnSync(process.execPath, ['-e', "require('pkcs11js')"], { cwd: root }).status === 0
}
