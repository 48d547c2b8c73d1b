/** What was refused or failed, by cause. */
import type { Review } from '../review.ts'
import { counted, html, named, plural } from './markup.ts'
import { cell, headCell, listing, nothing, othersOf, row, type Section, valueCell } from './section.ts'

export function failuresSection({ failures, othersOfFailures }: Review): Section {
  const sum = failures.reduce((all, { count }) => all + count, 0)
  const body =
    failures.length === 0
      ? nothing('No call failed in this time.')
      : html`<p class="lead">${plural(sum, 'call')} failed, for ${plural(failures.length, 'cause')}. Joined refusals are counted one by one.</p>
${listing({
  id: 'failures',
  caption: 'Failed calls by cause',
  what: 'cause',
  columns: [
    { title: 'Error', sort: 'text' },
    { title: 'Status', sort: 'number', numeric: true },
    { title: 'Action', sort: 'text' },
    { title: 'Calls', sort: 'number', numeric: true },
    { title: 'Actors', sort: 'number', numeric: true },
    { title: 'Keys', sort: 'number', numeric: true },
    { title: 'Such as' },
  ],
  rows: failures.map(({ statusCode, error, action, decryptFailure, count, actors, keys, examples }, at) =>
    row(at, [
      headCell(
        html`<code>${named(error, 60)}</code>`,
        decryptFailure !== undefined && html`<br><small class="quiet">${named(decryptFailure, 60)}</small>`,
      ),
      valueCell(statusCode, statusCode),
      cell(named(action, 60)),
      valueCell(count, counted(count)),
      valueCell(actors, counted(actors)),
      valueCell(keys, counted(keys)),
      cell(
        html`<details><summary>${plural(examples.length, 'entry', 'entries')}<span class="hidden-text"> of ${named(error, 60)}, ${named(action, 60)}</span></summary><ul class="ids">${examples.map((eventID) => html`<li><code>${named(eventID, 60)}</code></li>`)}</ul></details>`,
      ),
    ]),
  ),
})}${othersOf(othersOfFailures, 'cause')}`
  return { id: 'failures', title: 'Failures', count: sum, body }
}
