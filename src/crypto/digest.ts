/** @node SHA-256 (FIPS 180-4) of what does not fit into memory: file by file, piece by piece. */
import { createHash } from 'node:crypto'

export interface Digest {
  /** `bytes` may be overwritten afterwards. */
  update(bytes: Uint8Array): void
  /** 32 bytes, once. */
  digest(): Uint8Array
}

export function sha256(): Digest {
  const hash = createHash('sha256')
  return {
    update: (bytes) => void hash.update(bytes),
    // A copy: a digest of node's may lie in a pool that it shares with others.
    digest: () => new Uint8Array(hash.digest()),
  }
}
