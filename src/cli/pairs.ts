/** `NAME=VALUE`, repeated. */
import { type CommandLine, usageError } from './command.ts'
import type { ListName } from './options.ts'

/** The pairs by name, or undefined when there are none. The value may be empty and may hold `=`. */
export function pairsOf(line: CommandLine, option: ListName): Readonly<Record<string, string>> | undefined {
  const given = line.list(option)
  if (given.length === 0) return undefined
  const pairs = given.map((text) => {
    const at = text.indexOf('=')
    if (at < 1) throw usageError(`option '--${option}' takes NAME=VALUE`)
    return [text.slice(0, at), text.slice(at + 1)] as const
  })
  if (new Set(pairs.map(([name]) => name)).size < pairs.length)
    throw usageError(`option '--${option}' names something twice`)
  return Object.fromEntries(pairs)
}
