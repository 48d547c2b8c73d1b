/** What every section of the report is made of. */
import { counted, html, type Markup, named, type Piece, plural } from './markup.ts'

export interface Section {
  /** Its place in the page. */
  readonly id: string
  readonly title: string
  /** For the navigation, where the title is long. */
  readonly short?: string
  /** In the navigation, behind the title: how many there are. */
  readonly count?: number
  readonly body: Markup
}

/** From this row on, a page that can run its script shows the rest when asked to. */
export const rowsAtFirst = 200

/** `sort`: by `data-v` of its cells, or else by their text. */
export interface Column {
  readonly title: string
  readonly sort?: 'text' | 'number'
  readonly numeric?: true
}

export interface Listing {
  readonly id: string
  readonly caption: string
  /** What a row is: `key`, for `12 keys shown`. */
  readonly what: string
  readonly columns: readonly Column[]
  /** Each a `<tr>`, made with {@link row}. */
  readonly rows: readonly Markup[]
}

/** A table that a script can sort, filter and cut short; without one it is whole. */
export function listing({ id, caption, what, columns, rows }: Listing): Markup {
  const heads = columns.map(
    ({ title, sort, numeric }) =>
      html`<th scope="col"${numeric && html` class="number"`}${sort && html` data-sort="${sort}"`}>${title}</th>`,
  )
  return html`<div class="listing" data-listing="${what}" data-first="${rowsAtFirst}" id="${id}-listing">
<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table>
<caption>${caption}</caption>
<thead><tr>${heads}</tr></thead>
<tbody>${rows}</tbody>
</table></div>
</div>
`
}

/** What a list was cut by, where it was. */
export function othersOf(count: number, what: string): Markup | undefined {
  if (count === 0) return undefined
  return html`<p class="quiet">And ${plural(count, `more ${what}`)}, for which there is no room here.</p>
`
}

/** A row; those from {@link rowsAtFirst} on are marked. */
export function row(at: number, cells: readonly Markup[]): Markup {
  return html`<tr${at >= rowsAtFirst && html` class="more"`}>${cells}</tr>
`
}

/** The cell that names its row. */
export function headCell(...content: readonly Piece[]): Markup {
  return html`<th scope="row">${content}</th>`
}

export function cell(...content: readonly Piece[]): Markup {
  return html`<td>${content}</td>`
}

/** A cell that sorts by `value`; nothing known sorts last. */
export function valueCell(value: number | string | undefined, ...content: readonly Piece[]): Markup {
  if (value === undefined) return html`<td class="number none">${content.length === 0 ? '–' : content}</td>`
  return html`<td class="number" data-v="${value}">${content}</td>`
}

/** A plain table that is as it is. */
export function table(caption: string, heads: readonly string[], rows: readonly (readonly Piece[])[]): Markup {
  const body = rows.map(
    ([first, ...others]) =>
      html`<tr><th scope="row">${first}</th>${others.map((piece) => html`<td>${piece}</td>`)}</tr>
`,
  )
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table>
<caption>${caption}</caption>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${body}</tbody>
</table></div>
`
}

/** How a section says that there is nothing to say. */
export function nothing(words: string): Markup {
  return html`<p class="nothing">${words}</p>
`
}

/** A line each, the most frequent first, and how many others there are. */
export function breakdown(counts: Readonly<Record<string, number>>, most = 2): Markup {
  const sorted = Object.entries(counts)
    .filter(([, count]) => count !== 0)
    .sort(([, a], [, b]) => b - a)
  const rest = sorted.length - Math.min(sorted.length, most)
  const lines = sorted
    .slice(0, most)
    .map(([name, count]) => html`<li>${named(name.replace(/^kms\./, ''), 40)} ${counted(count)}</li>`)
  return html`<ul class="lines">${lines}${rest > 0 && html`<li class="quiet">and ${plural(rest, 'other action')}</li>`}</ul>`
}

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
