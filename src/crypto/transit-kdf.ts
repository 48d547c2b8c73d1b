/** The key that a derived transit key has for one context. */
import type { Engine } from './engine.ts'
import { hkdfSha256 } from './kdf.ts'
import type { TransitVersion } from './transit-material.ts'

/** `length`: 16 or 32. */
export function derivedKey(
  engine: Engine,
  { key, derivation }: Pick<TransitVersion, 'key' | 'derivation'>,
  context: Uint8Array,
  length: number,
): Uint8Array {
  if (derivation === 'hkdf') return hkdfSha256(engine, { key, salt: new Uint8Array(0), info: context, length })
  // SP 800-108 §5.1 with HMAC-SHA-256, for one block: the counter (from 0, as Vault has it), the context, the length in bits.
  const input = new Uint8Array(8 + context.length)
  input.set(context, 4)
  new DataView(input.buffer).setUint32(4 + context.length, 8 * 32)
  const prf = engine.hmac('sha256', key)
  try {
    return prf.compute(input)
  } finally {
    prf.destroy()
  }
}
