/** Proofs that stand alone (c2sp.org/tlog-proof): an entry's place in a log, the hashes to its root, and who signed that. */
import { fromBase64, toBase64 } from '../../crypto/bytes.ts'

/** Nothing of it is verified. */
export interface TlogProof {
  readonly index: bigint
  /** Whatever goes with the proof; the format does not authenticate it. */
  readonly extra?: Uint8Array
  /** Hashes of 32 bytes, the leaf's sibling first. */
  readonly proof: readonly Uint8Array[]
  /** The signed note. */
  readonly checkpoint: string
}

const firstLine = 'c2sp.org/tlog-proof@v1'

/** A tree of 2^63 leaves is this high. */
const mostHashes = 63

/** An entry's longest line in base64, the hashes and a note with a hundred signatures fit in. */
const mostCharacters = 4 * 1024 * 1024

export function formatTlogProof({ index, extra, proof, checkpoint }: TlogProof): string {
  const lines = [firstLine, ...(extra === undefined ? [] : [`extra ${toBase64(extra)}`]), `index ${index}`]
  return `${[...lines, ...proof.map(toBase64)].join('\n')}\n\n${checkpoint}`
}

/** Undefined when the text is not what {@link formatTlogProof} makes. The checkpoint is taken as it stands. */
export function parseTlogProof(text: string): TlogProof | undefined {
  const end = text.length > mostCharacters ? -1 : text.indexOf('\n\n')
  if (end < 0) return undefined
  const lines = text.slice(0, end).split('\n')
  if (lines.shift() !== firstLine) return undefined
  const extraText = lines[0]?.startsWith('extra ') ? lines.shift()?.slice('extra '.length) : undefined
  const extra = extraText === undefined ? undefined : fromBase64(extraText)
  const [, digits] = /^index (0|[1-9][0-9]{0,18})$/.exec(lines.shift() ?? '') ?? []
  const proof = hashesIn(lines)
  if (digits === undefined || proof === undefined || (extraText !== undefined && extra === undefined)) return undefined
  return { index: BigInt(digits), ...(extra && { extra }), proof, checkpoint: text.slice(end + 2) }
}

/** One hash a line, in base64; undefined when one is none, or there are more than any tree can have. */
export function hashesIn(lines: readonly string[]): readonly Uint8Array[] | undefined {
  if (lines.length > mostHashes) return undefined
  const hashes = lines.map((line) => (line.length === 44 ? fromBase64(line) : undefined))
  return hashes.every((hash): hash is Uint8Array => hash?.length === 32) ? hashes : undefined
}
