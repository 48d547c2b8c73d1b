/** Calls over time: a place for the chart that the page's script draws, and the same numbers as a table. */
import type { Review, Timeline } from '../review.ts'
import { counted, html, type Markup } from './markup.ts'
import { nothing, type Section } from './section.ts'
import type { Times } from './times.ts'

const mostTableRows = 62
const mostActions = 6

export function timelineSection(review: Review, times: Times): Section {
  const { timeline } = review
  const sum = timeline.series.reduce((all, { counts }) => all + sumOf(counts), 0)
  const body =
    sum === 0
      ? nothing('No calls in this time.')
      : html`<p class="lead">${counted(sum)} calls, in steps of ${lengthOf(timeline.bucketMs)}.</p>
<figure class="timeline" id="timeline-chart" hidden><figcaption class="hidden-text">Calls over time, stacked. The table below holds the same numbers.</figcaption></figure>
<details class="as-table"><summary>The timeline as a table</summary>${tableOf(timeline, times)}</details>
`
  return { id: 'timeline', title: 'Timeline', body }
}

function tableOf(timeline: Timeline, times: Times): Markup {
  const { from, bucketMs, series } = timeline
  const buckets = series.reduce((most, { counts }) => Math.max(most, counts.length), 0)
  // So many buckets a row that nobody has to read four hundred of them.
  const width = Math.ceil(buckets / mostTableRows)
  const actions = [...new Set(series.map(({ action }) => action))]
    .map((action) => ({
      action,
      count: sumOf(series.filter((one) => one.action === action).flatMap((one) => one.counts)),
    }))
    .sort((a, b) => b.count - a.count)
  const shown = actions.slice(0, mostActions).map(({ action }) => action)
  const hasOthers = actions.length > shown.length
  const heads = [
    'From',
    'Calls',
    'Success',
    'Failure',
    'Unknown',
    ...shown.map((name) => name.slice(0, 60)),
    ...(hasOthers ? ['Other actions'] : []),
  ]
  const start = Date.parse(from)
  const rows = Array.from({ length: Math.ceil(buckets / width) }, (_, at) => {
    const within = (wanted: (one: Timeline['series'][number]) => boolean) =>
      series.filter(wanted).reduce((all, { counts }) => all + sumOf(counts.slice(at * width, (at + 1) * width)), 0)
    const outcomes = ['success', 'failure', 'unknown'].map((name) => within(({ outcome }) => outcome === name))
    const byAction = shown.map((name) => within(({ action }) => action === name))
    const others = hasOthers ? [within(({ action }) => !shown.includes(action))] : []
    const numbers = [within(() => true), ...outcomes, ...byAction, ...others]
    const when = new Date(start + at * width * bucketMs).toISOString()
    return html`<tr><th scope="row">${times.minute(when)}</th>${numbers.map((number) => html`<td class="number">${counted(number)}</td>`)}</tr>
`
  })
  const caption = `Calls from each moment on, for ${lengthOf(width * bucketMs)}`
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table><caption>${caption}</caption>
<thead><tr>${heads.map((head, at) => html`<th scope="col"${at > 0 && html` class="number"`}>${head}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0)
}

const units = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second'],
] as const

/** `6 hours`, `1 day`: in the largest unit of which it is a whole number. */
export function lengthOf(ms: number): string {
  const [size, unit] = units.find(([each]) => ms >= each && ms % each === 0) ?? [1, 'millisecond']
  const count = ms / size
  return `${counted(count)} ${count === 1 ? unit : `${unit}s`}`
}
