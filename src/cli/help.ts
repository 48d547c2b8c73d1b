/** The help pages, made from the tables of verbs and options. */
import type { Command } from './command.ts'
import { everyVerb, type OptionName, options } from './options.ts'
import { aligned } from './table.ts'

/** All verbs, or those of a group such as `keys`. */
export function listVerbs(commands: readonly Command[]): string {
  const verbs = commands.map(({ verb, operands, summary }) => [`  keytrail ${verb} ${operands}`.trimEnd(), summary])
  return `A KMS that leaves a trail: no result leaves before its entry is accepted.

${aligned(verbs)}

keytrail VERB --help tells all about a verb. Data goes to standard output, words to standard
error. Exit codes: 0 fine, 1 refused or a finding, 2 a wrong command line.
`
}

export function helpPage(command: Command): string {
  const { verb, operands, summary, details, examples } = command
  const names: readonly OptionName[] = [...command.options, ...everyVerb]
  const paragraphs = [
    `keytrail ${[verb, operands, '[options]'].filter((word) => word !== '').join(' ')}`,
    capital(`${summary}.`),
    details,
    aligned(names.map(optionLine)),
    examples.map((example) => `  ${example}`).join('\n'),
  ]
  return `${paragraphs.filter((paragraph) => paragraph !== '').join('\n\n')}\n`
}

function optionLine(name: OptionName): readonly string[] {
  const { takes, short, says } = { takes: undefined, short: undefined, ...options[name] }
  const names = short === undefined ? `--${name}` : `-${short}, --${name}`
  return [`  ${takes === undefined ? names : `${names} ${takes}`}`, says]
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
