/** @node A witness that shares no code with ours: witness/main.go, on Go's note and tlog packages. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { engine } from '../../src/crypto/node.ts'
import { cosignatureVerifier } from '../../src/trail/anchors/cosignature.ts'
import { witnessClient } from '../../src/trail/anchors/witness.ts'
import { formatCheckpoint } from '../../src/trail/checkpoint.ts'
import { openTrail, verifyTrail } from '../../src/trail/index.ts'
import { noteSigner, parseNote } from '../../src/trail/note.ts'
import { consistencyProof, type Nodes, nodeHash } from '../../src/trail/tree/proofs.ts'
import { emptyTree, leafHash } from '../../src/trail/tree/tree.ts'
import { copyFolder } from '../copy-folder.ts'
import { noShared, sharedJson } from '../shared.ts'
import { entriesFrom, folderFor, hastyFileSystem, signerOf } from './entries.ts'
import { goWitnessVkey, noGo, startGoWitness } from './witness/start.ts'

const vkey = goWitnessVkey

describe('a witness of another make', { skip: noGo }, () => {
  test('answers the published requests as they ask', { skip: noShared }, async (t) => {
    interface Steps {
      readonly logVkey: string
      readonly origin: string
      readonly stepsInOrder: readonly { send: string; status: number; why: string; body?: string }[]
    }
    const steps = sharedJson<{ witnessAddCheckpoint: Steps }>('vectors/tlog.json').witnessAddCheckpoint
    const { url } = await startGoWitness(t, { vkey: steps.logVkey, origin: steps.origin })
    ok(steps.stepsInOrder.length >= 8)
    for (const { send, status, why, body } of steps.stepsInOrder) {
      const response = await fetch(`${url}/add-checkpoint`, { method: 'POST', body: send })
      const answer = await response.text()
      strictEqual(response.status, status, why)
      if (body !== undefined) strictEqual(answer, body, why)
      if (status === 409) strictEqual(response.headers.get('content-type'), 'text/x.tlog.size')
      if (status !== 200) continue
      const note = send.slice(send.indexOf('\n\n') + 2)
      ok(cosignatureVerifier(engine, vkey).open(note + answer), why)
    }
    const elsewhere = steps.stepsInOrder[0]?.send.replaceAll(steps.origin, 'audit.example/other') ?? ''
    strictEqual((await fetch(`${url}/add-checkpoint`, { method: 'POST', body: elsewhere })).status, 404)
  })

  test('cosigns a growing log, is found again by a client that knows nothing, and remembers', async (t) => {
    const log = growingLog()
    const { url, state, stop } = await startGoWitness(t, log)
    const first = clientOf(log, url)
    for (const size of [1, 2, 3, 7, 8, 9, 255, 256, 257, 1000, 1023, 1024, 1025]) {
      log.growTo(size)
      await first.ask()
      strictEqual(first.problem(), undefined, `at ${size}`)
      const note = first.kept.at(-1) ?? ''
      ok(note.startsWith(log.note()))
      const cosignature = cosignatureVerifier(engine, vkey).open(note)
      ok(cosignature && Math.abs(cosignature.time - Date.now()) < 60_000)
    }
    first.client.close()
    log.growTo(1500)
    const second = clientOf(log, url)
    await second.ask()
    strictEqual(second.problem(), undefined)
    strictEqual(parseNote(second.kept.at(-1) ?? '')?.signatures.length, 2)
    second.client.close()

    await stop()
    const again = await startGoWitness(t, { ...log, state })
    const third = clientOf(log, again.url)
    log.growTo(1501)
    await third.ask()
    strictEqual(third.problem(), undefined)
    strictEqual(third.client.health()[0]?.size, 1501n)
    third.client.close()
  })

  test('does not cosign a log that lost or changed entries, and the client says why', async (t) => {
    const log = growingLog()
    const { url } = await startGoWitness(t, log)
    log.growTo(100)
    const honest = clientOf(log, url)
    await honest.ask()
    strictEqual(honest.problem(), undefined)
    honest.client.close()

    for (const [what, other, problem] of [
      [
        'rolled back',
        growingLog().growTo(99),
        /^has cosigned 100 entries and the trail has 99: the trail was rolled back/,
      ],
      ['changed', growingLog(17).growTo(101), /^answered 422/],
      ['changed, no larger', growingLog(17).growTo(100), /^answered 422/],
      ['of another key', growingLog(-1, 8).growTo(101), /^answered 403/],
    ] as const) {
      const { ask, client, kept, problem: told } = clientOf(other, url)
      await ask()
      match(told() ?? '', problem, what)
      deepStrictEqual(kept, [], what)
      client.close()
    }
  })

  test('cosigns a trail on the disk, which verifies against it, and speaks up when that is rolled back', async (t) => {
    const folder = folderFor(t)
    const path = join(folder, 'audit')
    const pin = { file: join(folder, 'pin') }
    const { origin, vkey: logVkey } = growingLog()
    const { url } = await startGoWitness(t, { origin, vkey: logVkey })
    const witnesses = [{ url, vkey }]

    async function session(first: number, count: number): Promise<string | undefined> {
      const trail = await openTrail({ path, origin, signer: signerOf(7), witnesses, pin, fs: hastyFileSystem })
      if (count > 0) await trail.write(entriesFrom(first, count))
      // A pin that is ahead refuses; what the witness says is asked for here.
      await trail.close().catch(() => undefined)
      return trail.health().witnesses[0]?.problem
    }
    async function verdict(anchors: { pin?: string }) {
      const found = await verifyTrail(path, { vkey: logVkey, witness: vkey, ...anchors })
      return [found.verdict, found.anchor, found.size] as const
    }

    strictEqual(await session(0, 20), undefined)
    deepStrictEqual(await verdict({}), ['valid', 'witness', 20n])
    copyFolder(path, join(folder, 'earlier'))
    strictEqual(await session(20, 15), undefined)
    deepStrictEqual(await verdict({ pin: pin.file }), ['valid', 'witness', 35n])

    rmSync(path, { recursive: true })
    copyFolder(join(folder, 'earlier'), path)
    deepStrictEqual(await verdict({}), ['valid', 'witness', 20n], 'the files alone cannot tell')
    deepStrictEqual((await verdict({ pin: pin.file }))[0], 'rolled-back')
    match((await session(0, 0)) ?? '', /^has cosigned 35 entries and the trail has 20: the trail was rolled back/)
    match((await session(100, 40)) ?? '', /^has cosigned 35 entries|^answered 422/)
    deepStrictEqual(await verdict({}), ['valid', 'witness', 60n], 'cosigned at 20, and nothing since')
  })
})

interface GrowingLog extends Nodes {
  readonly vkey: string
  readonly origin: string
  growTo(size: number): GrowingLog
  readonly size: () => bigint
  /** The signed checkpoint. */
  readonly note: () => string
}

/** `changed`: the leaf that is another than in other logs. */
function growingLog(changed = -1, key = 7): GrowingLog {
  const origin = 'keytrail/test'
  const signer = noteSigner(engine, origin, signerOf(key))
  const leaves: Uint8Array[] = []
  const tree = emptyTree(engine)
  const nodeOf = (level: number, index: number): Uint8Array =>
    level === 0
      ? (leaves[index] ?? new Uint8Array(0))
      : nodeHash(engine, nodeOf(level - 1, index * 2), nodeOf(level - 1, index * 2 + 1))
  const log: GrowingLog = {
    vkey: signer.vkey,
    origin,
    size: () => tree.size,
    note: () => signer.sign(formatCheckpoint({ origin, size: tree.size, root: tree.root() })),
    node: async (level, index) => nodeOf(level, Number(index)),
    growTo(size) {
      for (let at = leaves.length; at < size; at++) {
        const leaf = leafHash(engine, Buffer.from(at === changed ? 'another' : `entry ${at}`))
        leaves.push(leaf)
        tree.append(leaf)
      }
      return log
    },
  }
  return log
}

function clientOf(log: GrowingLog, url: string) {
  const kept: string[] = []
  const client = witnessClient({
    engine,
    witnesses: [{ url, vkey }],
    prove: (from, to) => consistencyProof(engine, log, { from, to }),
    onCosigned: (note) => {
      kept.push(note)
    },
  })
  return {
    client,
    kept,
    problem: () => client.health()[0]?.problem,
    async ask() {
      client.submit(log.note(), log.size())
      await client.idle()
    },
  }
}
