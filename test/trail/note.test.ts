/** @node Signed notes, checkpoints and commit lines: published cases, round trips, and text that wants to break a parser. */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ed25519Public } from '../../src/crypto/ed25519.ts'
import { engine as noble } from '../../src/crypto/noble.ts'
import { engine } from '../../src/crypto/node.ts'
import { KmsError } from '../../src/model/errors.ts'
import { formatCheckpoint, parseCheckpoint } from '../../src/trail/checkpoint.ts'
import { formatCommit, originRule, parseCommit } from '../../src/trail/commit.ts'
import {
  formatNote,
  formatSigningKey,
  formatVkey,
  mergeSignatures,
  noteSigner,
  noteVerifier,
  parseNote,
  parseSigningKey,
} from '../../src/trail/note.ts'
import { noShared, sharedFile, sharedJson } from '../shared.ts'
import { signerOf } from './entries.ts'

interface NoteCases {
  readonly vkey: string
  readonly cases: readonly { readonly noteB64: string; readonly valid: boolean | null; readonly why: string }[]
}

interface Answers {
  readonly notes: NoteCases
  readonly checkpointBodies: {
    readonly vkey: string
    readonly origin: string
    readonly cases: readonly { readonly note: string; readonly valid: boolean; readonly why: string }[]
  }
  readonly checkpoints: { readonly list: readonly Published[] }
  readonly keys: {
    readonly log: { readonly vkey: string; readonly skey: string; readonly seedHex: string }
    readonly logNext: { readonly vkey: string; readonly skey: string }
  }
}

interface Published {
  readonly note: string
  readonly cosigned: string
  readonly size: number
  readonly root: string
}

const answers = () => sharedJson<Answers>('vectors/tlog.json')
const text = (base64: string) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.from(base64, 'base64'))
const origin = 'keytrail/test'
const signer = noteSigner(engine, origin, signerOf(7))
const verifier = noteVerifier(engine, signer.vkey)

function signedAt(size: bigint): string {
  return signer.sign(formatCheckpoint({ origin, size, root: new Uint8Array(32).fill(9) }))
}

describe('signed notes', () => {
  test('every published case has its verdict, on both engines', { skip: noShared }, () => {
    const { notes } = answers()
    ok(notes.cases.length >= 13)
    for (const one of [engine, noble]) {
      const known = noteVerifier(one, notes.vkey)
      for (const { noteB64, valid, why } of notes.cases) {
        if (valid !== null) strictEqual('text' in known.open(text(noteB64)), valid, why)
      }
    }
  })

  test('our signature is the published one, byte for byte', { skip: noShared }, () => {
    const { keys, checkpoints } = answers()
    const seed = parseSigningKey(engine, keys.log.skey, (bytes) => ed25519Public(engine, bytes))
    strictEqual(Buffer.from(seed).toString('hex'), keys.log.seedHex)
    const publicKey = ed25519Public(engine, seed)
    const published = noteVerifier(engine, keys.log.vkey)
    strictEqual(formatVkey(engine, published.name, publicKey), keys.log.vkey)
    strictEqual(formatSigningKey(engine, { name: published.name, seed, publicKey }), keys.log.skey)
    const ours = noteSigner(engine, published.name, { publicKey, sign: engine.ed25519(seed).sign })
    ok(checkpoints.list.length > 3)
    for (const { note, cosigned, size, root } of checkpoints.list) {
      const body = formatCheckpoint({ origin: published.name, size: BigInt(size), root: Buffer.from(root, 'base64') })
      strictEqual(ours.sign(body), note)
      deepStrictEqual(published.open(note), { text: body })
      deepStrictEqual(published.open(cosigned), { text: body })
      deepStrictEqual(noteVerifier(engine, keys.logNext.vkey).open(note), { problem: 'unsigned' })
    }
  })

  test('a log of another implementation verifies', { skip: noShared }, () => {
    const vkey = Buffer.from(sharedFile('vectors/tlog-log/vkey')).toString('utf8').trim()
    const note = Buffer.from(sharedFile('vectors/tlog-log/checkpoint')).toString('utf8')
    const opened = noteVerifier(engine, vkey).open(note)
    ok('text' in opened)
    strictEqual(parseCheckpoint(opened.text)?.size, 300n)
  })

  test('a good and a bad signature by one key refuse the note', () => {
    const note = signedAt(5n)
    const [line = ''] = note.split('\n\n')[1]?.split('\n') ?? []
    const bad = line.replace(/.{6}==?$|.{8}$/, (end) => `AAAA${end.slice(4)}`)
    ok(bad !== line)
    deepStrictEqual(verifier.open(`${note}${bad}\n`), { problem: 'bad-signature' })
    deepStrictEqual(verifier.open(`${note}${line}\n`), { text: note.slice(0, note.indexOf('\n\n') + 1) })
  })

  test('a signature line too short for a key hash and a signature makes the note malformed', () => {
    deepStrictEqual(verifier.open(`${signedAt(5n)}— other AAAAAA==\n`), { problem: 'malformed' })
    ok('text' in verifier.open(`${signedAt(5n)}— other AAAAAAA=\n`))
  })

  test('every changed character is noticed', () => {
    const note = signedAt(1234567n)
    for (let at = 0; at < note.length; at++) {
      const changed = `${note.slice(0, at)}${note[at] === 'B' ? 'C' : 'B'}${note.slice(at + 1)}`
      ok(!('text' in verifier.open(changed)), `character ${at}`)
      ok(!('text' in verifier.open(note.slice(0, at))), `cut at ${at}`)
    }
  })

  test('what is no verification key is refused by name', () => {
    const [name, hash, key] = signer.vkey.split('+')
    const bad = ['', name, `${name}+${hash}`, `+${hash}+${key}`, `${name}+00000000+${key}`, `a b+${hash}+${key}`]
    bad.push(`${name}+${hash}+${key?.slice(0, -4)}`, signer.vkey.toUpperCase(), `${signer.vkey}\n`, `x${signer.vkey}`)
    for (const vkey of bad) {
      throws(
        () => noteVerifier(engine, vkey ?? ''),
        (error) => error instanceof KmsError && error.code === 'INVALID_INPUT',
        vkey,
      )
    }
    throws(() => formatVkey(engine, 'a+b', new Uint8Array(32)), KmsError)
    throws(() => formatVkey(engine, 'ab', new Uint8Array(31)), KmsError)
  })

  test('no text breaks the parsers', () => {
    const piece = fc.constantFrom(
      '\n',
      '\n\n',
      '— ',
      origin,
      ' ',
      '+',
      'AAAA',
      '==',
      '0',
      '{"commit":',
      '\\n',
      '"',
      '\ud800',
    )
    const hostile = fc.oneof(fc.string({ unit: 'binary' }), fc.array(fc.oneof(piece, fc.string()), { maxLength: 30 }))
    fc.assert(
      fc.property(hostile, (parts) => {
        const input = typeof parts === 'string' ? parts : parts.join('')
        ok(!('text' in verifier.open(input)))
        parseCheckpoint(input)
        parseCommit(input)
        strictEqual(parseCommit(`{"commit":{"from":0,"size":1},"checkpoint":"${input}`), undefined)
      }),
      { numRuns: 2000 },
    )
  })

  test('a megabyte of anything is parsed in no time', () => {
    const million = 1_000_000
    const head = '{"commit":{"from":0,"size":1},"checkpoint":"'
    const inputs = [
      '\n'.repeat(million),
      `a\n\n${'— a AAAA\n'.repeat(million / 10)}`,
      `${'a\n'.repeat(million / 2)}\n— a AAAAAAAA\n`,
      `a\n1\n${'A'.repeat(43)}=\n${'x\n'.repeat(million / 2)}`,
      `a\n1\n${'A'.repeat(43)}=\n${'x\n'.repeat(million / 2)}\n`,
      `${head}${'\\n'.repeat(million / 2)}"}`,
      `${head}${'a\\n'.repeat(million / 3)}"}`,
      `${head}${'a'.repeat(million)}`,
      `{"commit":{"from":${'1'.repeat(million)},"size":1}`,
      `${'—'.repeat(million)} `,
    ]
    for (const input of inputs) {
      const start = performance.now()
      verifier.open(input)
      parseCheckpoint(input)
      parseCommit(input)
      const took = performance.now() - start
      // Linear work on a megabyte takes some ten milliseconds; quadratic work takes minutes.
      ok(took < 3000, `${input.slice(0, 20)}: ${took} ms`)
    }
  })
})

describe('a note', () => {
  test('taken apart is put together again', () => {
    const note = signedAt(5n)
    const parsed = parseNote(note)
    ok(parsed)
    strictEqual(formatNote(parsed), note)
  })

  test('gains the signatures of another over its text, and of one key the other’s', () => {
    const line = (name: string, byte: number) => {
      const bytes = Buffer.concat([Buffer.alloc(4), Buffer.of(byte)])
      return `— ${name} ${bytes.toString('base64')}\n`
    }
    const parsed = parseNote(`a\n\n${line('x', 1)}${line('y', 1)}`)
    const other = parseNote(`a\n\n${line('z', 2)}${line('x', 2)}`)
    ok(parsed && other)
    strictEqual(
      formatNote(mergeSignatures(parsed, other.signatures)),
      `a\n\n${line('x', 2)}${line('y', 1)}${line('z', 2)}`,
    )
    strictEqual(formatNote(mergeSignatures(parsed, parsed.signatures)), formatNote(parsed))
  })
})

describe('checkpoints', () => {
  test('every published body has its verdict', { skip: noShared }, () => {
    const { checkpointBodies } = answers()
    ok(checkpointBodies.cases.length >= 6)
    const known = noteVerifier(engine, checkpointBodies.vkey)
    for (const { note, valid, why } of checkpointBodies.cases) {
      const opened = known.open(note)
      ok('text' in opened, why)
      const checkpoint = parseCheckpoint(opened.text)
      strictEqual(checkpoint?.origin === checkpointBodies.origin, valid, why)
      if (valid) strictEqual(checkpoint?.size, 9007199254740993n, why)
    }
  })

  test('what is formatted is parsed', () => {
    const size = fc.bigInt({ min: 0n, max: 10n ** 19n - 1n })
    fc.assert(
      fc.property(
        fc.stringMatching(originRule),
        size,
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (name, n, root) => {
          deepStrictEqual(parseCheckpoint(formatCheckpoint({ origin: name, size: n, root })), {
            origin: name,
            size: n,
            root,
          })
        },
      ),
    )
  })
})

describe('commit lines', () => {
  test('have one spelling, which JSON reads', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 62n }), fc.bigInt({ min: 1n, max: 2n ** 62n }), (from, more) => {
        const commit = { from, size: from + more, note: signedAt(from + more) }
        const line = formatCommit(commit)
        deepStrictEqual(parseCommit(line), commit)
        strictEqual((JSON.parse(line) as { checkpoint: string }).checkpoint, commit.note)
      }),
      { numRuns: 50 },
    )
  })

  test('may hold two signatures, as when one key hands over to another', () => {
    const note = signedAt(5n)
    const next = noteSigner(engine, origin, signerOf(8))
    const both = note + next.sign(note.slice(0, note.indexOf('\n\n') + 1)).slice(note.indexOf('\n\n') + 2)
    deepStrictEqual(parseCommit(formatCommit({ from: 2n, size: 5n, note: both }))?.note, both)
    for (const { vkey } of [signer, next]) ok('text' in noteVerifier(engine, vkey).open(both))
  })

  test('any other spelling is refused', () => {
    const line = formatCommit({ from: 2n, size: 5n, note: signedAt(5n) })
    const others = [
      ` ${line}`,
      `${line} `,
      line.replace('"from":2', '"from":02'),
      line.replace('"from":2', '"from":-2'),
      line.replace('"from":2', '"from":2.0'),
      line.replace('"from":2,"size":5', '"size":5,"from":2'),
      line.replace('},"ch', '}, "ch'),
      line.replace('\\n', '\\u000a'),
      line.replace('\\n\\n', '\\nextension\\n\\n'),
      line.replace(/\\n"\}$/, '\\n— other AAAAAAAA\\n— other AAAAAAAA\\n"}'),
      line.replace(/"\}$/, '","more":1}'),
    ]
    for (const other of others) {
      ok(other !== line)
      strictEqual(parseCommit(other), undefined, other)
    }
  })
})
