/** @node shim.c, compiled: a module between us and SoftHSM that fails when a test says so. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { here, onPath, softHsm, type Token } from './token.ts'

/** For `{ skip: noCompiler }`; in CI there is one. */
export const noCompiler: string | false =
  process.env['CI'] === 'true' || onPath('gcc') ? false : 'not here: gcc, to compile a module that fails'

/** `C_Sign rv 0x30 1`: see shim.c. */
export type Rule =
  `C_${string} ${'rv' | 'after' | 'delay' | 'short' | 'zero' | 'ones' | 'finalize' | 'hide'} ${string} ${number}`

export interface Shim {
  readonly module: string
  /** What goes wrong from here on, and nothing else. */
  fail(...rules: readonly Rule[]): void
  /** The calls since the last `fail`, of this name. */
  calls(name: string): number
}

export function newShim(token: Token): Shim {
  const [module, control, log] = ['shim.so', 'control', 'log'].map((name) => join(token.folder, name)) as [
    string,
    string,
    string,
  ]
  const includes = join(dirname(createRequire(import.meta.url).resolve('pkcs11js/package.json')), 'includes/pkcs11')
  const paths = [`-DTARGET="${softHsm}"`, `-DCONTROL="${control}"`, `-DLOG="${log}"`]
  const flags = ['-shared', '-fPIC', '-O1', `-I${includes}`, ...paths, '-o', module]
  execFileSync('gcc', [...flags, join(here, 'shim.c'), '-lpthread', '-ldl'], { stdio: 'pipe' })
  let turns = 0
  const shim: Shim = {
    module,
    fail(...rules) {
      // The first line makes each text another one.
      turns += 1
      writeFileSync(control, [`# ${turns}`, ...rules, ''].join('\n'))
      writeFileSync(log, '')
    },
    calls(name) {
      if (!existsSync(log)) return 0
      return readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line === name).length
    },
  }
  shim.fail()
  return shim
}
