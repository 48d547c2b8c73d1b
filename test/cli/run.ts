/** @node Runs the real command line as a child process, over temporary folders. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import { homeAt, openHome } from '../../src/cli/home.ts'
import { makeRootKey } from '../../src/cli/root-key.ts'
import { systemClock } from '../../src/model/clock.ts'
import type { Scope } from '../../src/model/key.ts'
import type { Input } from '../../src/model/operation.ts'
import { compile } from '../compile.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

export interface Run {
  readonly code: number | null
  readonly bytes: Uint8Array
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
}

export interface TerminalOptions extends RunOptions {
  /** A shell line to run instead, in which `"$@"` is the command line. */
  readonly within?: string
}

/** No KEYTRAIL_ variable of whoever runs the tests, and no terminal: `setsid` is what `detached` calls. */
export function environment(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('KEYTRAIL_') && name !== 'NO_COLOR')
  const known = inherited.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  return { ...Object.fromEntries(known), ...env }
}

export function keytrail(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const [node = '', ...rest] = program
  return finished(node, [...rest, ...args], options)
}

/** Runs a shell line in which `keytrail` is the command line. */
export function shell(line: string, options: RunOptions = {}): Promise<Run> {
  const command = program.map((word) => `'${word}'`).join(' ')
  return finished('sh', ['-c', `keytrail() { ${command} "$@"; }\n${line}`], options)
}

/** Runs the command on a pseudo-terminal; `typed` is entered, one by one, at each prompt that ends in `: `. */
export function onTerminal(
  args: readonly string[],
  typed: readonly string[],
  options: TerminalOptions = {},
): Promise<Run> {
  const own = [...program, ...args]
  const command = options.within === undefined ? own : ['sh', '-c', options.within, 'sh', ...own]
  return finished('python3', ['-c', terminal, JSON.stringify({ command, typed })], options)
}

const terminal = `
import fcntl, json, os, pty, struct, sys, termios
told = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    os.execvp(told['command'][0], told['command'])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 100, 0, 0))
seen = b''
while True:
    try:
        part = os.read(fd, 65536)
    except OSError:
        break
    if not part:
        break
    os.write(1, part)
    seen += part
    if told['typed'] and (b'passphrase: ' in seen or b'once more: ' in seen):
        seen = b''
        os.write(fd, told['typed'].pop(0).encode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`

function finished(command: string, args: readonly string[], options: RunOptions): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env: environment(options.env), detached: true })
    const out: Uint8Array[] = []
    const err: Uint8Array[] = []
    child.stdout.on('data', (part: Uint8Array) => out.push(part))
    child.stderr.on('data', (part: Uint8Array) => err.push(part))
    child.on('error', reject)
    child.on('close', (code) => {
      const bytes = Buffer.concat(out)
      resolve({ code, bytes, stdout: bytes.toString('utf8'), stderr: Buffer.concat(err).toString('utf8') })
    })
    // A verb that reads nothing may end before it is written to.
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
  })
}

const folders: string[] = []
// Here, and not where a folder is made: within a hook it would run when the hook ends.
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A folder that is removed after the file's tests. */
export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-cli-'))
  folders.push(folder)
  return folder
}

/** `node` and the command line, compiled: a file of tests starts it dozens of times. */
export const program: readonly string[] = [process.execPath, await compile('src/cli/main.ts', temporary())]

export interface TestHome {
  readonly folder: string
  /** Where the keys and the trail are. */
  readonly dir: string
  /** What makes the command line use this home. */
  readonly env: Readonly<Record<string, string>>
  run(args: readonly string[], options?: RunOptions): Promise<Run>
}

/** A home sealed by a root key in a file, with these keys, made `daysAgo`; through the API, which is faster. */
export async function homeWith(keys: readonly Input<'createKey'>[], daysAgo = 0, scope: Scope = {}): Promise<TestHome> {
  const folder = temporary()
  const dir = join(folder, 'home')
  const rootKeyFile = join(folder, 'root.key')
  const env = { KEYTRAIL_DIR: dir, KEYTRAIL_ROOT_KEY_FILE: rootKeyFile }
  await makeRootKey(rootKeyFile)
  const clock = { ...systemClock, now: () => systemClock.now() - daysAgo * 86_400_000 }
  const { kms } = await openHome(homeAt(dir), { rootKey: { rootKeyFile }, context: {}, clock, ...scope })
  for (const key of keys) await kms.createKey(key)
  await kms.close()
  const run = (args: readonly string[], options: RunOptions = {}) =>
    keytrail(args, { ...options, env: { ...env, ...options.env } })
  return { folder, dir, env, run }
}
