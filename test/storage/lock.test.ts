import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { acquireLock, type Lock } from '../../src/storage/lock.ts'
import { machineId } from '../../src/storage/machine.ts'
import { fromSource } from '../from-source.mjs'
import { crashAt, faultyFileSystem } from './faults.ts'
import { freshFolder } from './folder.ts'

const child = fileURLToPath(new URL('lock-child.ts', import.meta.url))

interface Contender {
  readonly process: ChildProcess
  /** The next line it says; rejects when it dies first. */
  next(): Promise<string>
  go(): void
}

async function contender(
  t: TestContext,
  folder: string,
  mode = 'hold',
  within: readonly string[] = [],
): Promise<Contender> {
  const [command = '', ...args] = [...within, process.execPath, ...fromSource, child, folder, mode]
  const started = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => started.kill('SIGKILL'))
  const lines = createInterface({ input: started.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const line = await lines.next()
    if (line.done === true) throw new Error('the child said nothing more')
    return line.value
  }
  assert.equal(await next(), 'ready')
  return { process: started, next, go: () => started.stdin.write('go\n') }
}

async function killed(contender: Contender): Promise<void> {
  contender.process.kill('SIGKILL')
  await once(contender.process, 'exit')
}

test('one holds, a second is refused and told by whom, and a released lock is free', async (t) => {
  const folder = freshFolder(t)
  const first = await acquireLock(nodeFileSystem, folder)
  await assert.rejects(acquireLock(nodeFileSystem, folder), {
    code: 'LOCKED',
    message: new RegExp(`in use by process ${process.pid} on `),
  })
  await assert.rejects(acquireLock(nodeFileSystem, folder, { takeOver: true }), { code: 'LOCKED' })
  first.check()
  await first.release()
  await first.release()
  assert.throws(() => first.check(), { code: 'LOCKED' })
  const second = await acquireLock(nodeFileSystem, folder)
  assert.ok(second.epoch > first.epoch)
  await second.release()
  assert.deepEqual(readdirSync(folder), [`lock.${second.epoch}`])
})

test('a hundred openings leave one small file', async (t) => {
  const folder = freshFolder(t)
  for (let i = 0; i < 100; i++) await (await acquireLock(nodeFileSystem, folder)).release()
  assert.deepEqual(readdirSync(folder), ['lock.100'])
})

test('of twenty processes exactly one wins', async (t) => {
  const folder = freshFolder(t)
  const contenders = await Promise.all(Array.from({ length: 20 }, () => contender(t, folder)))
  for (const each of contenders) each.go()
  const said = await Promise.all(contenders.map((each) => each.next()))
  assert.equal(said.filter((word) => word === 'holds 1').length, 1, said.join())
  assert.equal(said.filter((word) => word === 'LOCKED').length, 19, said.join())
})

test('many racing in one process: never two, and again after each release', async (t) => {
  const folder = freshFolder(t)
  let holders = 0
  let won = 0
  await Promise.all(
    Array.from({ length: 12 }, async () => {
      while (won < 40) {
        try {
          const lock = await acquireLock(nodeFileSystem, folder)
          holders++
          assert.equal(holders, 1)
          lock.check()
          won++
          holders--
          await lock.release()
        } catch (error) {
          if ((error as { code?: string }).code !== 'LOCKED') throw error
        }
      }
    }),
  )
})

test('a killed holder is noticed and taken over at once; what it left is cleared away', async (t) => {
  const folder = freshFolder(t)
  const victim = await contender(t, folder)
  victim.go()
  assert.equal(await victim.next(), 'holds 1')
  await assert.rejects(acquireLock(nodeFileSystem, folder), { code: 'LOCKED' })
  await killed(victim)
  const lock = await acquireLock(nodeFileSystem, folder)
  assert.equal(lock.epoch, 2)
  await lock.release()
  assert.deepEqual(readdirSync(folder), ['lock.2'])
})

test('of ten who take over from a dead holder one wins', async (t) => {
  const folder = freshFolder(t)
  const victim = await contender(t, folder)
  victim.go()
  await victim.next()
  await killed(victim)
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => acquireLock(nodeFileSystem, folder)))
  const held = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  assert.equal(held.length, 1)
  held[0]?.check()
  await held[0]?.release()
})

test('a stopped process still holds: silence is not death', async (t) => {
  const folder = freshFolder(t)
  const sleeper = await contender(t, folder)
  sleeper.go()
  await sleeper.next()
  sleeper.process.kill('SIGSTOP')
  await assert.rejects(acquireLock(nodeFileSystem, folder), { code: 'LOCKED' })
  sleeper.process.kill('SIGCONT')
  sleeper.go()
  assert.equal(await sleeper.next(), 'released')
  await (await acquireLock(nodeFileSystem, folder)).release()
})

test('a lock does not keep its process alive', async (t) => {
  const leaver = await contender(t, freshFolder(t), 'exit')
  leaver.go()
  assert.equal(await leaver.next(), 'holds 1')
  leaver.process.stdin?.end()
  const [code] = await once(leaver.process, 'exit')
  assert.equal(code, 0)
})

test('a folder with a path longer than a socket address holds all the same', async (t) => {
  const folder = join(freshFolder(t), 'x'.repeat(120), 'y'.repeat(120))
  mkdirSync(folder, { recursive: true })
  const lock = await acquireLock(nodeFileSystem, folder)
  await assert.rejects(acquireLock(nodeFileSystem, folder), { code: 'LOCKED' })
  // Its socket stands in the folder, not where a path cut at 107 bytes would have put it.
  assert.match(readdirSync(folder).join(), /^lock\.1,lock\.1\.[0-9a-f]{16}\.sock$/)
  await lock.release()
  assert.deepEqual(readdirSync(folder), ['lock.1'])
})

interface Claim {
  readonly boot?: string
  readonly machine?: string
}

/** A lock file as a holder elsewhere would have left it. */
function leftBy(folder: string, { boot = 'another-boot', machine = 'f'.repeat(32) }: Claim): void {
  const holder = { pid: 7, host: 'elsewhere', machine, boot, socket: 'lock.3.ab.sock', since: 'then', released: false }
  writeFileSync(join(folder, 'lock.3'), JSON.stringify(holder), { mode: 0o600 })
}

const onDisk = (number: number): FileSystem => ({ ...nodeFileSystem, filesystemNumber: async () => number })
const ext4 = 0xef53
const nfs = 0x6969

test('a holder on another host is refused without takeOver, and taken over with it', async (t) => {
  const folder = freshFolder(t)
  leftBy(folder, {})
  await assert.rejects(acquireLock(onDisk(ext4), folder), {
    code: 'LOCKED',
    message: /process 7 on elsewhere.*takeOver/,
  })
  const lock = await acquireLock(onDisk(ext4), folder, { takeOver: true })
  assert.equal(lock.epoch, 4)
  await lock.release()
})

test('after a restart of the same machine a local folder comes back by itself, a network folder does not', async (t) => {
  const machine = await machineId()
  if (machine === '') return t.skip('no /etc/machine-id')
  const folder = freshFolder(t)
  leftBy(folder, { machine })
  await assert.rejects(acquireLock(onDisk(nfs), folder), { code: 'LOCKED', message: /takeOver/ })
  await (await acquireLock(onDisk(ext4), folder)).release()
})

test('a holder that released is no obstacle wherever the folder went', async (t) => {
  const folder = freshFolder(t)
  const lock = await acquireLock(nodeFileSystem, folder)
  await lock.release()
  const left = JSON.parse(readFileSync(join(folder, 'lock.1'), 'utf8'))
  writeFileSync(join(folder, 'lock.1'), JSON.stringify({ ...left, boot: 'other', machine: 'other' }))
  await (await acquireLock(onDisk(nfs), folder)).release()
})

for (const content of ['', 'not json', '{}', '{"pid":1}', 'null', '\xff', '{"socket":"../../etc/passwd"}']) {
  test(`a lock file that says ${JSON.stringify(content)} keeps out all but a takeOver`, async (t) => {
    const folder = freshFolder(t)
    writeFileSync(join(folder, 'lock.1'), content, 'latin1')
    await assert.rejects(acquireLock(nodeFileSystem, folder), { code: 'LOCKED', message: /cannot be read/ })
    await (await acquireLock(nodeFileSystem, folder, { takeOver: true })).release()
  })
}

test('a holder that was taken over is dead at its next check', async (t) => {
  const folder = freshFolder(t)
  const deposed = await acquireLock(nodeFileSystem, folder)
  const claim = JSON.parse(readFileSync(join(folder, 'lock.1'), 'utf8'))
  writeFileSync(join(folder, 'lock.2'), JSON.stringify({ ...claim, released: true }))
  assert.throws(() => deposed.check(), { code: 'LOCKED', message: /taken over/ })
  const heir = await acquireLock(nodeFileSystem, folder)
  assert.equal(heir.epoch, 3)
  assert.throws(() => deposed.check(), { code: 'LOCKED' })
  await deposed.release()
  heir.check()
  await assert.rejects(acquireLock(nodeFileSystem, folder), { code: 'LOCKED' })
  await heir.release()
})

test('a folder that is moved away takes its lock with it', async (t) => {
  const folder = join(freshFolder(t), 'a')
  mkdirSync(folder)
  const lock = await acquireLock(nodeFileSystem, folder)
  renameSync(folder, `${folder}.old`)
  assert.throws(() => lock.check(), { code: 'LOCKED' })
  await lock.release()
})

for (const asleepBefore of ['open', 'link'] as const) {
  test(`who slept after looking, before ${asleepBefore}, withdraws when others have passed by`, async (t) => {
    const folder = freshFolder(t)
    const first = await acquireLock(nodeFileSystem, folder)
    await first.release()
    let holder: Lock | undefined
    async function sleep(): Promise<void> {
      if (holder !== undefined) return
      // Numbers 2, 3 and 4 come and go meanwhile; 5 holds, and 2 is free again.
      for (let i = 0; i < 3; i++) await (await acquireLock(nodeFileSystem, folder)).release()
      holder = await acquireLock(nodeFileSystem, folder)
    }
    const sleepy: FileSystem = {
      ...nodeFileSystem,
      async open(path, how, mode) {
        if (asleepBefore === 'open') await sleep()
        return nodeFileSystem.open(path, how, mode)
      },
      async link(from, to) {
        if (asleepBefore === 'link') await sleep()
        await nodeFileSystem.link(from, to)
      },
    }
    await assert.rejects(acquireLock(sleepy, folder), { code: 'LOCKED' })
    assert.equal(holder?.epoch, 5)
    holder?.check()
    await holder?.release()
    assert.deepEqual(readdirSync(folder), ['lock.5'])
  })
}

test('a failure at any step leaves nobody holding', async (t) => {
  const folder = freshFolder(t)
  await (await acquireLock(nodeFileSystem, folder)).release()
  for (let step = 0; ; step++) {
    const outcome = await acquireLock(faultyFileSystem({ fail: crashAt(step) }), folder).then(
      (lock) => lock,
      (error) => error.code,
    )
    if (typeof outcome !== 'string') {
      await assert.rejects(outcome.release(), { code: 'PROVIDER_UNAVAILABLE' })
      break
    }
    assert.equal(outcome, 'PROVIDER_UNAVAILABLE')
    await (await acquireLock(nodeFileSystem, folder)).release()
  }
  await (await acquireLock(nodeFileSystem, folder)).release()
})

const namespace = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']
const namespaces = spawnSync('unshare', [...namespace.slice(1), 'true']).status === 0

test('a process in another PID namespace, where the numbers of processes lie, is refused and refuses', {
  skip: namespaces || process.env['CI'] === 'true' ? false : 'unshare is not there, or not allowed',
}, async (t) => {
  const folder = freshFolder(t)
  const ours = await acquireLock(nodeFileSystem, folder)
  const refused = await contender(t, folder, 'hold', namespace)
  refused.go()
  assert.equal(await refused.next(), 'LOCKED')
  await ours.release()

  const holding = await contender(t, folder, 'hold', namespace)
  holding.go()
  assert.match(await holding.next(), /^holds \d+$/)
  await assert.rejects(acquireLock(nodeFileSystem, folder), { code: 'LOCKED' })
  holding.process.kill('SIGKILL')
  // Its output ends when the one within the namespace is gone, too.
  await once(holding.process, 'close')
  const taken = await acquireLock(nodeFileSystem, folder)
  await taken.release()
})
