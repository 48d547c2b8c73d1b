/** How public keys are named in entries and answers. */
import { hex } from './bytes.ts'
import type { Engine } from './engine.ts'

/** `sha256:` and the hexadecimal SHA-256 of a SubjectPublicKeyInfo (DER), as `openssl pkey -pubin -outform DER | sha256sum` gives it. */
export function fingerprint(engine: Engine, spki: Uint8Array): string {
  return `sha256:${hex(engine.hash('sha256', spki))}`
}
