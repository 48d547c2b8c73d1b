/** What the report's page runs: filters, sorting and the chart. Without it the page is whole, and longer. */
import type { Facts } from './facts.ts'
import { startListing } from './listing.ts'
import { startTimeline } from './timeline.ts'

for (const listing of document.querySelectorAll<HTMLElement>('[data-listing]')) startListing(listing)

const chart = document.getElementById('timeline-chart')
const facts = document.getElementById('review')?.textContent
// The page was made with them.
if (chart !== null && facts) startTimeline(chart, JSON.parse(facts) as Facts)
