/** Both engines, and what the crypto tests share. */
import assert from 'node:assert/strict'
import { fromHex } from '../../src/crypto/bytes.ts'
import { type Engine, withMlDsa } from '../../src/crypto/engine.ts'
import { mlDsa } from '../../src/crypto/ml-dsa.ts'
import { engine as nobleEngine } from '../../src/crypto/noble.ts'
import { engine as nodeEngine } from '../../src/crypto/node.ts'
import { KmsError, type KmsErrorCode } from '../../src/model/errors.ts'

// With what users may bring.
const node = withMlDsa(nodeEngine, mlDsa)
const noble = withMlDsa(nobleEngine, mlDsa)

export const engines: readonly Engine[] = [node, noble]
export { noble, node }

export function unhex(text: string): Uint8Array {
  const bytes = fromHex(text)
  assert.ok(bytes !== undefined, `not hex: ${text.slice(0, 40)}`)
  return bytes
}

/** A plain Uint8Array over the whole of its own ArrayBuffer. */
export function assertOwned(bytes: Uint8Array): void {
  assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype)
  assert.equal(bytes.byteOffset, 0)
  assert.equal(bytes.buffer.byteLength, bytes.length)
}

/** For `assert.throws`: our error, with this code, saying this. */
export function kmsError(code: KmsErrorCode, says: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof KmsError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, says)
    return true
  }
}

export function fixed(length: number, start = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (start + at) & 255)
}

export function sealed(engine: Engine, name: Parameters<Engine['aead']>[0], input: AeadInput): Uint8Array {
  const out = new Uint8Array(input.plaintext.length + 16)
  engine.aead(name, input.key).seal(input.nonce, input.aad, input.plaintext, out, 0)
  return out
}

export interface AeadInput {
  readonly key: Uint8Array
  readonly nonce: Uint8Array
  readonly aad: Uint8Array
  readonly plaintext: Uint8Array
}

/**
 * Fails if sixteen times the input costs far more than sixteen times the time. `prepare` makes the work for a length;
 * the best of several runs counts, so that a busy machine does not decide.
 */
export function assertLinear(prepare: (length: number) => () => unknown): void {
  const [small, large] = [1 << 16, 1 << 20].map((length) => best(prepare(length)))
  assert.ok(small !== undefined && large !== undefined)
  // Quadratic work would be 256 times as much; 64 leaves room for caches and collections.
  assert.ok(large < 64 * Math.max(small, 0.05), `64 KiB took ${small} ms, 1 MiB ${large} ms`)
}

function best(work: () => unknown): number {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < 5; run++) {
    const start = performance.now()
    work()
    least = Math.min(least, performance.now() - start)
  }
  return least
}
