/** @node Cosignatures: published ones, and everything that only looks like one. */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { engine as noble } from '../../src/crypto/noble.ts'
import { engine } from '../../src/crypto/node.ts'
import { KmsError } from '../../src/model/errors.ts'
import { cosignatureVerifier } from '../../src/trail/anchors/cosignature.ts'
import { formatCheckpoint } from '../../src/trail/checkpoint.ts'
import { noteSigner, noteVerifier } from '../../src/trail/note.ts'
import { noShared, sharedJson } from '../shared.ts'
import { cosigner, cosignerOf } from './cosigner.ts'
import { signerOf } from './entries.ts'

interface Answers {
  readonly keys: {
    readonly log: { readonly vkey: string }
    readonly witness: readonly { readonly vkey: string; readonly seedHex: string }[]
  }
  readonly checkpoints: { readonly list: readonly Published[] }
  readonly tlogProofs: { readonly witnessVkey: string; readonly cases: readonly { readonly proof: string }[] }
}

interface Published {
  readonly note: string
  readonly cosigned: string
  /** By witness, in seconds. */
  readonly times: readonly number[]
}

const log = noteSigner(engine, 'keytrail/test', signerOf(7))
const note = log.sign(formatCheckpoint({ origin: 'keytrail/test', size: 5n, root: new Uint8Array(32).fill(9) }))
const witness = cosignerOf(1)
const verifier = cosignatureVerifier(engine, witness.vkey)
const seconds = 1_760_000_000

const timeOf = (cosigned: string) => verifier.open(cosigned)?.time

describe('published cosignatures', { skip: noShared }, () => {
  const answers = () => sharedJson<Answers>('vectors/tlog.json')

  test('open with their witness’s key and tell when, on both engines', () => {
    const { keys, checkpoints } = answers()
    ok(keys.witness.length === 2 && checkpoints.list.length > 3)
    for (const one of [engine, noble])
      for (const [at, { vkey }] of keys.witness.entries()) {
        const published = cosignatureVerifier(one, vkey)
        strictEqual(published.vkey, vkey)
        for (const { note, cosigned, times } of checkpoints.list) {
          strictEqual(published.open(cosigned)?.time, Number(times[at]) * 1000)
          strictEqual(published.open(note), undefined)
        }
      }
  })

  test('are ours byte for byte, so that what the tests make is what witnesses make', () => {
    const { keys, checkpoints } = answers()
    for (const { note, cosigned, times } of checkpoints.list) {
      const lines = keys.witness.map(({ vkey, seedHex }, at) => {
        const ours = cosigner(vkey.slice(0, vkey.indexOf('+')), Buffer.from(seedHex, 'hex'))
        strictEqual(ours.vkey, vkey)
        return ours.cosign(note, times[at] ?? 0)
      })
      strictEqual(note + lines.join(''), cosigned)
    }
  })

  test('open in the checkpoint of a proof', () => {
    const { tlogProofs } = answers()
    const published = cosignatureVerifier(engine, tlogProofs.witnessVkey)
    ok(tlogProofs.cases.length > 0)
    for (const { proof } of tlogProofs.cases)
      ok(published.open(proof.slice(proof.indexOf('\n\n') + 2)), 'the part after the first empty line is a note')
  })

  test('of another checkpoint do not open', () => {
    const { keys, checkpoints } = answers()
    const [first, second] = checkpoints.list
    ok(first && second)
    const lines = second.cosigned.slice(second.note.length)
    const published = cosignatureVerifier(engine, keys.witness[0]?.vkey ?? '')
    strictEqual(published.open(first.note + lines), undefined)
    ok(published.open(second.note + lines))
  })
})

describe('a cosignature', () => {
  test('opens beside signatures of others, and its line is the one of its key', () => {
    const other = cosignerOf(2)
    const cosigned = note + other.cosign(note, seconds) + witness.cosign(note, seconds)
    strictEqual(timeOf(cosigned), seconds * 1000)
    strictEqual(verifier.open(cosigned)?.line.line, witness.cosign(note, seconds).trimEnd())
    strictEqual(timeOf(note + other.cosign(note, seconds)), undefined)
  })

  test('does not stand for the log’s signature, nor the other way round', () => {
    const { publicKey } = signerOf(7)
    const asWitness = cosigner('keytrail/test', new Uint8Array(32).fill(7))
    ok(asWitness.vkey.endsWith(Buffer.concat([Buffer.of(4), publicKey]).toString('base64')))
    strictEqual(cosignatureVerifier(engine, asWitness.vkey).open(note), undefined)
    const text = note.slice(0, note.indexOf('\n\n') + 2)
    deepStrictEqual(noteVerifier(engine, log.vkey).open(text + asWitness.cosign(note, seconds)), {
      problem: 'unsigned',
    })
  })

  test('given twice opens with the newest time', () => {
    const [early, late] = [witness.cosign(note, seconds), witness.cosign(note, seconds + 60)]
    strictEqual(timeOf(note + early + late), (seconds + 60) * 1000)
    strictEqual(timeOf(note + late + early), (seconds + 60) * 1000)
    strictEqual(timeOf(note + early + early), seconds * 1000)
    strictEqual(verifier.open(note + early + late)?.line.line, late.trimEnd())
  })

  test('beside a bad one of the same key does not open', () => {
    const good = witness.cosign(note, seconds)
    const bad = witness.lineOf(new Uint8Array(72).fill(1))
    strictEqual(timeOf(note + good + bad), undefined)
    strictEqual(timeOf(note + bad + good), undefined)
  })

  test('of no time, or of one that no calendar has, does not open', () => {
    const last = 8_640_000_000_000n
    for (const time of [0n, last + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n])
      strictEqual(timeOf(note + witness.cosign(note, time)), undefined, String(time))
    strictEqual(timeOf(note + witness.cosign(note, last)), 8_640_000_000_000_000)
    strictEqual(timeOf(note + witness.cosign(note, 1)), 1000)
  })

  test('of another length does not open', () => {
    const line = witness.cosign(note, seconds)
    const bytes = Buffer.from(line.split(' ')[2] ?? '', 'base64').subarray(4)
    strictEqual(bytes.length, 72)
    ok(timeOf(note + witness.lineOf(bytes)))
    for (const length of [1, 7, 8, 63, 64, 71])
      strictEqual(timeOf(note + witness.lineOf(bytes.subarray(0, length))), undefined, String(length))
    strictEqual(timeOf(note + witness.lineOf(Buffer.concat([bytes, Buffer.of(0)]))), undefined)
  })

  test('with any bit changed does not open', () => {
    const bytes = Buffer.from(witness.cosign(note, seconds).split(' ')[2] ?? '', 'base64').subarray(4)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      strictEqual(timeOf(note + witness.lineOf(changed)), undefined, `bit ${bit}`)
    }
  })

  test('over any other text does not open', () => {
    const line = witness.cosign(note, seconds)
    const end = note.indexOf('\n\n')
    for (let at = 0; at < end; at++) {
      const changed = `${note.slice(0, at)}${note[at] === 'B' ? 'C' : 'B'}${note.slice(at + 1)}${line}`
      strictEqual(timeOf(changed), undefined, `character ${at}`)
    }
    strictEqual(timeOf(note.replace('\n\n', '\nextension\n\n') + line), undefined)
    const extended = note.replace('\n\n', '\nextension\n\n')
    strictEqual(timeOf(extended + witness.cosign(extended, seconds)), seconds * 1000)
  })

  test('in no text that is not a note', () => {
    const line = witness.cosign(note, seconds)
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(note.length + line.length), (noise, at) => {
        const whole = note + line
        const broken = whole.slice(0, at) + noise + whole.slice(at)
        const opened = verifier.open(broken)
        // Only a line by somebody else, at a line's start, leaves it what it was.
        if (opened !== undefined) ok(broken.startsWith(whole.slice(0, note.indexOf('\n\n') + 2)), broken)
        verifier.open(noise)
      }),
      { numRuns: 1000 },
    )
  })
})

test('what is no key of a witness is refused by name', () => {
  const [name, hash, key] = witness.vkey.split('+')
  const bad = ['', `${name}+${hash}`, `${name}+00000000+${key}`, `a b+${hash}+${key}`, `x${witness.vkey}`]
  bad.push(`${witness.vkey}\n`, log.vkey)
  for (const vkey of bad)
    throws(
      () => cosignatureVerifier(engine, vkey),
      (error) => error instanceof KmsError && error.code === 'INVALID_INPUT' && /type 4/.test(error.message),
      vkey,
    )
  throws(() => noteVerifier(engine, witness.vkey), /type 1/)
})
