/** Per actor: what it did, with how many keys, from how many places. */
import type { Review } from '../review.ts'
import { counted, html, named, plural } from './markup.ts'
import { breakdown, cell, headCell, listing, nothing, row, type Section, total, valueCell } from './section.ts'
import type { Times } from './times.ts'

export function actorsSection({ actors, othersOfActors }: Review, times: Times): Section {
  const all = actors.length + othersOfActors
  const body =
    actors.length === 0
      ? nothing('Nobody used a key in this time.')
      : html`<p class="lead">${plural(all, 'actor')}${othersOfActors > 0 && `, of which ${plural(othersOfActors, 'one', 'ones')} with the fewest uses are left out here`}.</p>
${listing({
  id: 'actors',
  caption: 'Actors, and what they did in this time',
  what: 'actor',
  columns: [
    { title: 'Actor', sort: 'text' },
    { title: 'Uses', sort: 'number', numeric: true },
    { title: 'For what' },
    { title: 'Failures', sort: 'number', numeric: true },
    { title: 'Keys', sort: 'number', numeric: true },
    { title: 'Networks', sort: 'number', numeric: true },
    { title: 'User agents', sort: 'number', numeric: true },
    { title: 'First', sort: 'text' },
    { title: 'Last', sort: 'text' },
  ],
  rows: actors.map((one, at) =>
    row(at, [
      headCell(named(one.actor, 100)),
      valueCell(total(one.uses), counted(total(one.uses))),
      cell(breakdown(one.uses)),
      valueCell(one.failures, counted(one.failures)),
      valueCell(one.keys, counted(one.keys)),
      valueCell(one.networks, counted(one.networks)),
      valueCell(one.userAgents, counted(one.userAgents)),
      cell(times.minute(one.firstAt)),
      cell(times.minute(one.lastAt)),
    ]),
  ),
})}`
  return { id: 'actors', title: 'Actors', count: all, body }
}
