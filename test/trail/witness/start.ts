/** @node Builds and starts the witness in main.go. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freshFolder } from '../../storage/folder.ts'
import { cosigner } from '../cosigner.ts'

const packages = '/usr/share/gocode'
const found = spawnSync('go', ['version']).status === 0 && existsSync(join(packages, 'src/golang.org/x/mod/sumdb/tlog'))

/** For `{ skip: noGo }`: false when Go is there or must be, else the one line that says so. */
export const noGo: string | false =
  found || process.env['CI'] === 'true' ? false : 'Go and its x/mod packages not found: no witness of another make'

const seed = '33'.repeat(32)
const name = 'witness.example/go'

/** Its key, as our own code spells it; that it spells it alike is checked at its start. */
export const goWitnessVkey: string = cosigner(name, Buffer.from(seed, 'hex')).vkey

export interface GoWitness {
  readonly url: string
  /** The file in which it remembers. */
  readonly state: string
  stop(): Promise<void>
}

export interface GoWitnessOptions {
  /** The log that it cosigns. */
  readonly vkey: string
  readonly origin: string
  /** Of one that was stopped. */
  readonly state?: string
}

export async function startGoWitness(t: TestContext, options: GoWitnessOptions): Promise<GoWitness> {
  const folder = freshFolder(t)
  const program = join(folder, 'witness')
  const cwd = dirname(fileURLToPath(import.meta.url))
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: packages, GOFLAGS: '' }
  const built = spawnSync('go', ['build', '-o', program, '.'], { cwd, env, encoding: 'utf8' })
  if (built.status !== 0) throw new Error(`go build: ${built.stderr}${built.error ?? ''}`)

  const { vkey, origin, state = join(folder, 'state') } = options
  const flags = ['-log', vkey, '-origin', origin, '-name', name, '-seed', seed, '-state', state]
  const child = spawn(program, flags, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const stop = async () => {
    child.stdin.end()
    await exited
  }
  t.after(stop)
  for await (const line of createInterface({ input: child.stdout })) {
    const [url = '', key] = line.split(' ')
    if (key !== goWitnessVkey) throw new Error(`the witness spells its key ${key}`)
    return { url, state, stop }
  }
  throw new Error('the witness did not start')
}
