/** What the child of the kill campaign tells, and what both know without telling. */
import type { Operation } from '../../src/model/operation.ts'

/** A result that a caller has in hand. */
export interface Seen {
  readonly eventID: string
  readonly operation: Operation
  /** Slug. */
  readonly key: string
  readonly version?: number | undefined
  /** Ciphertext or signature, base64. */
  readonly bytes?: string
}

/** What is encrypted under a key: the same each time, so that whoever decrypts knows what must come out. */
export function plaintextOf(key: string): Uint8Array {
  return new TextEncoder().encode(`what is kept under ${key}`)
}

export const signedInput: Uint8Array = new TextEncoder().encode('what is signed')
