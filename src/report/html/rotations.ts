/** Rotations against the policy of each key: what was done, what is due, what is late. */
import type { Review, ReviewedKey } from '../review.ts'
import { calendar, calendarKey, type Mark, monthOf } from './calendar.ts'
import { outcomeBadge } from './exports.ts'
import { stateBadge } from './keys.ts'
import { html, type Markup, named, plural } from './markup.ts'
import { cell, headCell, listing, nothing, row, type Section } from './section.ts'
import type { Times } from './times.ts'

/** Months shown at most: what is due later stands in the table. */
const mostMonths = 4

export function rotationsSection(review: Review, times: Times): Section {
  // Of a key that is gone nothing is due.
  const keys = review.keys.filter(({ status }) => status !== 'destroyed')
  const scheduled = keys.filter(({ rotation }) => rotation.state !== 'off' && rotation.state !== 'unknown')
  const rotated = review.keys.filter(({ rotation }) => rotation.rotations.length > 0)
  const shown = [...new Set([...scheduled, ...rotated])].sort(byUrgency)
  const byHand = keys.filter(({ rotation }) => rotation.state === 'off')
  const unknown = keys.filter(({ rotation }) => rotation.state === 'unknown')
  const late = keys.filter(({ rotation }) => rotation.state === 'late' || rotation.state === 'overdue')
  const lead =
    late.length === 0
      ? 'No rotation is late.'
      : `${plural(late.length, 'rotation is', 'rotations are')} late or overdue.`
  const body = html`<p class="lead">${lead} ${plural(scheduled.length, 'key')} ${scheduled.length === 1 ? 'rotates' : 'rotate'} on a schedule.</p>
${shown.length === 0 ? nothing('No key rotates on a schedule, and none was rotated by hand in this time.') : html`${monthsOf(review, times)}${tableOf(shown, times)}`}
${othersOf(byHand, 'on no schedule: rotated by hand only, or not active')}${othersOf(unknown, 'of which the trail does not tell enough')}`
  return { id: 'rotations', title: 'Rotation calendar', short: 'Rotations', count: late.length, body }
}

const urgency = ['overdue', 'late', 'on time', 'off', 'unknown'] as const

function byUrgency(a: ReviewedKey, b: ReviewedKey): number {
  const state = urgency.indexOf(a.rotation.state) - urgency.indexOf(b.rotation.state)
  if (state !== 0) return state
  const [dueA = '9', dueB = '9'] = [a.rotation.dueAt, b.rotation.dueAt]
  return dueA < dueB ? -1 : dueA > dueB ? 1 : 0
}

function monthsOf(review: Review, times: Times): Markup {
  const marks = new Map<string, Mark[]>()
  const mark = (day: string, one: Mark) => {
    if (day !== '') marks.set(day, [...(marks.get(day) ?? []), one])
  }
  for (const { slug, identity, status, rotation } of review.keys) {
    const says = slug ?? identity
    for (const { at, outcome } of rotation.rotations)
      mark(times.day(at), { kind: outcome === 'success' ? 'done' : 'failed', says })
    // One that came late is on time again: what is due next lies ahead.
    const isLate = rotation.dueAt !== undefined && rotation.dueAt <= review.to
    if (rotation.dueAt !== undefined && rotation.state !== 'off' && status !== 'destroyed')
      mark(times.day(rotation.dueAt), { kind: isLate ? 'overdue' : 'due', says })
  }
  const first = times.day(review.from)
  const last = [...marks.keys(), times.day(review.to)].sort().at(-1) ?? first
  // A time that was long ago begun must not push what is due out of the picture.
  const start = monthOf(times.day(review.to)) - monthOf(first) > 1 ? monthBefore(times.day(review.to)) : first
  return html`${calendarKey}${calendar(start, last, marks, mostMonths)}`
}

function monthBefore(day: string): string {
  const month = monthOf(day) - 1
  return `${Math.floor(month / 12)}-${String((month % 12) + 1).padStart(2, '0')}-01`
}

function tableOf(keys: readonly ReviewedKey[], times: Times): Markup {
  return listing({
    id: 'rotations',
    caption: 'Rotations: what is late first, then what is due next',
    what: 'key',
    columns: [
      { title: 'Key', sort: 'text' },
      { title: 'State', sort: 'text' },
      { title: 'Every', sort: 'number', numeric: true },
      { title: 'Last rotated', sort: 'text' },
      { title: 'Due', sort: 'text' },
      { title: 'In this time' },
    ],
    rows: keys.map(({ identity, slug, rotation }, at) => {
      const { periodInDays, lastRotatedAt, dueAt, state, rotations } = rotation
      return row(at, [
        headCell(named(slug ?? identity, 80)),
        cell(stateBadge(state)),
        periodInDays === undefined
          ? html`<td class="number none">–</td>`
          : html`<td class="number" data-v="${periodInDays}">${plural(periodInDays, 'day')}</td>`,
        cell(lastRotatedAt === undefined ? 'never seen' : times.minute(lastRotatedAt)),
        cell(dueAt === undefined ? '–' : times.minute(dueAt)),
        cell(rotations.length === 0 ? html`<span class="quiet">none</span>` : rotationsOf(rotations, times)),
      ])
    }),
  })
}

const rotationsAtFirst = 3

function rotationsOf(rotations: ReviewedKey['rotation']['rotations'], times: Times): Markup {
  const told = ({ at, action, outcome, eventID }: (typeof rotations)[number]) =>
    html`<li>${times.minute(at)} ${action === 'kms.rotate' ? 'by hand' : 'on schedule'} ${outcomeBadge(outcome)} <code>${named(eventID, 60)}</code></li>`
  const rest = rotations.slice(rotationsAtFirst)
  return html`<ul class="plain">${rotations.slice(0, rotationsAtFirst).map(told)}</ul>${rest.length > 0 && html`<details><summary>${plural(rest.length, 'more rotation')}</summary><ul class="plain">${rest.map(told)}</ul></details>`}`
}

function othersOf(keys: readonly ReviewedKey[], words: string): Markup | undefined {
  if (keys.length === 0) return undefined
  const names = keys.map(({ slug, identity }) => html`<li>${named(slug ?? identity, 80)}</li>`)
  return html`<details><summary>${plural(keys.length, 'key')} ${words}</summary><ul class="names">${names}</ul></details>
`
}
