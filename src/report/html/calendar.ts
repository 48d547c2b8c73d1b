/** Months as tables of days, with what falls on each. */
import { html, type Markup, type Piece } from './markup.ts'

export interface Mark {
  readonly kind: 'done' | 'failed' | 'due' | 'overdue'
  /** What the day says for it: a short sentence. */
  readonly says: Piece
}

const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const
const months = 'January February March April May June July August September October November December'.split(' ')
const dayMs = 86_400_000
const signs: Readonly<Record<Mark['kind'], string>> = { done: '✓', failed: '✕', due: '○', overdue: '!' }
const kinds = ['overdue', 'failed', 'due', 'done'] as const

/** The months from the one of `first` to the one of `last` (`2026-11-26`), `most` of them; `marks` by day. */
export function calendar(
  first: string,
  last: string,
  marks: ReadonlyMap<string, readonly Mark[]>,
  most: number,
): Markup {
  const from = monthOf(first)
  const count = Math.min(most, monthOf(last) - from + 1)
  const shown = Array.from({ length: Math.max(count, 1) }, (_, at) => monthTable(from + at, marks))
  return html`<div class="months">${shown}</div>
`
}

/** Months since the year 0. */
export function monthOf(day: string): number {
  const [year = 0, month = 1] = day.split('-').map(Number)
  return year * 12 + month - 1
}

function monthTable(month: number, marks: ReadonlyMap<string, readonly Mark[]>): Markup {
  const start = Date.UTC(Math.floor(month / 12), month % 12, 1)
  const length = Math.round((Date.UTC(Math.floor(month / 12), (month % 12) + 1, 1) - start) / dayMs)
  // Monday is 0.
  const lead = (new Date(start).getUTCDay() + 6) % 7
  const cells = Array.from({ length: Math.ceil((lead + length) / 7) * 7 }, (_, at) => {
    const number = at - lead + 1
    if (number < 1 || number > length) return html`<td class="outside"></td>`
    const day = new Date(start + (number - 1) * dayMs).toISOString().slice(0, 10)
    return dayCell(number, marks.get(day) ?? [])
  })
  const weeks = Array.from(
    { length: cells.length / 7 },
    (_, week) => html`<tr>${cells.slice(week * 7, week * 7 + 7)}</tr>
`,
  )
  return html`<table class="month"><caption>${months[month % 12] ?? ''} ${Math.floor(month / 12)}</caption>
<thead><tr>${weekdays.map((day) => html`<th scope="col">${day}</th>`)}</tr></thead><tbody>${weeks}</tbody></table>`
}

const meanings: Readonly<Record<Mark['kind'], string>> = {
  done: 'rotated',
  failed: 'failed',
  due: 'due',
  overdue: 'overdue',
}

function dayCell(number: number, marks: readonly Mark[]): Markup {
  if (marks.length === 0) return html`<td><span class="day">${number}</span></td>`
  const counts = kinds.flatMap((kind) => {
    const count = marks.filter((mark) => mark.kind === kind).length
    return count === 0
      ? []
      : [
          html`<span class="sign ${kind}"><span aria-hidden="true">${signs[kind]}</span>${count > 1 && String(count)}<span class="hidden-text"> ${count === 1 && '1'} ${meanings[kind]}</span></span>`,
        ]
  })
  return html`<td class="marked"><span class="day">${number}</span>${counts}</td>`
}

/** What the signs mean. */
export const calendarKey: Markup = html`<p class="calendar-key">${kinds
  .toReversed()
  .map(
    (kind) => html`<span><span class="sign ${kind}" aria-hidden="true">${signs[kind]}</span> ${meanings[kind]}</span> `,
  )}</p>
`
