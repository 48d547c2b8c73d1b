/** Columns of entries, and counts of them, as text, JSON or CSV. */
import type { RenderOptions } from '../sinks/render.ts'
import { visible } from '../sinks/render.ts'
import type { Field, FieldValue } from '../trail/reading/fields.ts'
import type { TrailEntry } from '../trail/reading/read.ts'
import type { Summary } from '../trail/reading/summary.ts'
import type { Tally, TallyCount } from '../trail/reading/tally.ts'
import { csvLine } from './csv.ts'
import { toJson } from './json.ts'
import { aligned } from './table.ts'

export type Form = 'text' | 'json' | 'csv'

/** What a spreadsheet of entries begins with, if nothing else was asked for. */
export const usualColumns: readonly string[] = [
  'createdAt',
  'action',
  'phase',
  'outcome',
  'statusCode',
  'error',
  'valid',
  'resourceType',
  'resourceIdentity',
  'keySlug',
  'keyType',
  'keyVersion',
  'actor.type',
  'actor.id',
  'source',
  'context.userAgent',
  'context.requestId',
  'origin.service',
  'reason.code',
  'reason.ticket',
  'region',
  'project',
  'plaintext',
  'ciphertext',
  'input',
  'signature',
  'mac',
  'keyMaterial',
  'durationMs',
  'eventID',
  'operationID',
  'trail',
  'index',
]

export interface Rows {
  readonly form: Form
  /** The first line names the columns. */
  readonly heading: boolean
  readonly look: RenderOptions
}

/** Entries as rows of these columns. */
export function rowsOf(page: readonly TrailEntry[], columns: readonly Field[], { form, heading, look }: Rows): string {
  const rows = page.map((found) => columns.map(({ of }) => of(found)))
  const names = columns.map(({ name }) => name)
  if (form === 'json') return rows.map((row) => `${objectOf(names, row)}\n`).join('')
  if (form === 'csv') return `${heading ? csvLine(names) : ''}${rows.map(csvLine).join('')}`
  return textTable([...(heading ? [names] : []), ...rows], look)
}

/** Groups or sums, and how many entries were counted in all. */
export function tallyView(
  { by, stats, tally }: { readonly by: readonly string[]; readonly stats: readonly string[]; readonly tally: Tally },
  { form, look }: Omit<Rows, 'heading'>,
): string {
  if (form === 'json') return tallyJson(by, tally)
  const heading = [...by, 'count', 'failures', ...stats.flatMap((name) => parts.map((part) => `${name}.${part}`))]
  const counted = ({ count, failures, ...told }: TallyCount): readonly FieldValue[] => [
    count,
    failures,
    ...stats.flatMap((name) => parts.map((part) => told.stats[name]?.[part])),
  ]
  const groups = tally.groups.map((group) => [...group.values, ...counted(group)])
  if (form === 'csv') {
    const rows = by.length > 0 ? groups : [counted(tally)]
    return [heading, ...rows].map(csvLine).join('')
  }
  if (by.length === 0) return `${counts(tally)}\n${stats.length > 0 ? sums(tally, look) : ''}`
  const named = (name: string, told: TallyCount) => [name, ...by.slice(1).map(() => undefined), ...counted(told)]
  const others = tally.others === undefined ? [] : [named('(others)', tally.others)]
  return textTable([heading, ...groups, ...others, named('(all)', tally)], look)
}

const parts = ['min', 'p50', 'p90', 'p99', 'max', 'sum'] as const satisfies readonly (keyof Summary)[]

function counts({ count, failures }: TallyCount): string {
  return `${count} ${count === 1 ? 'entry' : 'entries'}, ${failures} ${failures === 1 ? 'failure' : 'failures'}`
}

function sums({ stats }: TallyCount, look: RenderOptions): string {
  const rows = Object.entries(stats).map(([name, told]) => [name, told.count, ...parts.map((part) => told[part])])
  return textTable([['', 'count', ...parts], ...rows], look)
}

function tallyJson(by: readonly string[], { groups, others, ...all }: Tally): string {
  const lines = groups.map(({ values, ...counted }) => {
    return `{"group":${objectOf(by, values)},${toJson(counted).slice(1)}\n`
  })
  if (others !== undefined) lines.push(`{"others":true,${toJson(others).slice(1)}\n`)
  return `${lines.join('')}{"all":true,${toJson(all).slice(1)}\n`
}

function objectOf(names: readonly string[], row: readonly FieldValue[]): string {
  const fields = names.flatMap((name, at) => (row[at] === undefined ? [] : [`${toJson(name)}:${toJson(row[at])}`]))
  return `{${fields.join(',')}}`
}

function textTable(rows: readonly (readonly FieldValue[])[], { width }: RenderOptions): string {
  const lines = aligned(rows.map((row) => row.map((value) => (value === undefined ? '' : visible(value))))).split('\n')
  return lines.map((line) => `${width === undefined ? line : cut(line, width)}\n`).join('')
}

function cut(line: string, width: number): string {
  const characters = [...line]
  return characters.length <= width ? line : `${characters.slice(0, width - 1).join('')}…`
}
