/** The rows of compliance.ts as a section of the page. */
import { complianceOf, standards } from '../compliance.ts'
import type { Review } from '../review.ts'
import { html, type Markup } from './markup.ts'
import type { Section } from './section.ts'

export function complianceSection(review: Review): Section {
  const rows = complianceOf(review)
  const blocks = standards.map((standard): Markup => {
    const own = rows.filter((row) => row.standard === standard)
    return html`<details class="standard"><summary><h3>${standard}</h3> <span class="quiet">${own.map(({ clause }) => clause).join(' · ')}</span></summary>
${own.map(
  ({ clause, asks, shows, remains }) => html`<div class="clause"><h4>${clause} <span>${asks}</span></h4>
<div class="halves"><div><p class="label">This trail shows</p><p>${shows}</p></div><div><p class="label">Still yours to do</p><p>${remains}</p></div></div></div>
`,
)}</details>
`
  })
  const body = html`<p class="lead">What this trail can contribute when you are asked, in our own words. It is no statement that anybody complies with anything: the standards' own texts bind, and your assessor judges.</p>
${blocks}`
  return { id: 'compliance', title: 'For whoever asks by a standard', short: 'Compliance', body }
}
