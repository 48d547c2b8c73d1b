/** What every section of the report is made of. */
import { counted, html, type Markup, type Piece, plural } from './markup.ts'

export interface Section {
  /** Its place in the page. */
  readonly id: string
  readonly title: string
  /** In the navigation, behind the title: how many there are. */
  readonly count?: number
  readonly body: Markup
}

/** From this row on, a page that can run its script shows the rest when asked to. */
export const rowsAtFirst = 200

/** `hidden`: columns of which a page may say nothing, `text` sorts as text, `number` by `data-v`. */
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
  return html`<div class="listing" data-listing="${what}" id="${id}-listing">
<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table>
<caption>${caption}</caption>
<thead><tr>${heads}</tr></thead>
<tbody>${rows}</tbody>
</table></div>
</div>
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

/** The most frequent first, the rest as a number. */
export function breakdown(counts: Readonly<Record<string, number>>, most = 3): Markup {
  const sorted = Object.entries(counts).sort(([, a], [, b]) => b - a)
  const shown = sorted.slice(0, most).map(([name, count]) => `${name.replace(/^kms\./, '')} ${counted(count)}`)
  const more = sorted.length - shown.length
  return html`${shown.join(', ')}${more > 0 && `, and ${plural(more, 'other action')}`}`
}

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
