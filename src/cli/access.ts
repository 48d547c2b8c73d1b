/** `keytrail audit access`: what a rule set would have refused in a trail. Needs no key and no lock. */
import { fromUtf8 } from '../crypto/bytes.ts'
import { type DryRun, type DryRunGroup, type DryRunTally, dryRun } from '../integrations/access/dry-run.ts'
import { checkRules } from '../integrations/access/rules.ts'
import { KmsError } from '../model/errors.ts'
import { visible } from '../sinks/render.ts'
import { readTrail } from '../trail/reading/read.ts'
import { momentOf } from './audit.ts'
import type { Command } from './command.ts'
import { homeOf } from './home.ts'
import { readInput } from './input.ts'
import { toJson } from './json.ts'
import { print } from './output.ts'
import { aligned } from './table.ts'

const mostBytes = 16 * 1024 * 1024

export const access: Command = {
  verb: 'audit access',
  operands: 'RULES [TRAIL]',
  summary: 'what access rules would have refused in a trail',
  details: `RULES is a JSON file with a list of rules (keytrail/access), or - for standard input. TRAIL is a
trail's folder, the parent of many, or an archive's file; DIR/audit if left out. Each call is
judged by what its entry tells; where that does not suffice it cannot be told, and is counted so.
Exits with 1 if anything would be refused that was not denied then, or cannot be told, else with 0.
With --json, one object: calls, refused, allowed, unclear, rules.`,
  examples: [
    'keytrail audit access rules.json --since 30d',
    'keytrail audit access rules.json /backup/audit --json | jq .refused',
  ],
  options: ['since', 'until', 'dir'],
  async run(line) {
    const [rulesFile, trail = homeOf(line).audit] = line.operands
    const rules = checkRules(parsed(await readInput(rulesFile, mostBytes)))
    const [from, to] = [momentOf(line, 'since'), momentOf(line, 'until')]
    const range = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
    const found = await dryRun(rules, readTrail(trail), range)
    await print(line.flag('json') ? `${toJson(found)}\n` : `${inWords(found)}\n`)
    return found.refused.calls + found.unclear.calls > 0 ? 1 : 0
  },
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes) ?? '')
  } catch (cause) {
    throw new KmsError('INVALID_INPUT', 'the rules must be JSON in UTF-8', { cause })
  }
}

function inWords({ calls, refused, allowed, unclear, rules }: DryRun): string {
  const byRule = rules
    .filter((tally) => tally.calls > 0)
    .map((tally) => [`  ${tally.calls}`, tally.rule === undefined ? 'no rule allows them' : `denied by ${tally.rule}`])
  return [
    `${calls} calls: ${refused.calls} would be refused, ${unclear.calls} cannot be told, ${allowed.calls} more would be allowed`,
    ...(byRule.length === 0 ? [] : [aligned(byRule)]),
    ...listed('would be refused', refused),
    ...listed('cannot be told', unclear),
    ...listed('denied then, and would be allowed', allowed),
  ].join('\n')
}

const mostShown = 50

function listed(heading: string, { groups }: DryRunTally): readonly string[] {
  if (groups.length === 0) return []
  const more = groups.length - mostShown
  return [
    `${heading}:`,
    aligned(groups.slice(0, mostShown).map(cellsOf)),
    ...(more > 0 ? [`  and ${more} groups more: see --json`] : []),
  ]
}

function cellsOf({ calls, actor, action, key, rule, untold, succeeded, examples }: DryRunGroup): readonly string[] {
  const why = untold === undefined ? rule && `by ${rule}` : `for want of ${untold.join(', ')}`
  const facts = [why, `${succeeded} succeeded`, `such as ${examples[0]}`].filter((fact) => fact !== undefined)
  return [`  ${calls} ×`, action, visible(key ?? '-'), visible(actor ?? '-'), facts.join(', ')]
}
