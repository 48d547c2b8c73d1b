/** @node Every kind of sink out of order, under a thousand calls at once: what holds all the same. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { AuditHealth } from '../../src/audit/audit.ts'
import { KmsClient } from '../../src/client.ts'
import { type Clock, systemClock } from '../../src/model/clock.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError } from '../../src/model/errors.ts'
import type { AuditSink } from '../../src/model/sink.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { type FakeClock, fakeClock } from '../../src/testing/clock.ts'
import { exampleEntry } from '../../src/testing/entries.ts'
import { openTrail } from '../../src/trail/index.ts'
import { puppet, turn } from '../audit/puppet.ts'
import { isWhole } from '../share.ts'
import { folderFor, signerOf } from '../trail/entries.ts'
import { validEntries } from '../validate.ts'
import { chance } from './chance.ts'
import { inProcessRigs, type MakeRig, outsideRigs, type Rig } from './rigs.ts'
import { type Call, openStorm, type Storm } from './storm.ts'
import { type Fault, faults } from './trouble.ts'

const calls = 1000

interface Weather {
  readonly clock: Clock
  /** Lets time pass until `work` has settled. */
  until<T>(work: Promise<T>): Promise<T>
  readonly deadlineMs: number
  readonly sinkDeadlineMs: number
  /** What a busy machine adds to a real deadline; a call that hangs would exceed any. */
  readonly slackMs: number
}

function turnedByHand(): Weather {
  const clock: FakeClock = fakeClock()
  return {
    clock,
    deadlineMs: 300,
    sinkDeadlineMs: 100,
    slackMs: 0,
    async until(work) {
      let over = false
      const settled = work.finally(() => {
        over = true
      })
      // It is awaited below: until then nobody hears of a rejection.
      settled.catch(() => undefined)
      for (let step = 0; step < 20_000 && !over; step++) {
        await turn()
        if (!over) clock.advance(5)
      }
      assert.ok(over, 'settles within 100 s of its clock')
      return settled
    },
  }
}

const real: Weather = {
  clock: systemClock,
  deadlineMs: 600,
  sinkDeadlineMs: 300,
  slackMs: 2000,
  until(work) {
    // The library's own timers never keep a process alive.
    const alive = setInterval(() => undefined, 1000)
    return work.finally(() => clearInterval(alive))
  },
}

/** Resolves when `met` holds. */
async function whenever(clock: Clock, met: () => boolean): Promise<void> {
  while (!met()) await new Promise<void>((resolve) => clock.after(5, resolve))
}

// What stays in the process, under a clock turned by hand, comes out the same on every Node.
const tables = [
  ...(isWhole ? [{ rigs: inProcessRigs, weather: turnedByHand }] : []),
  { rigs: outsideRigs, weather: () => real },
]

describe('as a required sink', () => {
  for (const { rigs, weather } of tables)
    for (const [name, make] of Object.entries(rigs))
      for (const fault of faults)
        test(`${name}, ${fault}: calls settle in time, none is released without its entry, none is lost`, (t) =>
          requiredSink({ t, make, fault, weather: weather() }))
})

describe('as a best-effort sink', () => {
  for (const { rigs, weather } of tables)
    for (const [name, make] of Object.entries(rigs))
      for (const fault of faults)
        test(`${name}, ${fault}: no call notices, what waits is bounded, what is lost is counted`, (t) =>
          bestEffortSink({ t, make, fault, weather: weather() }))
})

describe('a sink that lies, saying it wrote what it did not', () => {
  // What can be promised then: nothing by that sink alone. Its own gap shows in `sequence`; another required sink that
  // is honest holds every entry; and the trail notices that its file did not grow before it writes another batch.
  test('alone it lets results leave without an entry; the gap shows in what it does write', async () => {
    const { storm, liar, kms } = await lying([])
    await storm.blow(calls)
    liar.lies = false
    await storm.one()
    await kms.close()
    assert.ok(storm.calls.every(({ error }) => error?.code !== 'AUDIT_REFUSED'))
    const sequences = liar.written.map(({ sequence }) => sequence)
    const jumps = sequences.filter((sequence, at) => at > 0 && sequence !== (sequences[at - 1] ?? 0) + 1)
    assert.equal(jumps.length, 1, 'one gap, where it lied')
  })

  test('beside an honest one no entry is missing', async () => {
    const honest = memorySink({ maxEntries: 100_000 })
    const { storm, kms } = await lying([honest])
    await storm.blow(calls)
    const { refusedCalls } = kms.health()
    await kms.close()
    noGap(honest.entries)
    accounted({ storm, entries: honest.entries, refusedCalls, onlyKeys: false })
  })

  test('a disk that takes bytes and drops them is found out at the next batch, and then no result leaves', async (t) => {
    let lies = false
    const path = folderFor(t)
    const fs: FileSystem = {
      ...nodeFileSystem,
      async open(at, how, mode) {
        const file = await nodeFileSystem.open(at, how, mode)
        const isSegment = how === 'append' && at.endsWith('.jsonl')
        return isSegment ? { ...file, write: async (bytes) => (lies ? bytes.length : file.write(bytes)) } : file
      },
    }
    const trail = await openTrail({ path, signer: signerOf(5), fs, allowFilesystem: ['tmpfs'] })
    const kms = new KmsClient({ provider: memoryKms(), audit: { required: [trail], sinkDeadlineMs: 200 } })
    const storm = await openStorm({ kms, clock: systemClock, chance: chance(43) })
    lies = true
    await kms.hmac({ key: 'mac', input: new Uint8Array(1) })
    await real.until(storm.blow(calls))
    assert.deepEqual(
      storm.calls.filter(({ released }) => released),
      [],
    )
    assert.equal(kms.health().state, 'refusing')
    await real.until(assert.rejects(kms.close(), KmsError))
  })

  async function lying(others: readonly AuditSink[]) {
    const liar = {
      name: 'liar',
      durability: 'memory' as const,
      lies: false,
      written: [] as AuditEntry[],
      write(entries: readonly AuditEntry[]): void {
        if (!liar.lies) liar.written.push(...entries)
      },
    }
    const kms = new KmsClient({ provider: memoryKms(), audit: { required: [liar, ...others] } })
    const storm = await openStorm({ kms, clock: systemClock, chance: chance(43) })
    liar.lies = true
    return { storm, liar, kms }
  }
})

describe('memory', () => {
  for (const [what, mode, role] of [
    ['a required sink that is down', 'throw', 'required'],
    ['a best-effort sink that is down', 'throw', 'bestEffort'],
    ['a best-effort sink that hangs', 'hang', 'bestEffort'],
  ] as const)
    test(`the heap stands still over 50,000 calls beside ${what}`, async () => {
      const sink = puppet()
      const clock = fakeClock()
      const sinks = role === 'required' ? { required: [sink] } : { required: [forgetful()], bestEffort: [sink] }
      const kms = new KmsClient({ provider: memoryKms(), audit: { ...sinks, clock } })
      await kms.createKey({ slug: 'x' })
      sink.mode = mode
      const plaintext = new Uint8Array(100)
      const many = async (count: number) => {
        for (let at = 0; at < count; at++) {
          await kms.encrypt({ key: 'x', plaintext }).catch(() => undefined)
          if (at % 100 === 0) {
            clock.advance(10)
            await turn()
            sink.batches.length = 0
          }
        }
      }
      await many(15_000)
      const before = heapNow()
      await many(50_000)
      const grown = heapNow() - before
      assert.ok(grown < 2 * 1024 * 1024, `grew by ${grown} bytes`)
      assert.ok(queuedIn(kms.health()) <= 10_000)
    })

  test('behind a required sink that hangs, at most the calls in flight wait, each with an entry and an amendment', async () => {
    const sink = puppet()
    const clock = fakeClock()
    const kms = new KmsClient({ provider: memoryKms(), maxInFlight: 1000, audit: { required: [sink], clock } })
    await kms.createKey({ slug: 'x' })
    sink.mode = 'hang'
    const codes = await codesOf(kms, 50_000, () => clock.advance(5000))
    assert.deepEqual(codes, { AUDIT_REFUSED: 1000, OVERLOADED: 49_000 })
    assert.ok(queuedIn(kms.health()) <= 2010, `${queuedIn(kms.health())} queued`)
    assert.deepEqual(await codesOf(kms, 50_000, () => clock.advance(5000)), { AUDIT_REFUSED: 50_000 })
    assert.ok(queuedIn(kms.health()) <= 2010, `${queuedIn(kms.health())} queued`)
  })

  test('nor do more wait when calls give up long before the sink is known to be down', async () => {
    const sink = puppet()
    const clock = fakeClock()
    const limits = { deadlineMs: 10, maxInFlight: 100 }
    const kms = new KmsClient({ provider: memoryKms(), ...limits, audit: { required: [sink], clock } })
    await kms.createKey({ slug: 'x' })
    sink.mode = 'hang'
    for (let round = 0; round < 300; round++) await codesOf(kms, 100, () => clock.advance(10))
    assert.equal(kms.health().state, 'ok', 'it is not known to be down yet')
    assert.ok(queuedIn(kms.health()) <= 20_200, `${queuedIn(kms.health())} queued`)
    assert.ok(kms.health().refusedCalls > 15_000, 'what found no room was refused at the door')
  })

  async function codesOf(kms: KmsClient, count: number, then: () => void): Promise<Record<string, number>> {
    const codes: Record<string, number> = {}
    const all = Array.from({ length: count }, () =>
      kms.encrypt({ key: 'x', plaintext: new Uint8Array(1) }).catch((error: KmsError) => {
        codes[error.code] = (codes[error.code] ?? 0) + 1
      }),
    )
    await turn()
    then()
    await Promise.all(all)
    return codes
  }

  function forgetful(): AuditSink {
    return { name: 'forgetful', durability: 'memory', write: () => undefined }
  }

  /** After a collection. */
  function heapNow(): number {
    setFlagsFromString('--expose-gc')
    // Defined by the flag, in contexts made from then on.
    const collect = runInNewContext('gc') as () => void
    collect()
    return process.memoryUsage().heapUsed
  }
})

describe('recovery behind a sink out of order', () => {
  test('the call that waits for it settles within its own deadline', async () => {
    const clock = fakeClock()
    const sink = { ...puppet(), openIntents: () => new Promise<never>(() => undefined) }
    const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink], clock } })
    let settledAt: number | undefined
    const call = kms.encrypt({ key: 'x', plaintext: new Uint8Array(1) }, { deadlineMs: 200 }).catch(() => {
      settledAt = clock.monotonic()
    })
    for (let at = 0; at < 300 && settledAt === undefined; at++) {
      await turn()
      clock.advance(50)
    }
    await call
    assert.ok(settledAt !== undefined && settledAt <= 250, `settled at ${settledAt} ms`)
  })

  test('calls that wait for it count as in flight', async () => {
    const clock = fakeClock()
    const sink = { ...puppet(), openIntents: () => new Promise<never>(() => undefined) }
    const kms = new KmsClient({ provider: memoryKms(), maxInFlight: 10, audit: { required: [sink], clock } })
    const codes: string[] = []
    for (let at = 0; at < 1000; at++)
      kms.encrypt({ key: 'x', plaintext: new Uint8Array(1) }).catch((error: KmsError) => codes.push(error.code))
    await turn()
    assert.equal(codes.filter((code) => code === 'OVERLOADED').length, 990)
  })

  test('an attempt that the sink refused is made again for every intent', async () => {
    const { sink, kms, clock } = withOpenIntents()
    sink.mode = 'reject'
    await assert.rejects(kms.ready(), { code: 'AUDIT_REFUSED' })
    sink.mode = 'async'
    for (let at = 0; at < 10; at++) {
      await turn()
      clock.advance(5000)
    }
    await kms.ready()
    assert.equal(resultsIn(sink), 3, 'three intents, three results')
  })

  test('an attempt that was late is made again for every intent', async () => {
    const { sink, open, kms, clock } = withOpenIntents()
    const honest = sink.openIntents
    let answer = () => {}
    sink.openIntents = () =>
      new Promise((resolve) => {
        answer = () => resolve(open)
      })
    const first = assert.rejects(kms.ready(), { code: 'AUDIT_REFUSED' })
    await turn()
    clock.advance(10_000)
    await first
    answer()
    sink.openIntents = honest
    await turn()
    await kms.ready()
    assert.equal(resultsIn(sink), 3, 'three intents, three results')
  })

  function withOpenIntents() {
    const clock = fakeClock()
    const provider = memoryKms()
    const open = [1, 2, 3].map((number) =>
      exampleEntry(number, {
        phase: 'intent',
        outcome: 'pending',
        action: 'kms.rotate',
        operationID: exampleEntry(number).eventID,
        provider: { name: provider.name },
      }),
    )
    const base = puppet()
    const isOpen = ({ operationID }: AuditEntry) => !base.accepted.some((entry) => entry.operationID === operationID)
    const sink = Object.assign(base, { openIntents: async () => open.filter(isOpen) })
    return { sink, open, clock, kms: new KmsClient({ provider, audit: { required: [sink], clock } }) }
  }

  function resultsIn({ accepted }: { readonly accepted: readonly AuditEntry[] }): number {
    return accepted.filter(({ action, phase }) => action === 'kms.rotate' && phase === 'result').length
  }
})

interface Scene {
  readonly t: TestContext
  readonly make: MakeRig
  readonly fault: Fault
  readonly weather: Weather
}

async function requiredSink({ t, make, fault, weather }: Scene): Promise<void> {
  const { clock, until, deadlineMs, sinkDeadlineMs } = weather
  const luck = chance(41)
  const rig = await make({ t, chance: luck, clock, sinkDeadlineMs })
  const kms = new KmsClient({
    provider: memoryKms(),
    deadlineMs,
    audit: { required: [rig.sink], sinkDeadlineMs, clock },
  })
  const early: Call[] = []
  const opening = openStorm({ kms, clock, chance: luck, onRelease: (call) => rig.holds(id(call)) ?? early.push(call) })
  const storm = await until(opening)
  rig.trouble.reenter = () => storm.one()

  rig.begin(fault)
  await until(storm.blow(calls))
  const queued = queuedIn(kms.health())
  // Once it is known to be down, and again: refused calls leave nothing behind.
  await until(storm.blow(50))
  releasedOnlyWhatIsHeld(storm, rig)
  // An entry and an amendment a call, an intent for some, and the log's own.
  assert.ok(queued <= 4 * calls, `${queued} queued`)

  rig.end()
  await until(storm.blow(0))
  settledInTime(storm, weather)
  if (!rig.recoversFrom(fault)) return closesAllTheSame(kms, until)
  await until(whenever(clock, () => kms.health().state === 'ok' && queuedIn(kms.health()) === 0))
  const { refusedCalls } = kms.health()
  await until(kms.close())
  const { entries, ids } = once(await rig.entries())
  if (rig.onlyKeys === undefined) noGap(entries)
  for (const call of storm.calls) if (call.released) assert.ok(ids.has(id(call)), `${call.requestId} has its entry`)
  accounted({ storm, entries, refusedCalls, onlyKeys: rig.onlyKeys === true })
}

async function bestEffortSink({ t, make, fault, weather }: Scene): Promise<void> {
  const { clock, until, deadlineMs, sinkDeadlineMs } = weather
  const luck = chance(42)
  const rig = await make({ t, chance: luck, clock, sinkDeadlineMs })
  const sound = memorySink({ maxEntries: 1_000_000 })
  const room = { entries: 300, bytes: 1024 * 1024 }
  const kms = new KmsClient({
    provider: memoryKms(),
    deadlineMs,
    audit: { required: [sound], bestEffort: [rig.sink], bestEffortQueue: room, sinkDeadlineMs, clock },
  })
  const storm = await until(openStorm({ kms, clock, chance: luck }))
  rig.trouble.reenter = () => storm.one()
  rig.begin(fault)
  await until(storm.blow(calls))
  for (const { queued } of kms.health().sinks) assert.ok(queued <= room.entries, `${queued} queued`)
  for (const { error } of storm.calls)
    assert.ok(error?.code !== 'AUDIT_REFUSED' && error?.code !== 'OUTCOME_UNAUDITED', `a call noticed: ${error}`)

  rig.end()
  await until(storm.blow(0))
  settledInTime(storm, weather)
  const recovers = rig.recoversFrom(fault)
  if (recovers) await until(whenever(clock, () => kms.health().state === 'ok' && queuedIn(kms.health()) === 0))
  await until(kms.close().catch((error) => assert.equal(recovers, false, error)))
  const lost = kms.health().sinks[1]?.lost ?? 0
  const left = kms.health().sinks[1]?.queued ?? 0
  noGap(sound.entries)
  accounted({ storm, entries: sound.entries, refusedCalls: 0, onlyKeys: false })
  const told = sound.entries.reduce(
    (sum, { action, details }) => sum + (action === 'audit.dropped' ? (details?.dropped ?? 0) : 0),
    0,
  )
  // Of a sink that is still full when it is closed, the last report and `audit.closed` come after the count.
  assert.ok(recovers ? told === lost : lost - told <= 2, `${lost} lost, ${told} counted in entries`)
  if (fault === 'hang') assert.ok(lost > 0 || rig.holds('') === undefined, 'a hanging sink loses what finds no room')
  if (!recovers) return
  const { ids } = once(await rig.entries())
  if (rig.onlyKeys === undefined) assert.equal(ids.size + lost + left, sound.entries.length, 'held, or counted as lost')
}

function id(call: Call): string {
  assert.ok(call.eventID !== undefined)
  return call.eventID
}

function queuedIn({ sinks }: AuditHealth): number {
  return sinks.reduce((sum, { queued }) => sum + queued, 0)
}

function settledInTime({ calls: all }: Storm, { deadlineMs, slackMs }: Weather): void {
  for (const { requestId, beganAt, settledAt } of all) {
    assert.ok(settledAt !== undefined, `${requestId} has settled`)
    assert.ok(settledAt - beganAt <= deadlineMs + slackMs, `${requestId} took ${settledAt - beganAt} ms`)
  }
}

/** An entry is never taken back, so what was held at the release is held now. */
function releasedOnlyWhatIsHeld({ calls: all }: Storm, rig: Rig): void {
  for (const call of all)
    if (call.released) assert.notEqual(rig.holds(id(call)), false, `${call.requestId} was released`)
}

async function closesAllTheSame(kms: KmsClient, until: Weather['until']): Promise<void> {
  await until(assert.rejects(kms.close(), KmsError))
}

/** What came twice, once. */
function once(entries: readonly AuditEntry[]): { entries: readonly AuditEntry[]; ids: ReadonlySet<string> } {
  const unique = new Map<string, AuditEntry>()
  for (const entry of entries) if (!unique.has(entry.eventID)) unique.set(entry.eventID, entry)
  return { entries: [...unique.values()], ids: new Set(unique.keys()) }
}

/** In the order of their writer, and all of them. */
function noGap(entries: readonly AuditEntry[]): void {
  assert.deepEqual(
    entries.map(({ sequence }) => sequence),
    entries.map((_, at) => at),
  )
}

interface Account {
  readonly storm: Storm
  readonly entries: readonly AuditEntry[]
  readonly refusedCalls: number
  readonly onlyKeys: boolean
}

/** One result a call, an amendment for each that was withheld, and a count of those that were refused without an entry. */
function accounted({ storm, entries, refusedCalls, onlyKeys }: Account): void {
  validEntries(entries)
  const results = new Map<string, AuditEntry[]>()
  const amended = new Set<string>()
  for (const entry of entries) {
    if (entry.phase === 'amendment') amended.add(entry.details?.amends ?? '')
    const requestId = entry.phase === 'result' ? entry.context?.requestId : undefined
    if (requestId !== undefined) results.set(requestId, [...(results.get(requestId) ?? []), entry])
  }
  let refused = 0
  for (const { requestId, action, released, error, eventID } of storm.calls) {
    const found = results.get(requestId) ?? []
    // Refused at the door: a sink is down or has no room, and is known to.
    if (error?.code === 'AUDIT_REFUSED' && error.message.endsWith('nothing was done, try again later')) {
      assert.equal(found.length, 0)
      refused += 1
      continue
    }
    assert.equal(found.length, 1, `${requestId} ${action} ${error?.message}`)
    assert.equal(found[0]?.action, action)
    if (released) assert.equal(found[0]?.outcome, 'success')
    if (eventID !== undefined) assert.equal(found[0]?.eventID, eventID)
    const isWithheld = error?.code === 'OUTCOME_UNAUDITED' || (error?.code === 'AUDIT_REFUSED' && eventID !== undefined)
    assert.equal(amended.has(found[0]?.eventID ?? ''), isWithheld, `${requestId}: amended only if withheld`)
  }
  assert.equal(refusedCalls, refused, 'calls without an entry are counted')
  const told = entries.reduce(
    (sum, { action, details }) => sum + (action === 'audit.sink_up' ? (details?.refusedCalls ?? 0) : 0),
    0,
  )
  if (!onlyKeys) assert.equal(told, refused, 'and the count stands in the entries')
  everyIntentHasOneResult(entries)
}

function everyIntentHasOneResult(entries: readonly AuditEntry[]): void {
  const open = new Set<string>()
  for (const { phase, operationID = '' } of entries) {
    if (phase === 'intent') open.add(operationID)
    if (phase === 'result' && operationID !== '') assert.ok(open.delete(operationID), 'one result, after its intent')
  }
  assert.equal(open.size, 0)
}
