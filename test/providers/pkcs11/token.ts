/** @node A real SoftHSM2 token in a folder of its own, and other people's tools on it. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { openPkcs11, type Pkcs11Kms, type Pkcs11Options } from '../../../src/providers/pkcs11/index.ts'

export const softHsm: string =
  [
    '/usr/lib/softhsm/libsofthsm2.so',
    '/usr/local/lib/softhsm/libsofthsm2.so',
    '/opt/homebrew/lib/softhsm/libsofthsm2.so',
  ].find((path) => existsSync(path)) ?? '/usr/lib/softhsm/libsofthsm2.so'

/** For `test(name, { skip: noToken }, …)`: the one line that says what is missing; in CI nothing may be. */
export const noToken: string | false = process.env['CI'] === 'true' ? false : missing()

function missing(): string | false {
  const lacks = [
    ...(existsSync(softHsm) ? [] : ['softhsm2']),
    ...(onPath('pkcs11-tool') ? [] : ['opensc']),
    ...(hasPackage() ? [] : ['pkcs11js (npm run pkcs11)']),
  ]
  return lacks.length === 0 ? false : `not here: ${lacks.join(', ')}`
}

export function onPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, program)))
}

function hasPackage(): boolean {
  try {
    createRequire(import.meta.url).resolve('pkcs11js')
    return true
  } catch {
    return false
  }
}

export const pin = '424242-pin'
const soPin = '87654321'

export interface Token {
  readonly label: string
  readonly folder: string
  /** Environment in which SoftHSM finds it. */
  readonly env: NodeJS.ProcessEnv
  open(options?: Partial<Pkcs11Options>): Promise<Pkcs11Kms>
  /** Runs `pkcs11-tool` on it, logged in; both of its outputs. */
  tool(...args: string[]): string
  remove(): void
}

/**
 * Makes a token. SoftHSM reads SOFTHSM2_CONF when it is initialized, and node hands changes of `process.env` on to it: one folder a
 * process, or one after another.
 */
export function newToken(label = 'keytrail test'): Token {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-hsm-'))
  const conf = join(folder, 'softhsm2.conf')
  mkdirSync(join(folder, 'tokens'))
  writeFileSync(
    conf,
    `directories.tokendir = ${join(folder, 'tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  )
  const env = { ...process.env, SOFTHSM2_CONF: conf }
  process.env['SOFTHSM2_CONF'] = conf
  initToken(env, label)
  return {
    label,
    folder,
    env,
    open: (options) => openPkcs11({ module: softHsm, token: label, pin, ...options }),
    tool(...args) {
      const all = ['--module', softHsm, '--token-label', label, '--login', '--pin', pin, ...args]
      return execFileSync('pkcs11-tool', all, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

export function initToken(env: NodeJS.ProcessEnv, label: string): void {
  const args = ['--init-token', '--free', '--label', label, '--pin', pin, '--so-pin', soPin]
  execFileSync('softhsm2-util', args, { env, stdio: 'pipe' })
}

/** The folder of this file. */
export const here: string = dirname(new URL(import.meta.url).pathname)
