/** @node What a verb is, and how its command line is read. */
import { parseArgs } from 'node:util'
import { KmsError } from '../model/errors.ts'
import {
  type CountName,
  everyVerb,
  type FlagName,
  type ListName,
  type OptionName,
  options,
  type TextName,
} from './options.ts'

/** 0: fine. 1: a finding, a broken trail, or a refusal. 2: the command line was wrong. */
export type ExitCode = 0 | 1 | 2

export interface Command {
  /** Such as `keys create`. */
  readonly verb: string
  /** What stands after the verb, brackets around what may be left out: `KEY [FILE]`. Also says how many there may be; `[FILE…]`, as many as there are. */
  readonly operands: string
  /** One line, for the list of verbs. */
  readonly summary: string
  /** What `--help` says besides. */
  readonly details: string
  readonly examples: readonly string[]
  /** Besides those of every verb. */
  readonly options: readonly OptionName[]
  run(line: CommandLine): Promise<ExitCode>
}

/** What was given on the command line. Asking for an option that the verb does not take finds it not given. */
export interface CommandLine {
  readonly operands: readonly string[]
  flag(name: FlagName): boolean
  text(name: TextName): string | undefined
  list(name: ListName): readonly string[]
  /** A whole number of 0 or more. */
  count(name: CountName): number | undefined
}

const usageErrors = new WeakSet<object>()

/** The command line is wrong: exit code 2. Never quotes a value, which may be a secret in the wrong place. */
export function usageError(message: string): KmsError {
  const error = new KmsError('INVALID_INPUT', message)
  usageErrors.add(error)
  return error
}

export function isUsageError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && usageErrors.has(error)
}

/** Reads what follows the verb. Throws a {@link usageError} for unknown options and too few or too many operands. */
export function readCommandLine(command: Command, args: readonly string[]): CommandLine {
  const names = [...everyVerb, ...command.options]
  const { values, positionals } = parse(names, args)
  const given = new Map(Object.entries(values))
  const line: CommandLine = {
    operands: positionals,
    flag: (name) => given.has(name),
    text: (name) => single(name, textsOf(given.get(name))),
    list: (name) => textsOf(given.get(name)),
    count: (name) => countOf(name, single(name, textsOf(given.get(name)))),
  }
  if (!line.flag('help')) checkOperands(command, positionals)
  return line
}

type Values = Readonly<Record<string, readonly (string | boolean)[] | undefined>>

function parse(
  names: readonly OptionName[],
  args: readonly string[],
): { values: Values; positionals: readonly string[] } {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: Object.fromEntries(
        names.map((name) => {
          const { takes, short } = { short: undefined, takes: undefined, ...options[name] }
          const type = takes === undefined ? ('boolean' as const) : ('string' as const)
          return [name, { type, multiple: true as const, ...(short !== undefined && { short }) }]
        }),
      ),
    })
  } catch (error) {
    throw usageError(reasonOf(error))
  }
}

/** The first sentence of node's message, in our habit; the rest explains how to type a strange operand. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : 'the command line cannot be read'
  const first = message.split(/\.\s|\n/)[0] ?? message
  return first.charAt(0).toLowerCase() + first.slice(1)
}

function textsOf(values: readonly (string | boolean)[] = []): readonly string[] {
  return values.filter((value) => typeof value === 'string')
}

function single(name: string, texts: readonly string[]): string | undefined {
  if (texts.length > 1) throw usageError(`option '--${name}' was given ${texts.length} times`)
  return texts[0]
}

function countOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,10}$/.test(text)) throw usageError(`option '--${name}' takes a whole number`)
  return Number(text)
}

function checkOperands(command: Command, given: readonly string[]): void {
  const all = command.operands.split(' ').filter((word) => word !== '')
  const missing = all.filter((word) => !word.startsWith('['))[given.length]
  if (missing !== undefined) throw usageError(`${missing} is missing`)
  if (given.length > all.length && all.at(-1)?.includes('…') !== true)
    throw usageError(
      all.length === 0 ? 'nothing may follow but options' : `nothing may follow ${command.operands} but options`,
    )
}
