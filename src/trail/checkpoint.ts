/** Checkpoints (c2sp.org/tlog-checkpoint): what a trail signs. */
import { fromBase64, toBase64 } from '../crypto/bytes.ts'

/** How far a log reaches, and the root of its tree there (32 bytes). */
export interface Checkpoint {
  readonly origin: string
  readonly size: bigint
  readonly root: Uint8Array
}

/** The text that is signed. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`
}

/** Reads a signed text; undefined when it is no checkpoint. Extension lines after the third are allowed and ignored. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  const [, origin, digits, base64] =
    /^([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/=]{44})\n(?:[^\n]+\n)*$/.exec(text) ?? []
  if (origin === undefined || digits === undefined || base64 === undefined) return undefined
  const root = fromBase64(base64)
  return root?.length === 32 ? { origin, size: BigInt(digits), root } : undefined
}
