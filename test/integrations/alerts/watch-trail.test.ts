/** @node A trail that is watched: what is found live is what is found afterwards, and a restart misses nothing. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { KmsClient } from '../../../src/client.ts'
import { createDetector } from '../../../src/detect/detector.ts'
import type { Finding } from '../../../src/detect/finding.ts'
import { everyRule } from '../../../src/detect/shipped.ts'
import { createAlerts } from '../../../src/integrations/alerts/alerts.ts'
import { jsonLinesDelivery } from '../../../src/integrations/alerts/files/json-lines.ts'
import { openWatchState } from '../../../src/integrations/alerts/files/watch-state.ts'
import { type WatchOptions, watchTrail } from '../../../src/integrations/alerts/files/watch-trail.ts'
import { trailDelivery } from '../../../src/integrations/alerts/trail-delivery.ts'
import { webhookDelivery } from '../../../src/integrations/alerts/webhook.ts'
import { host } from '../../../src/model/host.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { openTrail } from '../../../src/trail/index.ts'
import { readTrail } from '../../../src/trail/reading/read.ts'
import { entryAt, signerOf } from '../../trail/entries.ts'
import { layTrail } from '../../trail/laid.ts'
import { receiver, secret } from './receiver.ts'

/** Two, so that other rules do not change what is counted here. */
const rules = everyRule.filter(({ id }) => id === 'export' || id === 'repeated-400')
const text = new TextEncoder().encode('attack at dawn')

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-watch-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Entries in a row, of which each tenth is an export. */
function entries(first: number, count: number) {
  const exported = { action: 'kms.export', details: { form: 'raw' } }
  return Array.from({ length: count }, (_, at) => entryAt(first + at, (first + at) % 10 === 9 ? exported : {}))
}

async function offline(path: string): Promise<readonly Finding[]> {
  const detector = createDetector(rules)
  const found: Finding[] = []
  for await (const { entry } of readTrail(path)) found.push(...detector.take(entry))
  return found
}

async function once(path: string, stateFile: string, options: Partial<WatchOptions> = {}) {
  const state = await openWatchState(stateFile)
  const detector = createDetector(rules, { ...(state.detector && { state: state.detector }) })
  const found: Finding[] = []
  const clock = fakeClock(Date.UTC(2026, 0, 2))
  const { entries } = await watchTrail(path, detector, {
    ...{ state, once: true, clock, onFindings: (some) => found.push(...some), ...options },
  })
  return { found, entries }
}

test('once: from the start to the end, and then from there; what is found in parts is what is found at once', async (t) => {
  const folder = folderFor(t)
  const trail = layTrail(join(folder, 'audit'))
  const stateFile = join(folder, 'watch.json')
  const found: Finding[] = []
  let seen = 0
  for (let part = 0; part < 6; part++) {
    trail.write(entries(part * 15, 15))
    if (part % 2 === 1) trail.seal()
    const turn = await once(trail.path, stateFile)
    found.push(...turn.found)
    seen += turn.entries
    assert.equal(turn.entries, 15)
  }
  assert.equal(seen, 90)
  assert.deepEqual(found, await offline(trail.path))
  assert.equal(found.length, 9)
  assert.equal((await once(trail.path, stateFile)).entries, 0)
  assert.equal(statSync(stateFile).mode & 0o777, 0o600)
})

test('the state is kept only when all has arrived; what was told since is told again, with the same ids', async (t) => {
  const folder = folderFor(t)
  const trail = layTrail(join(folder, 'audit'))
  const stateFile = join(folder, 'watch.json')
  trail.write(entries(0, 20))
  const first = await once(trail.path, stateFile, { isDelivered: () => false })
  assert.equal(existsSync(stateFile), false)
  const second = await once(trail.path, stateFile, { isDelivered: async () => true })
  assert.deepEqual(second, first)
  assert.equal((await once(trail.path, stateFile)).entries, 0)
})

test('ended in the midst, it keeps nothing: the next one begins where the last was kept', async (t) => {
  const folder = folderFor(t)
  const trail = layTrail(join(folder, 'audit'))
  const stateFile = join(folder, 'watch.json')
  trail.write(entries(0, 30))
  const ending = new host.AbortController()
  const cut = await once(trail.path, stateFile, { signal: ending.signal, onFindings: () => ending.abort() })
  assert.equal(cut.entries, 10)
  assert.equal(existsSync(stateFile), false)
  assert.equal((await once(trail.path, stateFile)).found.length, 3)
})

test('a trail that is shorter than what was seen of it, or gone, is told: nobody waits for it to grow back', async (t) => {
  const folder = folderFor(t)
  const stateFile = join(folder, 'watch.json')
  const long = layTrail(join(folder, 'long'))
  long.write(entries(0, 20))
  await once(long.path, stateFile)
  const short = layTrail(join(folder, 'short'))
  short.write(entries(0, 19))
  await assert.rejects(once(short.path, stateFile), {
    code: 'ROLLED_BACK',
    message: /20 entries of the trail 'main' were seen, and it has 19/,
  })
  const other = layTrail(join(folder, 'other'), { instance: 'billing' })
  other.write(entries(0, 40))
  await assert.rejects(once(other.path, stateFile), { code: 'ROLLED_BACK', message: /it is gone/ })
})

test('damaged lines are told, and what stands behind them is still watched', async (t) => {
  const folder = folderFor(t)
  const trail = layTrail(join(folder, 'audit'))
  trail.write(entries(0, 10))
  trail.write(entries(10, 10))
  const [segment] = trail.segments
  assert.ok(segment)
  const damaged = readFileSync(segment.path, 'utf8').replace('{"schema"', '{"schem}')
  writeFileSync(segment.path, damaged)
  const told: string[] = []
  const { found } = await once(trail.path, join(folder, 'watch.json'), {
    onDamage: ({ message }) => told.push(message),
  })
  assert.equal(found.length, 2)
  assert.match(told.join(), /damaged lines in the trail: 1/)
  await assert.rejects(once(trail.path, join(folder, 'other.json')), { code: 'INTERNAL' })
})

test('two watches that share a state never tear it', async (t) => {
  const folder = folderFor(t)
  const file = join(folder, 'watch.json')
  const states = [await openWatchState(file), await openWatchState(file)]
  const detector = createDetector([]).state()
  const cursors = (count: number) =>
    new Map(Array.from({ length: count }, (_, at) => [`i${at}`, { segment: 0n, next: 1n, offset: 0 }] as const))
  for (let turn = 0; turn < 20; turn++) {
    await Promise.all(states.map((state, at) => state.save(detector, cursors(at === 0 ? 2000 : 1))))
    assert.ok([1, 2000].includes((await openWatchState(file)).cursors.size))
  }
  assert.deepEqual(readdirSync(folder), ['watch.json'])
})

describe('a state that is none', () => {
  const good = { segment: '0', next: '1', offset: 0 }
  const detector = createDetector([]).state()
  const state = { format: 'keytrail-watch/1', cursors: { main: good }, detector }
  for (const [what, wrong] of [
    ['no JSON', 'x'],
    ['null', null],
    ['another format', { ...state, format: 'keytrail-watch/2' }],
    ['no cursors', { ...state, cursors: undefined }],
    ['a cursor without an offset', { ...state, cursors: { main: { ...good, offset: -1 } } }],
    ['a cursor without an index', { ...state, cursors: { main: { ...good, next: 1 } } }],
    ['no detector', { ...state, detector: {} }],
    ['a detector without its writers', { ...state, detector: { ...detector, writers: { cells: 1, evicted: 0 } } }],
    ['a rule without tables', { ...state, detector: { ...detector, rules: { export: {} } } }],
    ['a cell that is none', { ...state, detector: { ...detector, writers: { cells: [['a', null, 0]], evicted: 0 } } }],
  ] as const)
    test(`${what} is refused`, async (t) => {
      const file = join(folderFor(t), 'watch.json')
      writeFileSync(file, typeof wrong === 'string' ? wrong : JSON.stringify(wrong))
      await assert.rejects(openWatchState(file), { code: 'INVALID_INPUT', message: /remove it to begin anew/ })
    })
})

test('from calls of a client to a webhook that fails at first, a file and the trail; live is what is found afterwards', async (t) => {
  const folder = folderFor(t)
  const { url, requests, accepted, came } = await receiver(t, { answer: (number) => (number < 2 ? 503 : 204) })
  const trail = await openTrail({ path: join(folder, 'audit'), signer: signerOf(7) })
  const kms = new KmsClient({ provider: memoryKms(), audit: { required: [trail] } })
  const live: Finding[] = []
  const findings = join(folder, 'findings.jsonl')
  const alerts = createAlerts({
    deliveries: [webhookDelivery({ url, secret }), jsonLinesDelivery(findings), trailDelivery(kms)],
    audit: kms,
  })
  const ending = new host.AbortController()
  await kms.createKey({ slug: 'orders', exportAllowed: true })
  const stateFile = join(folder, 'watch.json')
  const watching = watchTrail(join(folder, 'audit'), createDetector(rules), {
    state: await openWatchState(stateFile),
    signal: ending.signal,
    everyMs: 5,
    isDelivered: () => alerts.pending === 0,
    onFindings(found) {
      live.push(...found)
      alerts.take(found)
    },
  })
  const mallory = kms.with({ actor: { type: 'user', id: 'mallory' }, clientIp: '192.0.2.66' })
  await mallory.export({ key: 'orders' })
  const wrong = () => mallory.sign({ key: 'orders', input: text })
  for (let call = 0; call < 12; call++) await assert.rejects(wrong(), { statusCode: 400 })
  // Two that failed, and then what was found: the export, and the refusals.
  await came(2 + 2)
  await alerts.flush()
  ending.abort()
  await watching
  await alerts.close()
  await kms.close()

  const ids = new Set(live.map(({ id }) => id))
  assert.deepEqual(
    live.map(({ rule }) => rule),
    ['export', 'repeated-400'],
  )
  assert.deepEqual(
    live,
    (await offline(join(folder, 'audit'))).filter(({ id }) => ids.has(id)),
  )
  assert.deepEqual(new Set(accepted), ids)
  assert.ok(requests.every(({ message }) => message !== undefined))
  const inFile = readFileSync(findings, 'utf8').trimEnd().split('\n')
  assert.deepEqual(new Set(inFile.map((line) => JSON.parse(line).id)), ids)
  const raised = new Set<string | undefined>()
  for await (const { entry } of readTrail(join(folder, 'audit'), { action: 'finding.raised' }))
    raised.add(entry.resourceIdentity)
  assert.deepEqual(raised, ids)
  const exported = live.find(({ rule }) => rule === 'export')
  assert.match(exported?.says ?? '', /user:mallory exported key orders in the clear/)
})
