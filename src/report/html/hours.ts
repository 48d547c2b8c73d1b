/** When keys are used: the hours of a week as a table of numbers, with colours for those who look from afar. */
import type { Review } from '../review.ts'
import { counted, html, type Markup } from './markup.ts'
import { nothing, type Section } from './section.ts'

const days = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const
const shades = 7

export function hoursSection({ hours, timeZone }: Review): Section {
  const most = hours.reduce((largest, count) => Math.max(largest, count), 0)
  const body = most === 0 ? nothing('No calls in this time.') : mapOf(hours, { most, timeZone })
  return { id: 'hours', title: 'Hours of the week', short: 'Hours', body }
}

function mapOf(
  hours: readonly number[],
  { most, timeZone }: { readonly most: number; readonly timeZone: string },
): Markup {
  const caption = `Calls by day and hour, in ${timeZone}`
  const heads = Array.from({ length: 24 }, (_, hour) => html`<th scope="col">${String(hour).padStart(2, '0')}</th>`)
  const rows = days.map((day, at) => {
    const cells = hours
      .slice(at * 24, at * 24 + 24)
      .map((count) => html`<td class="h${shadeOf(count, most)}">${short(count)}</td>`)
    return html`<tr><th scope="row"><abbr title="${day}">${day.slice(0, 3)}</abbr></th>${cells}</tr>
`
  })
  return html`<p class="lead">${busiestOf(hours, most)} ${quietOf(hours)}</p>
<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table class="heat"><caption>${caption}</caption>
<thead><tr><th scope="col">Day</th>${heads}</tr></thead>
<tbody>${rows}</tbody></table></div>
`
}

/** By the square root: a tenth of the busiest hour is still seen. */
export function shadeOf(count: number, most: number): number {
  if (!(count > 0)) return 0
  return Math.max(1, Math.min(shades, Math.ceil(Math.sqrt(count / most) * shades)))
}

/** In four characters at most: `999`, `1.2k`, `46k`, `3M`. */
export function short(count: number): string {
  if (!(count >= 1000)) return counted(count)
  const [size, unit] = count >= 999_500 ? [1_000_000, 'M'] : [1000, 'k']
  const scaled = count / size
  return `${scaled >= 9.95 ? Math.round(scaled) : scaled.toFixed(1).replace('.0', '')}${unit}`
}

function busiestOf(hours: readonly number[], most: number): string {
  const at = hours.indexOf(most)
  const hour = at % 24
  const clock = (value: number) => `${String(value % 24).padStart(2, '0')}:00`
  return `Busiest: ${days[Math.floor(at / 24)] ?? ''}, ${clock(hour)} to ${clock(hour + 1)}, ${counted(most)} calls.`
}

function quietOf(hours: readonly number[]): string {
  const all = hours.reduce((sum, count) => sum + count, 0)
  const outside = hours.reduce((sum, count, at) => {
    const isWork = at < 5 * 24 && at % 24 >= 7 && at % 24 < 19
    return isWork ? sum : sum + count
  }, 0)
  return `${Math.round((100 * outside) / all)} % of all calls came at night (19:00 to 07:00) or at a weekend.`
}
