/** The log itself: what it lost, when it was silent, what was done to it. */
import type { Review, ReviewedLog } from '../review.ts'
import { counted, html, type Markup, named, plural } from './markup.ts'
import { nothing, othersOf, type Section, table } from './section.ts'
import type { Times } from './times.ts'

export function logSection(review: Review, times: Times): Section {
  const { log, silences, damagedLines } = review
  const dropped = log.sinks.reduce((sum, sink) => sum + sink.dropped, 0)
  const body = html`<h3>What it lost</h3>
${lossesOf(review, dropped)}
${sinksOf(log)}
<h3>Silences</h3>
${silencesOf(review, times)}
<h3>What was done to it</h3>
${deedsOf(log)}
<h3>Changes that never ended</h3>
${intentsOf(log)}
<h3>What it was told to keep</h3>
${policiesOf(log, times)}`
  return {
    id: 'log',
    title: 'The log itself',
    short: 'Log',
    count: dropped + log.missing + damagedLines + silences.length + review.othersOfSilences,
    body,
  }
}

function lossesOf({ log, damagedLines }: Review, dropped: number): Markup {
  const losses = [
    dropped > 0 && html`<li>${plural(dropped, 'entry', 'entries')} dropped by sinks that were not required</li>`,
    log.missing > 0 &&
      html`<li>${plural(log.missing, 'running number')} missing: entries that were written and are not here</li>`,
    damagedLines > 0 && html`<li>${plural(damagedLines, 'line')} could not be read, or told no time</li>`,
    log.refusedCalls > 0 &&
      html`<li>${plural(log.refusedCalls, 'call')} refused because the log could not take their entries</li>`,
  ].filter((loss) => loss !== false)
  return losses.length === 0
    ? nothing('Nothing: no entry dropped, no number missing, no line unreadable.')
    : html`<ul class="warnings">${losses}</ul>`
}

function sinksOf({ sinks }: ReviewedLog): Markup | undefined {
  if (sinks.length === 0) return undefined
  return table(
    'Sinks that failed',
    ['Sink', 'Times down', 'Entries dropped'],
    sinks.map(({ sink, dropped, downs }) => [named(sink), counted(downs), counted(dropped)]),
  )
}

const silencesShown = 100

function silencesOf({ silences, othersOfSilences }: Review, times: Times): Markup {
  if (silences.length === 0) return nothing('None: whoever writes here was heard as often as its heartbeat promises.')
  const rest = silences.length - silencesShown
  return html`${table(
    'Times in which nothing was written, not even a heartbeat',
    ['Writer', 'From', 'To', 'For'],
    silences
      .slice(0, silencesShown)
      .map(({ instance, from, to }) => [
        named(instance),
        times.moment(from),
        times.moment(to),
        spanOf(Date.parse(to) - Date.parse(from)),
      ]),
  )}${rest > 0 && html`<p class="quiet">And ${counted(rest)} more: they stand in the JSON of this page.</p>`}${othersOf(othersOfSilences, 'silence')}`
}

/** `3 h 20 min`. */
export function spanOf(ms: number): string {
  if (!(ms >= 0)) return 'unknown'
  const minutes = Math.round(ms / 60_000)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} days ${hours % 24} h`
}

function deedsOf(log: ReviewedLog): Markup {
  const { opened, recovered, quarantinedBytes, pruned, restored, clockSteps } = log
  const deeds: readonly (readonly [string, number, string])[] = [
    ['Opened', opened, 'starts of a writer: deployments and restarts'],
    ['Recovered', recovered, `after a crash; ${plural(quarantinedBytes, 'byte')} put in quarantine`],
    ['Pruned', pruned, 'old entries dropped by retention'],
    ['Restored', restored, 'a keystore accepted that did not fit the trail'],
    ['Clock stepped', clockSteps, "the machine's clock was set: times around it are less sure"],
  ]
  return table(
    'What happened to the log',
    ['What', 'Times', 'That is'],
    deeds.map(([what, count, means]) => [what, counted(count), means]),
  )
}

function intentsOf({ openIntents }: ReviewedLog): Markup {
  if (openIntents.length === 0) return nothing('None: every change that was begun has its result.')
  const ids = openIntents.slice(0, 100).map((id) => html`<li><code>${named(id, 60)}</code></li>`)
  const rest = openIntents.length - ids.length
  return html`<p>${plural(openIntents.length, 'change was', 'changes were')} begun more than an hour before the end, and nothing tells how ${openIntents.length === 1 ? 'it' : 'they'} ended: ask the provider.</p>
<ul class="ids">${ids}</ul>${rest > 0 && html`<p class="quiet">And ${counted(rest)} more.</p>`}`
}

function policiesOf({ fieldPolicies }: ReviewedLog, times: Times): Markup {
  if (fieldPolicies.length === 0) return nothing('No entry tells which fields were kept in this time.')
  return html`${table(
    'Field policies in force, in order',
    ['From', 'Policy'],
    fieldPolicies.map(({ at, fields }) => [times.moment(at), html`<code>${named(fields, 400)}</code>`]),
  )}`
}
