/** @node A process that dies at any moment: what a parent saw is in the trail, and no key is lost. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import type { AuditEntry } from '../../src/model/entry.ts'
import { operations } from '../../src/model/operation.ts'
import { compile } from '../compile.ts'
import { validEntries } from '../validate.ts'
import type { Campaign } from './campaign.ts'
import { type Chance, chance } from './chance.ts'
import { withFolder } from './house.ts'
import { loadProduct, type Product } from './product.ts'
import { plaintextOf, type Seen, signedInput } from './seen.ts'

const allowFilesystem = ['tmpfs']

/** So many kills of one and the same keystore and trail. */
export const kill: Campaign = async ({ seed, count, product: from, say }) => {
  const product = await loadProduct(from)
  try {
    const told = await withFolder((folder) => lives({ product, folder, kills: count, luck: chance(seed) }))
    say?.(told)
    return []
  } catch (error) {
    if (error instanceof assert.AssertionError) return [{ case: 'all', what: error.message }]
    throw error
  }
}

interface Lives {
  readonly product: Product
  readonly folder: string
  readonly kills: number
  readonly luck: Chance
}

async function lives({ product, folder, kills, luck }: Lives): Promise<string> {
  const place = {
    child: await compile('test/campaigns/kill-child.ts', folder, product.folder),
    keys: join(folder, 'keys'),
    audit: join(folder, 'audit'),
    rootKeyFile: join(folder, 'root.key'),
    samples: join(folder, 'samples'),
  }
  writeFileSync(place.rootKeyFile, new Uint8Array(32).fill(9), { mode: 0o600 })
  writeFileSync(place.samples, '')
  const follower = follow(join(place.audit, 'main'))
  const samples = new Map<string, Seen>()
  const planted: string[] = []
  let seenInAll = 0
  let livesWithResults = 0

  for (let number = 1; number <= kills; number++) {
    const seen = await live(place, { number, luck })
    follower.catchUp()
    for (const result of seen) follower.holds(result)
    seenInAll += seen.length
    if (seen.length > 0) livesWithResults += 1
    keepSamples(place.samples, samples, seen)
    if (number % 10 === 0) tearTail(join(place.audit, 'main'), planted)
    if (number % 20 === 0)
      assert.equal((await product.verifyTrail(place.audit)).verdict, 'valid', `after kill ${number}`)
  }

  assert.ok(livesWithResults > kills / 4, `${livesWithResults} lives came to a result`)
  await settleAndCheck(product, place, samples)
  follower.catchUp()
  const entries = await collect(product, place.audit)
  assert.equal(entries.length, follower.size)
  quarantined(join(place.audit, 'main'), { entries, planted })
  nothingPilesUp(place.keys)
  nothingPilesUp(join(place.audit, 'main'))
  return `${kills} kills, ${seenInAll} results seen, ${entries.length} entries, ${samples.size} samples`
}

async function collect(product: Product, path: string): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = []
  for await (const { entry } of product.readTrail(path)) entries.push(entry)
  return entries
}

interface Place {
  readonly child: string
  readonly keys: string
  readonly audit: string
  readonly rootKeyFile: string
  readonly samples: string
}

/** One life: begun, killed, and what it told until then. */
async function live(place: Place, { number, luck }: { number: number; luck: Chance }): Promise<Seen[]> {
  const args = [place.child, place.keys, place.audit, place.rootKeyFile, String(number), place.samples]
  const program = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const closed = once(program, 'close')
  let told = ''
  let complaints = ''
  let begin = () => {}
  const isAtWork = new Promise<void>((resolve) => {
    begin = resolve
  })
  program.stdout.setEncoding('utf8').on('data', (text: string) => {
    told += text
    // Ready, and one result after it.
    if (told.split('\n', 3).length === 3) begin()
  })
  program.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  // Four in ten die somewhere between their first instruction and their first results, the others at work.
  if (luck.next() < 0.4) await after(luck.below(450))
  else {
    await Promise.race([isAtWork, closed])
    await after(luck.below(120))
  }
  program.kill('SIGKILL')
  const [, signal] = await closed
  assert.equal(signal, 'SIGKILL', `life ${number} ended by itself: ${complaints}`)
  assert.equal(complaints, '')
  const results = told
    .split('\n')
    // What follows the last newline is nothing, or a line that the kill cut.
    .slice(0, -1)
    .map((line): Seen & { ready?: true; unexpected?: string } => JSON.parse(line))
    .filter((line) => line.ready === undefined)
  for (const { unexpected } of results) assert.equal(unexpected, undefined)
  return results
}

/** Reads what was committed since the last time, by nothing but the lines in the files. */
function follow(folder: string) {
  const entries = new Map<string, AuditEntry>()
  const offsets = new Map<string, number>()
  const segments = join(folder, 'segments')

  function read(path: string): void {
    const from = offsets.get(path) ?? 0
    const text = readFrom(path, from)
    let committed = 0
    let waiting: AuditEntry[] = []
    for (let at = 0, end = text.indexOf('\n'); end !== -1; at = end + 1, end = text.indexOf('\n', at)) {
      const line: AuditEntry | { readonly commit: object } = JSON.parse(text.slice(at, end))
      if (!('commit' in line)) {
        waiting.push(line)
        continue
      }
      for (const entry of waiting) {
        assert.ok(!entries.has(entry.eventID), 'an entry stands once')
        entries.set(entry.eventID, entry)
      }
      waiting = []
      committed = end + 1
    }
    offsets.set(path, from + Buffer.byteLength(text.slice(0, committed)))
  }

  return {
    get size() {
      return entries.size
    },
    catchUp() {
      if (!existsSync(segments)) return
      // Not only the last ones: when a segment without a commit goes into quarantine, the one before it may grow again.
      for (const name of readdirSync(segments).sort()) read(join(segments, name))
    },
    holds({ eventID, operation, key, version }: Seen): void {
      const entry = entries.get(eventID)
      assert.ok(entry !== undefined, `${operation} was seen and is not in the trail`)
      assert.equal(entry.action, operations[operation].action)
      assert.equal(entry.outcome, 'success')
      assert.equal(entry.keySlug, key)
      if (version !== undefined) assert.equal(entry.keyVersion, version)
    },
  }
}

function readFrom(path: string, from: number): string {
  const bytes = Buffer.alloc(Math.max(0, statSync(path).size - from))
  if (bytes.length === 0) return ''
  const fd = openSync(path, 'r')
  try {
    readSync(fd, bytes, 0, bytes.length, from)
  } finally {
    closeSync(fd)
  }
  return bytes.toString('utf8')
}

/** One ciphertext or signature of each key version, which later lives and the end must still open and verify. */
function keepSamples(path: string, samples: Map<string, Seen>, seen: readonly Seen[]): void {
  for (const one of seen) {
    const name = `${one.key} ${one.version}`
    if (one.bytes === undefined || samples.has(name)) continue
    samples.set(name, one)
    if (one.operation === 'encrypt') appendFileSync(path, `${JSON.stringify(one)}\n`)
  }
}

/** A kill leaves what was written; a power cut may leave half a batch. This is one. */
function tearTail(folder: string, planted: string[]): void {
  const segments = join(folder, 'segments')
  const last = existsSync(segments) ? readdirSync(segments).sort().at(-1) : undefined
  if (last === undefined) return
  const torn = `{"schema":"keytrail/1","eventID":"torn-${planted.length}"}\n{"schema":"keyt`
  appendFileSync(join(segments, last), torn)
  planted.push(torn)
}

/** The last opening, in this process: recovers, closes what is open, and then everything is asked. */
async function settleAndCheck(
  product: Product,
  { keys, audit, rootKeyFile }: Place,
  samples: ReadonlyMap<string, Seen>,
): Promise<void> {
  const local = await product.openLocalKms({ path: keys, rootKeyFile, allowFilesystem })
  const trail = await product.openTrail({ path: audit, signer: local.auditSigner(), allowFilesystem })
  const kms = new product.KmsClient({ provider: local, audit: { required: [trail] } })
  await kms.ready()
  assert.deepEqual(await trail.openIntents(), [])
  const entries = await collect(product, audit)
  validEntries(entries)
  everyIntentIsClosed(entries)
  const { keys: all } = await kms.listKeys()
  changesAreWhatTheTrailSays(entries, all)

  for (const { slug, status } of all) if (status === 'disabled') await kms.enableKey({ key: slug })
  for (const { operation, key, version, bytes = '' } of samples.values()) {
    const sample = Uint8Array.from(Buffer.from(bytes, 'base64'))
    if (operation === 'encrypt') {
      const { plaintext, keyVersion } = await kms.decrypt({ key, ciphertext: sample })
      assert.deepEqual(plaintext, plaintextOf(key))
      assert.equal(keyVersion, version)
    } else {
      const { valid, keyVersion } = await kms.call('verify', { key, input: signedInput, signature: sample })
      assert.equal(valid, true)
      assert.equal(keyVersion, version)
    }
  }
  const { vkey } = trail
  await kms.close()
  const verdict = await product.verifyTrail(audit, { vkey })
  assert.equal(verdict.verdict, 'valid', verdict.problem)
  assert.equal(verdict.unsignedTail, undefined)
}

function everyIntentIsClosed(entries: readonly AuditEntry[]): void {
  const open = new Map<string, AuditEntry>()
  for (const entry of entries) {
    const { operationID = '', phase, outcome } = entry
    if (phase === 'intent') open.set(operationID, entry)
    if (phase !== 'result' || operationID === '') continue
    assert.ok(open.delete(operationID), `one result, after its intent: ${entry.action} ${operationID}`)
    assert.notEqual(outcome, 'unknown', 'the keystore knows what became of each')
  }
  assert.deepEqual([...open.values()], [])
}

/** The keystore has exactly the keys and versions that the trail tells of, those whose results recovery wrote included. */
function changesAreWhatTheTrailSays(
  entries: readonly AuditEntry[],
  keys: readonly { readonly slug: string; readonly latestVersion: number }[],
): void {
  const told = new Map<string, number>()
  for (const { action, phase, outcome, keySlug = '' } of entries) {
    if (phase !== 'result' || outcome !== 'success') continue
    if (action === 'kms_key.create' || action === 'kms.rotate') told.set(keySlug, (told.get(keySlug) ?? 0) + 1)
  }
  assert.deepEqual(
    new Map(keys.map(({ slug, latestVersion }) => [slug, latestVersion] as const).sort()),
    new Map([...told].sort()),
  )
}

interface Cuts {
  readonly entries: readonly AuditEntry[]
  readonly planted: readonly string[]
}

function quarantined(folder: string, { entries, planted }: Cuts): void {
  const quarantine = join(folder, 'quarantine')
  const kept = readdirSync(quarantine).map((name) => readFileSync(join(quarantine, name), 'utf8'))
  for (const torn of planted)
    assert.ok(
      kept.some((text) => text.endsWith(torn)),
      'what was cut is kept',
    )
  const told = entries.filter(({ action }) => action === 'audit.recovered')
  assert.ok(planted.length === 0 || told.length > 0)
  for (const { details } of told)
    assert.equal(statSync(join(folder, details?.file ?? '')).size, details?.quarantinedBytes)
}

/** A hundred crashes must not leave a hundred locks and half-written files. */
function nothingPilesUp(folder: string): void {
  const names = readdirSync(folder)
  assert.ok(names.length <= 12, names.join(' '))
}
