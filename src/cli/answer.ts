/** How results leave: bytes raw or in a printable spelling, everything else as text; all of it as JSON on request. */
import { toBase64 } from '../crypto/bytes.ts'
import type { CommandLine, ExitCode } from './command.ts'
import { toJson } from './json.ts'
import { print, toTerminal, writeFile } from './output.ts'

export interface Answer<N extends string> {
  /** The API's output, which JSON repeats. */
  readonly output: { readonly [name in N]: Uint8Array }
  /** Which of its fields is the answer. */
  readonly name: N
  /** The printable spelling; base64 by default. */
  readonly spell?: (bytes: Uint8Array) => string
  /** `secret`: a file is made for its owner only. */
  readonly for: 'secret' | 'shared'
}

/** Raw bytes; the printable spelling with `--text` and on a terminal; with `--out` into that file. */
export async function answer<N extends string>(line: CommandLine, given: Answer<N>): Promise<ExitCode> {
  const { output, name, spell = toBase64 } = given
  const bytes: Uint8Array = output[name]
  const out = line.text('out')
  const asText = line.flag('text') || (out === undefined && toTerminal())
  if (out !== undefined) await writeFile(out, { bytes: asText ? `${spell(bytes)}\n` : bytes, for: given.for })
  if (line.flag('json'))
    await print(`${toJson({ ...output, [name]: out === undefined ? spell(bytes) : undefined, out })}\n`)
  else if (out === undefined) await print(asText ? `${spell(bytes)}\n` : bytes)
  return 0
}

/** A result that is no bytes: as JSON with `--json`, else as `text`. */
export async function report(
  line: CommandLine,
  result: { readonly output: object; readonly text: string },
): Promise<void> {
  await print(line.flag('json') ? `${toJson(result.output)}\n` : `${result.text}\n`)
}
