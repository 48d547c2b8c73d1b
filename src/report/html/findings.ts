/** What the detector found: level, sentence, what to do, and the entries that show it. */
import { levels } from '../../detect/finding.ts'
import type { Review, ReviewedFinding } from '../review.ts'
import { counted, html, type Markup, named, plural } from './markup.ts'
import { nothing, othersOf, type Section } from './section.ts'
import type { Times } from './times.ts'

/** Each takes the room of several rows of a table. */
const findingsAtFirst = 25

export function findingsSection(review: Review, times: Times): Section {
  const { findings, othersOfFindings, detector } = review
  const body = html`${findings.length === 0 ? nothing('The rules found nothing in this time.') : listOf(findings, times)}
${othersOf(othersOfFindings, 'finding')}${healthOf(detector)}`
  return { id: 'findings', title: 'Findings', count: findings.length + othersOfFindings, body }
}

function listOf(findings: readonly ReviewedFinding[], times: Times): Markup {
  return html`<p class="lead">${summaryOf(findings)}</p>
<div class="listing" data-listing="finding" data-first="${findingsAtFirst}" data-facets="level:Level,rule:Rule,key:Key,actor:Actor" id="findings-listing">
<ul class="findings">
${findings.map((finding, at) => findingOf(finding, at, times))}</ul>
</div>
`
}

/** `2 critical, 5 high`, worst first. */
export function summaryOf(findings: readonly ReviewedFinding[]): string {
  const counts = levels.toReversed().flatMap((level) => {
    const count = findings.filter((finding) => finding.level === level).length
    return count === 0 ? [] : [`${counted(count)} ${level}`]
  })
  const suppressed = findings.filter((finding) => finding.suppressed !== undefined).length
  return `${counts.join(', ')}${suppressed > 0 ? `; ${counted(suppressed)} of them suppressed` : ''}`
}

const subjects = ['key', 'actor', 'source', 'secret', 'sink', 'instance'] as const

function findingOf(finding: ReviewedFinding, at: number, times: Times): Markup {
  const {
    id,
    rule,
    title,
    level,
    says,
    at: when,
    subject,
    window,
    count,
    evidence,
    attack,
    whatToDo,
    suppressed,
  } = finding
  const known = levels.includes(level) ? level : 'medium'
  const about = subjects.flatMap((name) => {
    const value = subject[name]
    return value === undefined
      ? []
      : [html`<span class="chip"><span class="quiet">${name}</span> ${named(value, 80)}</span>`]
  })
  return html`<li class="finding level-${known}${at >= findingsAtFirst && ' more'}" data-level="${level}" data-rule="${rule}" data-key="${subject.key}" data-actor="${subject.actor}">
<h3><span class="badge">${level}</span> ${title}${suppressed !== undefined && html` <span class="badge muted">suppressed</span>`}</h3>
<p class="says">${named(says, 1000)}.</p>
<p class="facts">${times.moment(when)} ${about}</p>
${suppressed !== undefined && html`<p class="quiet">Suppressed until ${times.moment(suppressed.until)}${suppressed.by !== undefined && html` by ${named(suppressed.by)}`}: ${named(suppressed.reason, 300)}</p>`}
<p class="todo"><strong>What to do:</strong> ${whatToDo}</p>
<details><summary>Evidence: ${plural(count, 'entry', 'entries')}<span class="hidden-text"> of ${title}, ${times.moment(when)}</span></summary>
<dl class="evidence">
<dt>Looked at</dt><dd>${times.moment(window.from)} to ${times.moment(window.to)}</dd>
<dt>Rule</dt><dd><code>${rule}</code>${attack.length > 0 && html`, ATT&amp;CK ${attack.join(', ')}`}</dd>
<dt>Finding</dt><dd><code>${id}</code></dd>
<dt>Entries</dt><dd><ul class="ids">${evidence.map((eventID) => html`<li><code>${named(eventID, 60)}</code></li>`)}</ul>${count > evidence.length && html`<p class="quiet">The first and the last of ${counted(count)}.</p>`}</dd>
</dl></details>
</li>
`
}

function healthOf({ entries, duplicates, evicted, failed }: Review['detector']): Markup {
  const forgot = Object.entries(evicted).map(
    ([rule, count]) =>
      html`<li>Rule <code>${rule}</code> had to forget ${plural(count, 'thing')} to stay within its memory: it may have missed something.</li>`,
  )
  const broke = Object.entries(failed).map(
    ([rule, failure]) =>
      html`<li>Rule <code>${rule}</code> failed at ${plural(failure.entries, 'entry', 'entries')}, last with: ${named(failure.last, 200)}</li>`,
  )
  const came = duplicates > 0 ? `; ${plural(duplicates, 'entry', 'entries')} came twice and counted once` : ''
  return html`<p class="quiet">The rules looked at ${plural(entries, 'entry', 'entries')}, those before this time included${came}.</p>
${forgot.length + broke.length > 0 && html`<ul class="warnings">${forgot}${broke}</ul>`}`
}
