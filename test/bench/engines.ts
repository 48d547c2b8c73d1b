/** The portable engine beside node's, for those who wonder what a browser pays, and XChaCha20 beside ChaCha20. No audit here. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { curves } from '../../src/crypto/curves.ts'
import type { Engine } from '../../src/crypto/engine.ts'
import { type FrameKey, frameKey } from '../../src/crypto/frame.ts'
import { macKey } from '../../src/crypto/mac.ts'
import { engine as nobleEngine } from '../../src/crypto/noble.ts'
import { engine as nodeEngine } from '../../src/crypto/node.ts'
import { ecdsaSigningKey, ed25519SigningKey, type PromptSigningKey } from '../../src/crypto/signing.ts'
import { kibibyte, repeated } from './bare.ts'
import type { Contest, Figure } from './figure.ts'

export const engineFigures: readonly Figure[] = [
  { name: 'noble-seal', text: 'noble ÷ node: seal 1 KiB, AES-256-GCM', of: 'time', open: seal },
  { name: 'noble-open', text: 'noble ÷ node: open 1 KiB, AES-256-GCM', of: 'time', open },
  { name: 'noble-ed25519-sign', text: 'noble ÷ node: Ed25519 sign', of: 'time', open: () => sign(ed25519SigningKey) },
  {
    name: 'noble-ed25519-verify',
    text: 'noble ÷ node: Ed25519 verify',
    of: 'time',
    open: () => verify(ed25519SigningKey),
  },
  { name: 'noble-p256-sign', text: 'noble ÷ node: P-256 sign', of: 'time', open: () => sign(p256) },
  { name: 'noble-p256-verify', text: 'noble ÷ node: P-256 verify', of: 'time', open: () => verify(p256) },
  {
    name: 'xchacha-64kib',
    text: 'XChaCha20 ÷ ChaCha20-Poly1305: seal 64 KiB',
    of: 'time',
    aim: { atMost: 1.1 },
    open: () => xchacha(65_536, 20),
  },
  {
    name: 'xchacha-1mib',
    text: 'XChaCha20 ÷ ChaCha20-Poly1305: seal 1 MiB',
    of: 'time',
    aim: { atMost: 1.1 },
    open: () => xchacha(1_048_576, 4),
  },
  { name: 'noble-hmac', text: 'noble ÷ node: HMAC-SHA-256 1 KiB', of: 'time', open: hmac },
]

const rounds = 20
/** Below the order of P-256, and any 32 bytes do for the others. */
const secret = new Uint8Array(32).fill(7)
const noContext = new Uint8Array(4)

function keyOf(engine: Engine): FrameKey {
  return frameKey(engine, { keyType: 'aes256-gcm96', version: 1, aead: 'aes-256-gcm', key: secret })
}

function seal(): Contest {
  const [node, noble] = [keyOf(nodeEngine), keyOf(nobleEngine)]
  return {
    reference: repeated(200, () => node.seal(kibibyte, noContext)),
    ours: repeated(20, () => noble.seal(kibibyte, noContext)),
    rounds,
  }
}

function open(): Contest {
  const [node, noble] = [keyOf(nodeEngine), keyOf(nobleEngine)]
  const frame = node.seal(kibibyte, noContext)
  deepStrictEqual(noble.open(frame, noContext), kibibyte)
  return {
    reference: repeated(200, () => node.open(frame, noContext)),
    ours: repeated(20, () => noble.open(frame, noContext)),
    rounds,
  }
}

function p256(engine: Engine, scalar: Uint8Array): PromptSigningKey {
  return ecdsaSigningKey(engine, { keyType: 'ecdsa-p256', curve: curves.p256 }, scalar)
}

/** Both on node's engine. */
function xchacha(length: number, calls: number): Contest {
  const of = (keyType: 'chacha20-poly1305' | 'xchacha20-poly1305') =>
    frameKey(nodeEngine, { keyType, version: 1, aead: keyType, key: secret })
  const [chacha, extended] = [of('chacha20-poly1305'), of('xchacha20-poly1305')]
  const plaintext = new Uint8Array(length)
  deepStrictEqual(extended.open(extended.seal(plaintext, noContext), noContext), plaintext)
  return {
    reference: repeated(calls, () => chacha.seal(plaintext, noContext)),
    ours: repeated(calls, () => extended.seal(plaintext, noContext)),
    collects: length > 100_000,
  }
}

type OpenSigningKey = (engine: Engine, secret: Uint8Array) => PromptSigningKey

function sign(openKey: OpenSigningKey): Contest {
  const [node, noble] = [openKey(nodeEngine, secret), openKey(nobleEngine, secret)]
  return {
    reference: repeated(40, () => node.sign(kibibyte)),
    ours: repeated(4, () => noble.sign(kibibyte)),
    rounds,
  }
}

function verify(openKey: OpenSigningKey): Contest {
  const [node, noble] = [openKey(nodeEngine, secret), openKey(nobleEngine, secret)]
  const signature = node.sign(kibibyte)
  strictEqual(noble.verify(kibibyte, signature), true)
  return {
    reference: repeated(40, () => node.verify(kibibyte, signature)),
    ours: repeated(2, () => noble.verify(kibibyte, signature)),
    rounds,
  }
}

function hmac(): Contest {
  const of = (engine: Engine) => macKey(engine, { keyType: 'hmac-sha256', hashAlgorithm: 'sha256', key: secret })
  const [node, noble] = [of(nodeEngine), of(nobleEngine)]
  deepStrictEqual(node.mac(kibibyte), noble.mac(kibibyte))
  return {
    reference: repeated(200, () => node.mac(kibibyte)),
    ours: repeated(50, () => noble.mac(kibibyte)),
    rounds,
  }
}
