/**
 * Commit lines. After each batch a segment holds one line `{"commit":{"from":<index>,"size":<index>},"checkpoint":"<signed
 * note>"}`: the batch is the entries from `from` up to, not including, `size`. There is one spelling of each. The note is
 * signed by one key; by two, the old one first, where the batch hands the trail over from one to the other (handover.ts).
 */
import { utf8 } from '../crypto/bytes.ts'

export interface Commit {
  /** Index of the batch's first entry: the size of the commit before. */
  readonly from: bigint
  /** Entries in the trail after the batch. */
  readonly size: bigint
  /** Signed note over the checkpoint at `size`. */
  readonly note: string
}

/** Without its newline. The note must hold nothing that JSON escapes, save newlines; {@link originRule} sees to it. */
export function formatCommit({ from, size, note }: Commit): string {
  return `{"commit":{"from":${from},"size":${size}},"checkpoint":"${note.replaceAll('\n', '\\n')}"}`
}

/** Undefined when the line is not what {@link formatCommit} makes of a note with three lines of text and one signature or two. */
export function parseCommit(line: string): Commit | undefined {
  const [, from, size, note] =
    /^\{"commit":\{"from":(0|[1-9][0-9]{0,18}),"size":(0|[1-9][0-9]{0,18})\},"checkpoint":"((?:[^"\\]+\\n){3}\\n(?:— [^"\\]+\\n){1,2})"\}$/.exec(
      line,
    ) ?? []
  if (from === undefined || size === undefined || note === undefined) return undefined
  return { from: BigInt(from), size: BigInt(size), note: note.replaceAll('\\n', '\n') }
}

/** What a trail may be called: printable ASCII without space, `"`, `+` and `\`, so that no line needs an escape. */
export const originRule: RegExp = /^[!#-*,-[\]-~]{1,200}$/

const lead = utf8('{"commit":')

/** Whether the line that starts at `start` is meant as a commit line: no entry begins so. */
export function isCommit(bytes: Uint8Array, start: number): boolean {
  for (let at = 0; at < lead.length; at++) if (bytes[start + at] !== lead[at]) return false
  return true
}
