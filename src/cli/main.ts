#!/usr/bin/env node
/** @node The command line. It holds no logic of its own: every verb has a twin in the API. */
import process from 'node:process'
import { version } from '../model/version.ts'
import { visible } from '../sinks/render.ts'
import { type Command, type ExitCode, isUsageError, readCommandLine, usageError } from './command.ts'
import { failureJson, failureLine } from './failure.ts'
import { helpPage, listVerbs } from './help.ts'
import { ignoreBrokenPipes, print, say } from './output.ts'
import { commands } from './verbs.ts'

ignoreBrokenPipes()
// Not process.exit: what is on its way to a pipe would be lost.
process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<ExitCode> {
  const [first] = args
  if (first === '--version') {
    await print(`${version}\n`)
    return 0
  }
  const command = commands.find(({ verb }) => verb === args.slice(0, verb.split(' ').length).join(' '))
  if (command === undefined) return withoutVerb(args)
  return run(command, args.slice(command.verb.split(' ').length))
}

async function run(command: Command, args: readonly string[]): Promise<ExitCode> {
  try {
    const line = readCommandLine(command, args)
    if (!line.flag('help')) return await command.run(line)
    await print(helpPage(command))
    return 0
  } catch (error) {
    return failed(error, { command, args })
  }
}

function failed(error: unknown, { command, args }: { command: Command; args: readonly string[] }): ExitCode {
  const isUsage = isUsageError(error)
  if (args.includes('--json')) say(failureJson(error))
  else say(failureLine(error))
  if (isUsage) say(`try: keytrail ${command.verb} --help`)
  return isUsage ? 2 : 1
}

/** A list of verbs: asked for, or because there is no such verb. */
async function withoutVerb(args: readonly string[]): Promise<ExitCode> {
  const [first = '--help', second] = args
  const group = commands.filter(({ verb }) => verb.startsWith(`${first} `))
  const asked = args.includes('--help') || args.includes('-h')
  if (asked && (group.length > 0 || first.startsWith('-'))) {
    await print(listVerbs(group.length > 0 ? group : commands))
    return 0
  }
  if (args.length === 0 || (group.length > 0 && second === undefined)) {
    say(listVerbs(group.length > 0 ? group : commands))
    return 2
  }
  const verb = group.length > 0 ? args.slice(0, 2).join(' ') : first
  const problem = first.startsWith('-') ? 'options stand after the verb' : `there is no verb '${visible(verb)}'`
  say(failureLine(usageError(problem)))
  say('try: keytrail --help')
  return 2
}
