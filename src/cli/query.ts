/** `keytrail audit query`: the entries that are asked for, whole or in columns, one by one or counted. */
import { KmsError } from '../model/errors.ts'
import { renderEntry, renderTable } from '../sinks/render.ts'
import { lineOfRead } from '../trail/reading/entry-line.ts'
import { type Field, fieldsOf, isField } from '../trail/reading/fields.ts'
import { followTrail } from '../trail/reading/follow.ts'
import { readTrail, type TrailEntry } from '../trail/reading/read.ts'
import { openTally } from '../trail/reading/tally.ts'
import { trailOf } from './audit.ts'
import { type Command, type CommandLine, type ExitCode, usageError } from './command.ts'
import { toJson } from './json.ts'
import { look, print, say } from './output.ts'
import { filterOf, filterOptions } from './query-filter.ts'
import { type Form, rowsOf, tallyView, usualColumns } from './query-view.ts'

export const query: Command = {
  verb: 'audit query',
  operands: '[TRAIL]',
  summary: 'find, show and count the entries of a trail',
  details: `TRAIL is a trail's folder, the parent of many, or an archive's file; DIR/audit if left out.
All filters must match. With --json, one line an entry: {"instance","index","covered","entry"},
or an object of the --columns. A column is a field by its path, or by a short name: actor, key,
source, origin, reason, provider, status, plaintext, ciphertext, input, signature, mac,
keyMaterial, trail, index, covered, day, hour. --by counts, the largest group first; --stats
tells count, min, p50, p90, p99, max and sum, percentiles to 1 %. In CSV an apostrophe stands
before what a spreadsheet could run as a formula; numbers stay numbers.
With --follow it goes on until it is interrupted. Reading does not verify: audit verify does.`,
  examples: [
    'keytrail audit query --action kms.export --since 7d',
    'keytrail audit query --key orders --outcome failure --json | jq .entry',
    'keytrail audit query --source 203.0.113.0/24 --by actor,action --since 30d',
    'keytrail audit query --action kms.decrypt --stats ciphertext,durationMs --by actor',
    'keytrail audit query --since 2026-01-01 --csv | tee january.csv',
  ],
  options: [...filterOptions, 'follow', 'columns', 'csv', 'by', 'stats', 'dir'],
  async run(line) {
    const form = formOf(line)
    const [columns, by, stats] = [fieldsIn(line, 'columns'), fieldsIn(line, 'by'), fieldsIn(line, 'stats')]
    const isTally = by !== undefined || stats !== undefined
    if (isTally && line.flag('follow'))
      throw usageError("'--follow' never ends, and '--by' and '--stats' tell at the end")
    if (isTally && columns !== undefined) throw usageError("give '--columns', or '--by' and '--stats'")
    if (isTally) return tally(line, { form, by: namesOf(by), stats: namesOf(stats) })
    const write = writerOf({ form, columns, each: line.flag('follow') })
    return line.flag('follow') ? follow(line, write) : show(line, write)
  },
}

type Write = (page: readonly TrailEntry[]) => Promise<boolean>

const pageSize = 500

async function show(line: CommandLine, write: Write): Promise<ExitCode> {
  // So many at a time that columns can be aligned, and a trail of any length be shown.
  let page: TrailEntry[] = []
  let isFirst = true
  try {
    for await (const entry of readTrail(trailOf(line), filterOf(line))) {
      page.push(entry)
      if (page.length < pageSize) continue
      const full = page
      page = []
      isFirst = false
      if (!(await write(full))) return 0
    }
  } finally {
    // Damage is told after the last entry: what could be read is shown first.
    if (page.length > 0 || isFirst) await write(page)
  }
  return 0
}

async function follow(line: CommandLine, write: Write): Promise<ExitCode> {
  if (!(await write([]))) return 0
  for await (const entry of followTrail(trailOf(line), filterOf(line))) if (!(await write([entry]))) return 0
  return 0
}

interface Tallied {
  readonly form: Form
  readonly by: readonly string[]
  readonly stats: readonly string[]
}

async function tally(line: CommandLine, { form, by, stats }: Tallied): Promise<ExitCode> {
  const counting = openTally({ ...(by.length > 0 && { by }), ...(stats.length > 0 && { stats }) })
  const filter = filterOf(line)
  let told = false
  const tell = async () => {
    const counted = counting.told()
    await print(tallyView({ by, stats, tally: counted }, { form, look: look() }))
    if (form === 'csv' && counted.others !== undefined)
      say(`${counted.others.count} entries are of further groups, for which there was no room`)
    told = true
  }
  try {
    for await (const entry of readTrail(trailOf(line), filter)) counting.add(entry)
    await tell()
  } catch (error) {
    // Damaged lines are told when all others were read: they are counted, and the damage is told.
    if (!told && error instanceof KmsError && error.code === 'INTERNAL') await tell()
    throw error
  }
  return 0
}

interface Writing {
  readonly form: Form
  readonly columns: readonly Field[] | undefined
  /** One after another as they come, so that nothing can be aligned. */
  readonly each: boolean
}

/** Called with nothing too: at the beginning of what never ends, or at the end where nothing was found. */
function writerOf({ form, columns, each }: Writing): Write {
  if (form === 'csv') {
    let heading = true
    const shown = columns ?? fieldsOf('columns', usualColumns)
    return (page) => {
      const text = rowsOf(page, shown, { form, heading, look: {} })
      heading = false
      return print(text)
    }
  }
  return async (page) => {
    if (page.length === 0) return true
    if (columns !== undefined) return print(rowsOf(page, columns, { form, heading: !each, look: look() }))
    return form === 'json' ? printLines(page) : each ? printEach(page) : printTable(page)
  }
}

function printTable(page: readonly TrailEntry[]): Promise<boolean> {
  return print(
    `${renderTable(
      page.map(({ entry }) => entry),
      look(),
    )}\n`,
  )
}

function printEach(page: readonly TrailEntry[]): Promise<boolean> {
  return print(page.map(({ entry }) => `${renderEntry(entry, look())}\n`).join(''))
}

function printLines(page: readonly TrailEntry[]): Promise<boolean> {
  const lines = page.map(({ instance, index, covered, entry }) => {
    // The entry as it stands in the trail: `lineOf` gives its exact bytes.
    return `{"instance":${toJson(instance)},"index":${index},"covered":${covered},"entry":${lineOfRead(entry)}}\n`
  })
  return print(lines.join(''))
}

function formOf(line: CommandLine): Form {
  const [csv, json] = [line.flag('csv'), line.flag('json')]
  if (csv && json) throw usageError("give '--csv' or '--json'")
  return csv ? 'csv' : json ? 'json' : 'text'
}

function fieldsIn(line: CommandLine, option: 'columns' | 'by' | 'stats'): readonly Field[] | undefined {
  const names = line.text(option)?.split(',')
  if (names === undefined) return undefined
  const wrong = names.findIndex((name) => !isField(name))
  if (wrong >= 0)
    throw usageError(
      `option '--${option}' takes fields such as actor,action,context.userAgent: number ${wrong + 1} is none`,
    )
  try {
    if (option !== 'columns') openTally({ [option]: names })
    return fieldsOf(option, names)
  } catch (error) {
    throw error instanceof KmsError ? usageError(`option '--${option}': ${error.message}`) : error
  }
}

function namesOf(fields: readonly Field[] = []): readonly string[] {
  return fields.map(({ name }) => name)
}
