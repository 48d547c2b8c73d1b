/** @node A review as one page of HTML that needs nothing else: no network, no file beside it, and to be read no script either. */
import { engine } from '#engine'
import { toBase64, utf8 } from '../../crypto/bytes.ts'
import { isAtLeast } from '../../detect/finding.ts'
import { version } from '../../model/version.ts'
import type { Review } from '../review.ts'
import { actorsSection } from './actors.ts'
import { complianceSection } from './compliance-section.ts'
import { embedded } from './embedded.ts'
import { exportsSection } from './exports.ts'
import { failuresSection } from './failures.ts'
import { findingsSection } from './findings.ts'
import { hoursSection } from './hours.ts'
import { keysSection } from './keys.ts'
import { logSection } from './log.ts'
import { counted, html, type Markup, named, plural, textOf, trusted } from './markup.ts'
import { type PageParts, readParts } from './parts.ts'
import { rotationsSection } from './rotations.ts'
import type { Section } from './section.ts'
import { timelineSection } from './timeline.ts'
import { type Times, timesIn } from './times.ts'
import { eyesOf, reasonsSection, verdictSection, wordsOf } from './verdict.ts'

/**
 * The review as one HTML file: the verdict first, then what needs eyes, and all that leads to it. Everything from entries is
 * text in it, never markup; its content security policy allows its own script and style and nothing else. The facts lie in it
 * as JSON, in the element `review`.
 *
 * @throws KmsError `INVALID_INPUT` for a time zone that this host does not know; `INTERNAL` when run from sources that were
 * never built: the page's script and style are made by `npm run build`.
 * @example
 * ```ts
 * await writeFile('review.html', renderReport(await reviewTrail('./audit', { since: '30d' })))
 * ```
 */
export function renderReport(review: Review): string {
  return renderWith(review, readParts())
}

/** The same with the parts given. */
export function renderWith(review: Review, { script, style, licence }: PageParts): string {
  const times = timesIn(review.timeZone)
  const sections = [
    findingsSection(review, times),
    timelineSection(review, times),
    hoursSection(review),
    exportsSection(review, times),
    keysSection(review, times),
    actorsSection(review, times),
    rotationsSection(review, times),
    failuresSection(review),
    logSection(review, times),
    complianceSection(review),
  ]
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policyOf(script, style)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="keytrail ${version}">
<title>${wordsOf(review).headline}. ${eyesOf(review)}. Key use from ${times.day(review.from)} to ${times.day(review.to)}</title>
<link rel="icon" href="${icon}">
<!-- The charts are drawn by uPlot (https://github.com/leeoniya/uPlot), under this licence:

${trusted(licence.trim())}
-->
<style>${trusted(style)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
${headerOf(review, times)}
${navigationOf(sections)}
<main id="main" tabindex="-1">
${verdictSection(review, times)}
${tilesOf(review)}
${reasonsSection(review)}
${sections.map(sectionOf)}
</main>
${footerOf(review, times)}
${embedded(review)}
<script>${trusted(script)}</script>
</body>
</html>
`
  return textOf(page)
}

/** Hashes instead of `unsafe-inline` (CSP level 3 §2.3.1): a script that got in some other way does not run. */
function policyOf(script: string, style: string): string {
  return [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
}

function hashOf(text: string): string {
  return `sha256-${toBase64(engine.hash('sha256', utf8(text)))}`
}

const picture =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#1d4fb8"/><path d="M10 7v18M11 17l9-10M14 14l8 11" stroke="#fff" stroke-width="3.4" fill="none" stroke-linecap="round"/></svg>'
const icon = `data:image/svg+xml,${encodeURIComponent(picture)}`

function headerOf({ from, to, timeZone, instances }: Review, times: Times): Markup {
  const shown = instances.slice(0, 5).map((name, at) => html`${at > 0 && ', '}${named(name, 60)}`)
  const rest = instances.length - shown.length
  return html`<header class="top"><div class="inside">
<p class="brand"><svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false"><rect width="32" height="32" rx="8"/><path d="M10 7v18M11 17l9-10M14 14l8 11"/></svg>keytrail</p>
<h1>How the keys were used</h1>
<p class="period">${times.minute(from)} to ${times.minute(to)} <span class="quiet">(${timeZone})</span></p>
<p class="quiet">${instances.length === 0 ? 'No trail was read.' : html`Of ${shown}${rest > 0 && ` and ${plural(rest, 'other trail')}`}.`}</p>
</div></header>`
}

function navigationOf(sections: readonly Section[]): Markup {
  const links = sections.map(
    ({ id, title, short = title, count }) =>
      html`<li><a href="#${id}">${short}${count !== undefined && count > 0 && html` <span class="count">${counted(count)}</span>`}</a></li>`,
  )
  return html`<nav aria-label="Sections of the report" class="sections"><ul><li><a href="#verdict">Verdict</a></li>${links}</ul></nav>`
}

function sectionOf({ id, title, body }: Section): Markup {
  return html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>
${body}</section>
`
}

/** The figures that a reader asks for first. */
function tilesOf(review: Review): Markup {
  const { findings, log, entries, failures, least } = review
  const alarms = findings.filter(({ level, suppressed }) => isAtLeast(level, least) && suppressed === undefined)
  const exports = review.exports.length + review.othersOfExports
  const failed = failures.reduce((sum, { count }) => sum + count, 0)
  const dropped = log.sinks.reduce((sum, sink) => sum + sink.dropped, 0) + log.missing
  const late = review.keys.filter(({ rotation }) => rotation.state === 'late' || rotation.state === 'overdue').length
  const tiles: readonly (readonly [string, number, string, boolean])[] = [
    ['Entries', entries, 'log', false],
    [`Findings, ${least === 'critical' ? least : `${least} or worse`}`, alarms.length, 'findings', alarms.length > 0],
    ['Exports', exports, 'exports', exports > 0],
    ['Failed calls', failed, 'failures', false],
    ['Rotations late', late, 'rotations', late > 0],
    ['Entries lost', dropped, 'log', dropped > 0],
  ]
  return html`<ul class="tiles" aria-label="Figures">${tiles.map(
    ([name, value, id, loud]) =>
      html`<li><a href="#${id}" class="tile${loud && ' loud'}"><span class="figure">${counted(value)}</span> <span class="name">${name}</span></a></li>`,
  )}</ul>`
}

function footerOf({ madeAt, entriesRead, entries, timeZone }: Review, times: Times): Markup {
  return html`<footer><div class="inside">
<p>Made by keytrail ${version} at ${times.moment(madeAt)}, out of ${plural(entriesRead, 'entry', 'entries')}, of which ${counted(entries)} are of this time. Times are those of ${timeZone}.</p>
<p>This page asks nothing of any network. It holds what the trail tells of callers, addresses and keys: give it only to those who may read the trail. Its facts lie in it as JSON, in the element <code>review</code>.</p>
</div></footer>`
}
