/** @node The tlog-proof format against published answers. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { engine } from '#engine'
import { cosignatureVerifier } from '../../src/trail/anchors/cosignature.ts'
import { checkProof } from '../../src/trail/receipts/prove.ts'
import { openCheckpoint, verifiersFor } from '../../src/trail/receipts/signed-checkpoint.ts'
import { formatTlogProof, parseTlogProof } from '../../src/trail/receipts/tlog-proof.ts'
import { verifyInclusion } from '../../src/trail/tree/proofs.ts'
import { leafHash } from '../../src/trail/tree/tree.ts'
import { noShared, sharedJson } from '../shared.ts'

interface Answers {
  readonly tlogProofs: {
    readonly logVkey: string
    readonly witnessVkey: string
    readonly cases: readonly {
      readonly entry: string
      readonly index: number
      readonly proof: string
      readonly valid: boolean
      readonly why?: string
    }[]
  }
}

describe('tlog-proof', () => {
  test('files are checked as the published answers say', { skip: noShared }, () => {
    const { logVkey, witnessVkey, cases } = sharedJson<Answers>('vectors/tlog.json').tlogProofs
    const witness = cosignatureVerifier(engine, witnessVkey)
    let good = 0
    for (const { entry, proof: text, valid, why } of cases) {
      const parsed = parseTlogProof(text)
      ok(parsed)
      strictEqual(formatTlogProof(parsed), text)
      const checkpoint = openCheckpoint(parsed.checkpoint, verifiersFor(logVkey))
      ok(checkpoint)
      ok(witness.open(parsed.checkpoint))
      const { size, root } = checkpoint
      const given = { index: parsed.index, size, root, proof: parsed.proof }
      const found = verifyInclusion(engine, { ...given, leafHash: leafHash(engine, Buffer.from(entry)) })
      strictEqual(found, valid, why)
      if (valid) good++
    }
    ok(good > 3 && good < cases.length)
  })

  test('files of another log hold no audit entry of ours, and are refused for it', { skip: noShared }, async () => {
    const { logVkey, cases } = sharedJson<Answers>('vectors/tlog.json').tlogProofs
    const [first] = cases
    ok(first)
    deepStrictEqual(await checkProof(first.proof, { vkey: logVkey }), {
      valid: false,
      problem: 'it holds no audit entry',
    })
    const parsed = parseTlogProof(first.proof)
    ok(parsed)
    const withLine = formatTlogProof({ ...parsed, extra: Buffer.from(first.entry) })
    deepStrictEqual(await checkProof(withLine, { vkey: logVkey }), {
      valid: false,
      problem: 'it holds no audit entry',
    })
  })

  test('what was formatted is parsed, and formatted again the same', () => {
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
    const proof = fc.record(
      {
        index: fc.bigInt({ min: 0n, max: (1n << 59n) - 1n }),
        extra: fc.uint8Array(),
        proof: fc.array(hash, { maxLength: 63 }),
        checkpoint: fc.string(),
      },
      { requiredKeys: ['index', 'proof', 'checkpoint'] },
    )
    fc.assert(
      fc.property(proof, (given) => {
        const text = formatTlogProof(given)
        const parsed = parseTlogProof(text)
        deepStrictEqual(parsed, { ...given, proof: given.proof })
        strictEqual(parsed && formatTlogProof(parsed), text)
      }),
    )
  })

  test('there is one spelling of each proof', () => {
    const hash = Buffer.alloc(32, 7).toString('base64')
    const good = `c2sp.org/tlog-proof@v1\nextra AQI=\nindex 5\n${hash}\n\nnote`
    ok(parseTlogProof(good))
    for (const text of [
      '',
      'c2sp.org/tlog-proof@v1',
      good.replace('v1', 'v2'),
      good.replace('index 5', 'index 05'),
      good.replace('index 5', 'index -5'),
      good.replace('index 5', 'index 5 '),
      good.replace('index 5', 'index 99999999999999999999'),
      good.replace('index 5\n', ''),
      good.replace('AQI=', 'AQI'),
      good.replace('AQI=', 'AQJ='),
      good.replace('extra AQI=', 'extra'),
      good.replace('extra AQI=\nindex 5', 'index 5\nextra AQI='),
      good.replace(hash, hash.slice(4)),
      good.replace(hash, `${hash.slice(0, -2)}H=`),
      good.replace(hash, Array(64).fill(hash).join('\n')),
      good.replaceAll('\n', '\r\n'),
      good.replace('\n\nnote', '\nnote'),
      `${good}${' '.repeat(4 * 1024 * 1024)}`,
    ])
      strictEqual(parseTlogProof(text), undefined, JSON.stringify(text.slice(0, 100)))
  })
})
