/** @node Every kind of sink over a world that can be put out of order. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { Clock } from '../../src/model/clock.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError } from '../../src/model/errors.ts'
import type { AuditSink } from '../../src/model/sink.ts'
import { anyOf, filter } from '../../src/sinks/combine.ts'
import { httpSink } from '../../src/sinks/http.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { stdoutSink } from '../../src/sinks/stdout.ts'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { exampleEntries } from '../../src/testing/entries.ts'
import { openTrail } from '../../src/trail/index.ts'
import { collect, folderFor, signerOf } from '../trail/entries.ts'
import type { Chance } from './chance.ts'
import { type Fault, type Trouble, trouble } from './trouble.ts'

export interface Rig {
  readonly sink: AuditSink
  readonly trouble: Trouble
  begin(fault: Fault): void
  end(): void
  /** Whether the sink's world holds the entry now; undefined where only the end shows. */
  holds(eventID: string): boolean | undefined
  /** What the sink's world holds at the end, with what came twice; call it when the sink is closed. */
  entries(): Promise<readonly AuditEntry[]>
  /** False where this fault is for good, as a reader that has gone. */
  recoversFrom(fault: Fault): boolean
  /** Takes only entries about keys. */
  readonly onlyKeys?: true
}

export interface RigOptions {
  readonly t: TestContext
  readonly chance: Chance
  readonly clock: Clock
  /** About as long as the emitter waits for a sink. */
  readonly sinkDeadlineMs: number
}

export type MakeRig = (options: RigOptions) => Rig | Promise<Rig>

/** Those that need no input or output, so that their time can be turned by hand. */
export const inProcessRigs: { readonly [name: string]: MakeRig } = {
  memory: (options) => {
    const member = troubled(options)
    return { ...alwaysRecovers, ...member }
  },
  'memory with little room': (options) => {
    const most = 20_000
    const inner = memorySink({ maxEntries: most })
    const kept: AuditEntry[] = []
    const own = trouble({ ...options, latestMs: 2 * options.sinkDeadlineMs })
    return {
      ...alwaysRecovers,
      trouble: own,
      begin(fault) {
        if (fault === 'fill') inner.write(exampleEntries(most - inner.entries.length - 400))
        else own.begin(fault)
      },
      end() {
        own.end()
        inner.clear()
      },
      sink: aroundStep(inner, own, (entries) => kept.push(...entries)),
      holds: (id) => kept.some(({ eventID }) => eventID === id),
      entries: async () => kept,
    }
  },
  'anyOf, one of two out of order': (options) => {
    const broken = troubled(options)
    const sound = troubled(options)
    return {
      ...alwaysRecovers,
      ...broken,
      sink: anyOf(broken.sink, sound.sink),
      holds: (id) => broken.holds(id) || sound.holds(id),
      entries: async () => merged(await broken.entries(), await sound.entries()),
    }
  },
  'anyOf, both out of order': (options) => {
    const one = troubled(options)
    const other = troubled({ ...options, trouble: one.trouble })
    return {
      ...alwaysRecovers,
      ...one,
      sink: anyOf(one.sink, other.sink),
      holds: (id) => one.holds(id) || other.holds(id),
      entries: async () => merged(await one.entries(), await other.entries()),
    }
  },
  filter: (options) => {
    const member = troubled(options)
    return {
      ...alwaysRecovers,
      ...member,
      sink: filter(member.sink, (entry) => entry.resourceType === 'kms_key'),
      onlyKeys: true,
    }
  },
}

/** Those over a pipe, a socket, a disk. */
export const outsideRigs: { readonly [name: string]: MakeRig } = {
  'stdout over a pipe': stdoutRig,
  'http over a server': httpRig,
  'trail over a file system': trailRig,
}

const alwaysRecovers = { recoversFrom: () => true }

interface Member extends Pick<Rig, 'sink' | 'trouble' | 'begin' | 'end' | 'entries'> {
  holds(eventID: string): boolean
}

function troubled(options: RigOptions & { readonly trouble?: Trouble }): Member {
  const own = options.trouble ?? trouble({ ...options, latestMs: 2 * options.sinkDeadlineMs })
  const inner = memorySink({ maxEntries: 1_000_000 })
  const ids = new Set<string>()
  return {
    trouble: own,
    begin: own.begin,
    end: own.end,
    sink: aroundStep(inner, own, (entries) => {
      for (const entry of entries) ids.add(entry.eventID)
    }),
    holds: (id) => ids.has(id),
    entries: async () => inner.entries,
  }
}

function merged(...lists: (readonly AuditEntry[])[]): readonly AuditEntry[] {
  return lists.flat().sort((one, other) => one.sequence - other.sequence)
}

/** Answers at once where the step does, so that the path without promises is met too. */
function aroundStep(
  inner: AuditSink,
  { meet }: Trouble,
  accepted: (entries: readonly AuditEntry[]) => unknown,
): AuditSink {
  return {
    ...inner,
    write(entries) {
      const met = meet()
      const write = () => {
        inner.write(entries)
        accepted(entries)
      }
      return met === undefined ? write() : met.then(write)
    },
  }
}

/** The reader is a process: it stops reading, goes on, or dies. */
async function stdoutRig(options: RigOptions): Promise<Rig> {
  const { t, clock, sinkDeadlineMs } = options
  const reader = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => reader.kill('SIGKILL'))
  const chunks: string[] = []
  reader.stdout.setEncoding('utf8').on('data', (text: string) => chunks.push(text))
  const ended = once(reader, 'close')
  const own = trouble({ ...options, latestMs: 2 * sinkDeadlineMs })
  const inner = stdoutSink({ stream: reader.stdin, format: 'lines' })
  return {
    trouble: own,
    sink: { ...inner, write: (entries) => before(own, () => inner.write(entries)) },
    begin(fault) {
      if (fault === 'break' || fault === 'fill') reader.kill('SIGKILL')
      else if (fault === 'hang') reader.kill('SIGSTOP')
      else if (fault === 'late') {
        reader.kill('SIGSTOP')
        clock.after(2 * sinkDeadlineMs, () => reader.kill('SIGCONT'))
      } else own.begin(fault)
    },
    end() {
      reader.kill('SIGCONT')
      own.end()
    },
    holds: () => undefined,
    async entries() {
      reader.stdin.end()
      await ended
      return entriesIn(chunks.join(''))
    },
    recoversFrom: (fault) => fault !== 'break' && fault !== 'fill',
  }
}

async function httpRig(options: RigOptions): Promise<Rig> {
  const own = trouble({ ...options, latestMs: 2 * options.sinkDeadlineMs })
  const kept: AuditEntry[] = []
  const ids = new Set<string>()
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request.setEncoding('utf8')) body += part
    const entries = entriesIn(body)
    try {
      await own.meet()
    } catch (error) {
      const isFull = error instanceof Error && error.message.startsWith('ENOSPC')
      if (isFull) response.writeHead(507).end()
      else request.socket.destroy()
      return
    }
    for (const entry of entries) ids.add(entry.eventID)
    kept.push(...entries)
    response.writeHead(204).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  options.t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  // The address of a TCP server is not a pipe's name.
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/`
  // The first request of a process takes longer.
  await fetch(url, { method: 'POST' })
  const timeoutMs = Math.floor(options.sinkDeadlineMs * 0.8)
  return {
    ...alwaysRecovers,
    trouble: own,
    sink: httpSink({ url, timeoutMs, retries: 1 }),
    begin: own.begin,
    end: own.end,
    holds: (id) => ids.has(id),
    entries: async () => kept,
  }
}

async function trailRig(options: RigOptions): Promise<Rig> {
  const own = trouble({ ...options, latestMs: 2 * options.sinkDeadlineMs })
  const path = folderFor(options.t)
  const ids = new Set<string>()
  const fs = fileSystemIn(own, (bytes) => {
    for (const [, id = ''] of new TextDecoder().decode(bytes).matchAll(/"eventID":"([^"]+)"/g)) ids.add(id)
  })
  const sink = await openTrail({ path, signer: signerOf(5), fs, allowFilesystem: ['tmpfs'] })
  return {
    ...alwaysRecovers,
    trouble: own,
    sink,
    begin: own.begin,
    end: own.end,
    holds: (id) => ids.has(id),
    entries: async () => (await collect(path)).map(({ entry }) => entry),
  }
}

/** Only appends to segments meet the trouble; a disk that is full takes half of what it is given. */
function fileSystemIn(own: Trouble, written: (bytes: Uint8Array) => void): FileSystem {
  return {
    ...nodeFileSystem,
    async open(path, how, mode) {
      const file = await nodeFileSystem.open(path, how, mode)
      if (how !== 'append' || !path.endsWith('.jsonl')) return file
      return {
        ...file,
        async write(bytes) {
          try {
            await own.meet()
          } catch (error) {
            await file.write(bytes.subarray(0, bytes.length >> 1))
            throw error
          }
          const count = await file.write(bytes)
          if (count === bytes.length) written(bytes)
          return count
        },
      }
    },
  }
}

async function before<T>({ meet }: Trouble, run: () => T | Promise<T>): Promise<T> {
  await meet()
  return run()
}

export function entriesIn(text: string): AuditEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const entry: AuditEntry = JSON.parse(line)
      if (entry.schema !== 'keytrail/1') throw new KmsError('INTERNAL', 'not an entry')
      return entry
    })
}
