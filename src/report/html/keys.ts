/** Per key: who uses it for what, whether at all, and how it rotates. */
import type { Review, ReviewedKey } from '../review.ts'
import { counted, html, type Markup, named, plural } from './markup.ts'
import { breakdown, cell, listing, nothing, othersOf, row, type Section, total, valueCell } from './section.ts'
import type { Times } from './times.ts'

export function keysSection({ keys, othersOfKeys }: Review, times: Times): Section {
  if (keys.length === 0) return { id: 'keys', title: 'Keys', count: 0, body: nothing('The trail tells of no key.') }
  const unused = keys.filter((key) => key.unused === true).length
  const idle =
    unused === 0
      ? 'None was left unused for 90 days, as far as the trail goes back.'
      : `${plural(unused, 'key')} left unused for 90 days: ask whether ${unused === 1 ? 'it is' : 'they are'} still needed.`
  const body = html`<p class="lead">${plural(keys.length, 'key')}. ${idle}</p>
${listing({
  id: 'keys',
  caption: 'Keys, and what was done with them in this time',
  what: 'key',
  columns: [
    { title: 'Key', sort: 'text' },

    { title: 'Uses', sort: 'number', numeric: true },
    { title: 'For what' },
    { title: 'Failures', sort: 'number', numeric: true },
    { title: 'Decrypted by', sort: 'number' },
    { title: 'Last used', sort: 'text' },
    { title: 'Rotation', sort: 'text' },
  ],
  rows: keys.map((key, at) => row(at, cellsOf(key, times))),
})}${othersOf(othersOfKeys, 'key')}`
  return { id: 'keys', title: 'Keys', count: keys.length + othersOfKeys, body }
}

function cellsOf(key: ReviewedKey, times: Times): readonly Markup[] {
  const { identity, slug, keyType, latestVersion, status, uses, failures, lastUsedAt, unused, rotation } = key
  const sum = total(uses)
  const facts = [keyType, latestVersion === undefined ? undefined : `v${latestVersion}`].filter(
    (fact) => fact !== undefined,
  )
  const badge =
    status !== 'active' &&
    html` <span class="badge ${status === undefined ? 'muted' : 'watch'}">${named(status ?? 'status not told', 30)}</span>`
  return [
    html`<th scope="row" data-v="${slug ?? identity}">${named(slug ?? identity, 80)}${badge}<br><small class="quiet">${named(identity, 60)}${facts.length > 0 && html`<br>${named(facts.join(' '), 60)}`}</small></th>`,
    valueCell(sum, counted(sum)),
    cell(breakdown(uses)),
    valueCell(failures, counted(failures)),
    html`<td data-v="${key.decryptors}">${decryptorsOf(key)}</td>`,
    html`<td data-v="${lastUsedAt ?? ''}">${lastUsedAt === undefined ? 'never seen' : times.minute(lastUsedAt)}${unused === true && html` <span class="badge watch">unused</span>`}</td>`,
    cell(stateBadge(rotation.state)),
  ]
}

function decryptorsOf({ decryptedBy, decryptors }: ReviewedKey): Markup {
  if (decryptors === 0) return html`<span class="quiet">nobody</span>`
  const shown = decryptedBy.slice(0, 2)
  const rest = decryptors - shown.length
  const lines = shown.map(({ actor, count }) => html`<li>${named(actor, 60)} ${counted(count)}</li>`)
  return html`<ul class="lines">${lines}${rest > 0 && html`<li class="quiet">and ${plural(rest, 'other')}</li>`}</ul>`
}

/** `on time` and `off` are quiet, what is late is not. */
export function stateBadge(state: string): Markup {
  const tone = state === 'overdue' ? 'bad' : state === 'late' ? 'watch' : 'muted'
  return html`<span class="badge ${tone}">${state}</span>`
}
