/**
 * @node Several processes on one folder: one at a time holds it, and one that lost it while it was stopped writes nothing
 * when it wakes.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as after } from 'node:timers/promises'
import { systemClock } from '../../src/model/clock.ts'
import { compile } from '../compile.ts'
import type { Campaign, Violation } from './campaign.ts'
import { type Chance, chance } from './chance.ts'
import { auditOf, keysOf, withFolder } from './house.ts'
import { committedEntries } from './lines.ts'
import type { Told } from './processes-child.ts'
import { loadProduct, type Product } from './product.ts'
import type { Seen } from './seen.ts'

/** What ends a holder's time. */
const ends = ['killed', 'closed', 'stopped', 'stopped and taken over', 'stopped at work and taken over'] as const

export const processes: Campaign = async ({ seed, count, product: from, only, first, say }) => {
  const product = await loadProduct(from)
  const luck = chance(seed)
  const rounds = Array.from({ length: count }, (_, at) => {
    const [many, end, inNamespace] = [luck.pick([2, 4]), luck.pick(ends), luck.next() < 0.3]
    return { name: `${at}: ${many} processes, the holder is ${end}`, many, end, inNamespace, seed: luck.below(2 ** 31) }
  })
  const found: Violation[] = []
  await withFolder(async (built) => {
    const program = await compile('test/campaigns/processes-child.ts', built, product.folder)
    for (const round of rounds) {
      if (only !== undefined && round.name !== only) continue
      const wrong = await withFolder((folder) => play({ product, program, folder }, round)).catch((error) => [
        `${error}`,
      ])
      for (const what of wrong) found.push({ case: round.name, what })
      say?.(`${round.name}: ${wrong.length === 0 ? 'holds' : wrong.join('; ')}`)
      if (first && found.length > 0) break
    }
  })
  return found
}

interface Stage {
  readonly product: Product
  readonly program: string
  readonly folder: string
}

interface Round {
  readonly many: number
  readonly end: (typeof ends)[number]
  /** One of them has its own process numbers. */
  readonly inNamespace: boolean
  readonly seed: number
}

async function play(stage: Stage, { many, end, inNamespace, seed }: Round): Promise<readonly string[]> {
  const { folder } = stage
  const luck = chance(seed)
  const wrong: string[] = []
  // The trail's signer is no part of the keystore, so that both locks are fought for.
  await stage.product.fileSigner(join(folder, 'signer'))
  const actors = Array.from({ length: many }, (_, at) =>
    actor(stage, { inNamespace: inNamespace && at === 0 && namespacesAreAllowed() }),
  )
  try {
    const first = await race(actors, wrong)
    if (first === undefined) return [...wrong, 'nobody got the folder']
    first.say('work')
    await after(50 + luck.below(150))
    const others = actors.filter((other) => other !== first)
    if ((await race(others, [])) !== undefined) wrong.push('a second process got the folder while the first had it')
    await finish({ first, others, end, folder, luck, wrong })
    for (const each of actors) await each.end()
    for (const each of actors) wrong.push(...each.complaints)
    wrong.push(
      ...(await remains(
        stage,
        actors.flatMap(({ seen }) => seen),
        end,
      )),
    )
    return wrong
  } finally {
    for (const each of actors) each.kill()
  }
}

interface Ending {
  readonly first: Actor
  readonly others: readonly Actor[]
  readonly end: Round['end']
  readonly folder: string
  readonly luck: Chance
  readonly wrong: string[]
}

async function finish({ first, others, end, folder, luck, wrong }: Ending): Promise<void> {
  if (end === 'killed') await first.kill()
  if (end === 'closed') await first.ask('close', 'closed')
  if (end === 'stopped') {
    first.signal('SIGSTOP')
    if ((await race(others, [])) !== undefined) wrong.push('a stopped process is alive, and its folder was taken')
    first.signal('SIGCONT')
    await after(50)
    await first.ask('close', 'closed')
  }
  if (end === 'stopped and taken over') {
    await first.ask('rest', 'resting')
    first.signal('SIGSTOP')
    forgetSockets(folder)
  }
  if (end === 'stopped at work and taken over') {
    first.signal('SIGSTOP')
    forgetSockets(folder)
  }
  const second = await race(others, wrong)
  if (second === undefined) {
    wrong.push(`when the holder is ${end}, nobody gets the folder`)
    return
  }
  second.say('work')
  await after(50 + luck.below(100))
  if (!end.endsWith('taken over')) return
  // It wakes, and goes on as if nothing had been.
  const before = first.seen.length
  first.signal('SIGCONT')
  if (end === 'stopped and taken over') first.say('work')
  await after(150)
  const late = first.seen.length - before
  // What it had been answered before it was stopped it may still tell.
  if (end === 'stopped and taken over' && late > 0) wrong.push(`P5: ${late} results left a process that holds nothing`)
}

/** All try at once; the one that got it. */
async function race(actors: readonly Actor[], wrong: string[]): Promise<Actor | undefined> {
  const answers = await Promise.all(actors.map((each) => each.ask('open', 'opened', 'refused')))
  const winners = actors.filter((_, at) => 'opened' in (answers[at] ?? {}))
  if (winners.length > 1) wrong.push(`${winners.length} processes got the folder at once`)
  for (const answer of answers) {
    if ('refused' in answer && answer.refused !== 'LOCKED') wrong.push(`a process was refused with ${answer.refused}`)
    else if ('unexpected' in answer) wrong.push(answer.unexpected)
  }
  return winners[0]
}

/** As whatever clears a folder of sockets would: now nobody can tell that the holder lives. */
function forgetSockets(folder: string): void {
  for (const where of [join(auditOf({ folder }), 'main'), keysOf({ folder })])
    for (const name of readdirSync(where)) if (name.endsWith('.sock')) rmSync(join(where, name))
}

/** What each process was given is there, and the trail is what one writer after the other wrote. */
async function remains(
  { product, folder }: Stage,
  seen: readonly Seen[],
  end: Round['end'],
): Promise<readonly string[]> {
  const wrong: string[] = []
  const fs = product.nodeFileSystem
  const entries = await committedEntries(fs, join(auditOf({ folder }), 'main'))
  const ids = new Set(entries.map(({ eventID }) => eventID))
  if (ids.size !== entries.length) wrong.push('an entry stands twice')
  const missing = seen.filter(({ eventID }) => !ids.has(eventID)).length
  if (missing > 0) wrong.push(`P1: ${missing} of ${seen.length} released results are not in the trail`)
  const { verdict, problem } = await product.verifyTrail(auditOf({ folder }))
  // A batch between the check of the lock and the disk cannot be called back: it is kept, behind what the next one wrote.
  if (verdict !== 'valid' && end !== 'stopped at work and taken over')
    wrong.push(`P4: after ${end} the trail is ${verdict}: ${problem}`)
  const rootKey = new Uint8Array(32).fill(9)
  const local = await product.openLocalKms({ path: keysOf({ folder }), rootKey, allowFilesystem: ['tmpfs'] })
  const audit = { required: [product.memorySink()], clock: systemClock }
  const kms = new product.KmsClient({ provider: local, audit })
  for (const { key, version, bytes } of seen) {
    if (bytes === undefined) continue
    const opened = kms.decrypt({ key, ciphertext: Uint8Array.from(Buffer.from(bytes, 'base64')) })
    await opened.catch((error) => wrong.push(`P5: what ${key} v${version} made cannot be opened: ${error}`))
  }
  await kms.close()
  await local.close?.()
  return wrong
}

interface Actor {
  /** What it was given. */
  readonly seen: readonly Seen[]
  readonly complaints: readonly string[]
  say(line: string): void
  /** Says `line`; resolves to the answer of one of these kinds. */
  ask(line: string, ...kinds: readonly string[]): Promise<Told>
  signal(signal: NodeJS.Signals): void
  /** Closes what it has open, if it still can. */
  end(): Promise<void>
  kill(): Promise<void>
}

function actor({ program, folder }: Stage, { inNamespace }: { readonly inNamespace: boolean }): Actor {
  const command = [process.execPath, program, folder]
  const [file = '', ...args] = inNamespace ? [...unshare, ...command] : command
  const child: ChildProcess = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const seen: Seen[] = []
  const complaints: string[] = []
  let waiting: { readonly kinds: readonly string[]; readonly resolve: (told: Told) => void } | undefined
  let isGone = false
  gone.then(() => {
    isGone = true
    waiting?.resolve({ unexpected: 'it is gone' })
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => complaints.push(`it complains: ${text}`))
  // What was written to one that is gone by now.
  child.stdin?.on('error', () => undefined)
  if (child.stdout !== null)
    createInterface({ input: child.stdout }).on('line', (line) => {
      // Whole lines only: each was one write.
      const told: Told = JSON.parse(line)
      if ('seen' in told) seen.push(told.seen)
      if ('unexpected' in told) complaints.push(told.unexpected)
      if ('unexpected' in told || waiting?.kinds.some((kind) => kind in told)) waiting?.resolve(told)
    })

  const made: Actor = {
    seen,
    complaints,
    say(line) {
      child.stdin?.write(`${line}\n`)
    },
    async ask(line, ...kinds) {
      if (isGone) return { unexpected: 'it is gone' }
      const answer = new Promise<Told>((resolve) => {
        waiting = { kinds, resolve }
      })
      made.say(line)
      const told = await Promise.race([answer, after(30_000, undefined, { ref: false })])
      waiting = undefined
      if (told === undefined) throw new Error(`no answer to '${line}' within 30 s`)
      return told
    },
    signal(signal) {
      // Within a namespace the one that counts is the only child of the one that was started.
      const pid = inNamespace ? childOf(child.pid) : child.pid
      if (pid !== undefined) process.kill(pid, signal)
    },
    async end() {
      if (isGone) return
      // A deposed holder cannot close in good order; it is ended.
      child.stdin?.write('close\n')
      child.stdin?.end()
      await Promise.race([gone, after(5000, undefined, { ref: false })])
      await made.kill()
    },
    async kill() {
      if (isGone) return
      child.kill('SIGKILL')
      await gone
    },
  }
  return made
}

const unshare = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']

let allowed: boolean | undefined

/** Whether this machine lets us have a second PID namespace. */
function namespacesAreAllowed(): boolean {
  allowed ??= spawnSync('unshare', [...unshare.slice(1), 'true']).status === 0
  return allowed
}

function childOf(pid: number | undefined): number | undefined {
  const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
  const found = Number(stdout.trim().split('\n')[0])
  return Number.isSafeInteger(found) && found > 0 ? found : undefined
}
