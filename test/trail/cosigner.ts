/** A witness's key for tests: makes what src/trail/anchors/cosignature.ts checks, from the specification's words. */
import { Buffer } from 'node:buffer'
import { ed25519Key } from '../../src/crypto/ed25519.ts'
import { engine } from '../../src/crypto/node.ts'

export interface Cosigner {
  readonly name: string
  readonly vkey: string
  /** The signature line over the note's text, with its newline. */
  cosign(note: string, seconds: number | bigint): string
  /** A line of this key with other bytes after the key hash. */
  lineOf(signature: Uint8Array): string
}

/** c2sp.org/tlog-cosignature: key hash = SHA-256(name ‖ 0A ‖ 04 ‖ public key), the first four bytes. */
export function cosigner(name: string, seed: Uint8Array): Cosigner {
  const { publicKey, sign } = ed25519Key(engine, seed)
  const typed = Buffer.concat([Buffer.of(4), publicKey])
  const hash = Buffer.from(engine.hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typed]))).subarray(0, 4)
  const lineOf = (signature: Uint8Array) => `— ${name} ${Buffer.concat([hash, signature]).toString('base64')}\n`
  return {
    name,
    vkey: `${name}+${hash.toString('hex')}+${typed.toString('base64')}`,
    cosign(note, seconds) {
      const text = note.slice(0, note.lastIndexOf('\n\n') + 1)
      const time = Buffer.alloc(8)
      time.writeBigUInt64BE(BigInt(seconds))
      return lineOf(Buffer.concat([time, sign(Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`))]))
    },
    lineOf,
  }
}

/** A key that differs with `byte`. */
export function cosignerOf(byte: number, name = `witness.example/w${byte}`): Cosigner {
  return cosigner(name, new Uint8Array(32).fill(byte))
}
