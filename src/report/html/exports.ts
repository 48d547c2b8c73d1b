/** Every export of key material: each is to be looked at. */
import type { Review, ReviewedExport } from '../review.ts'
import { html, type Markup, named } from './markup.ts'
import { cell, headCell, listing, nothing, othersOf, row, type Section } from './section.ts'
import type { Times } from './times.ts'

export function exportsSection({ exports, othersOfExports }: Review, times: Times): Section {
  const body =
    exports.length === 0
      ? nothing('No key material was exported in this time.')
      : html`${tableOf(exports, times)}${othersOf(othersOfExports, 'export')}`
  return { id: 'exports', title: 'Exports', count: exports.length + othersOfExports, body }
}

function tableOf(exports: readonly ReviewedExport[], times: Times): Markup {
  return listing({
    id: 'exports',
    caption: 'Exports of key material: each deserves a look',
    what: 'export',
    columns: [
      { title: 'When', sort: 'text' },
      { title: 'Key', sort: 'text' },
      { title: 'Outcome', sort: 'text' },
      { title: 'Form', sort: 'text' },
      { title: 'Who', sort: 'text' },
      { title: 'Why', sort: 'text' },
      { title: 'Entry' },
    ],
    rows: exports.map((one, at) => row(at, cellsOf(one, times))),
  })
}

function cellsOf(one: ReviewedExport, times: Times): readonly Markup[] {
  const { eventID, at, key, keyVersion, outcome, error, form, recipient, actor, clientIp, reason, ticket } = one
  return [
    headCell(times.moment(at)),
    cell(named(key), keyVersion !== undefined && html` v${keyVersion}`),
    cell(exportBadge(outcome), error !== undefined && html` <code>${named(error, 60)}</code>`),
    cell(
      form === undefined ? 'not told' : named(form, 40),
      recipient !== undefined && html`<br><small class="quiet">to ${named(recipient, 80)}</small>`,
    ),
    cell(
      actor === undefined ? html`<strong>nobody said</strong>` : named(actor),
      clientIp !== undefined && html`<br><small class="quiet">from ${named(clientIp, 60)}</small>`,
    ),
    cell(
      reason === undefined ? html`<strong>no reason given</strong>` : named(reason, 200),
      ticket !== undefined && html`<br><small class="quiet">${named(ticket, 60)}</small>`,
    ),
    cell(html`<code>${named(eventID, 60)}</code>`),
  ]
}

/** That key material left is no good news. */
function exportBadge(outcome: string): Markup {
  return outcome === 'failure' ? outcomeBadge(outcome) : html`<span class="outcome other">${named(outcome, 30)}</span>`
}

export function outcomeBadge(outcome: string): Markup {
  const known = outcome === 'success' || outcome === 'failure'
  return html`<span class="outcome ${known ? outcome : 'other'}">${named(outcome, 30)}</span>`
}
