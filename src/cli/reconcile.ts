/** @node `keytrail audit reconcile`: a trail against what CloudTrail tells of the same keys. */
import process from 'node:process'
import { readCloudTrail } from '../integrations/reconcile/cloudtrail.ts'
import { reconcile as compare } from '../integrations/reconcile/reconcile.ts'
import type { Finding, Reconciliation } from '../integrations/reconcile/report.ts'
import { visible } from '../sinks/render.ts'
import { readTrail } from '../trail/reading/read.ts'
import { momentOf, trailOf } from './audit.ts'
import { type Command, usageError } from './command.ts'
import { toJson } from './json.ts'
import { print } from './output.ts'
import { aligned } from './table.ts'

export const reconcile: Command = {
  verb: 'audit reconcile',
  operands: '[TRAIL] [FILE…]',
  summary: 'hold a trail against what AWS CloudTrail tells',
  details: `Finds what only one side saw: a use of a key that no entry tells of is somebody outside keytrail.
TRAIL is a trail's folder, the parent of many, or an archive's file; DIR/audit if left out. Give
the export by --cloudtrail: log files as CloudTrail delivers them, what lookup-events answers,
JSON Lines, all of them plain or with gzip; a folder with all below it; - for standard input.
Several by repeating the option, or one after another behind TRAIL, as a shell's * gives them.
Compared is the time that both cover, less what clocks and delivery may be apart; with --since
and --until what you know that they cover. Reading does not verify: audit verify does.
Exits with 0 if the two agree, with 1 if anything wants looking at, or nothing could be compared.
With --json, one object: range, agrees, counts, findings, services, notes.`,
  examples: [
    'keytrail audit reconcile --cloudtrail AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01',
    'keytrail audit reconcile audit --cloudtrail AWSLogs/*.json.gz',
    'keytrail audit reconcile audit --cloudtrail lookup.json --since 2026-01-01 --until 2026-02-01',
    'aws cloudtrail lookup-events … | keytrail audit reconcile audit --cloudtrail -',
  ],
  options: ['cloudtrail', 'role', 'aws-key', 'provider', 'since', 'until', 'dir'],
  async run(line) {
    const files = [...line.list('cloudtrail'), ...line.operands.slice(1)]
    if (line.list('cloudtrail').length === 0)
      throw usageError("option '--cloudtrail' is missing: the export to compare with")
    if (files.filter((file) => file === '-').length > 1) throw usageError('standard input can be read only once')
    const sources = files.map((file) => (file === '-' ? standardInput() : file))
    const [providers, from, to] = [line.list('provider'), momentOf(line, 'since'), momentOf(line, 'until')]
    const found = await compare(readTrail(trailOf(line)), readCloudTrail(sources), {
      keys: line.list('aws-key'),
      roles: line.list('role'),
      ...(providers.length > 0 && { providers }),
      ...(from !== undefined && { from }),
      ...(to !== undefined && { to }),
    })
    await print(line.flag('json') ? `${toJson(found)}\n` : `${inWords(found)}\n`)
    return found.agrees ? 0 : 1
  },
}

function standardInput(): AsyncIterable<Uint8Array> {
  // Without an encoding set, it gives Buffers.
  return process.stdin as AsyncIterable<Uint8Array>
}

function inWords(found: Reconciliation): string {
  const { range, agrees, counts, findings, services, notes } = found
  const verdict = agrees ? 'agrees' : range === undefined ? 'not compared' : 'differs'
  const span = range === undefined ? '' : `, from ${range.from} to ${range.to}`
  const more = counts.onlyTheirs + counts.onlyOurs + counts.disagreements - findings.length
  return [
    `${verdict}: ${counts.calls} calls in the trail, ${counts.events} events of AWS KMS${span}`,
    ...notes.map((note) => `  ${note}`),
    aligned(rowsOf(found)),
    ...findings.map(describe),
    ...(more > 0 ? [`and ${more} more`] : []),
    ...services.map(({ service, eventName, key = 'a key', principal = 'somebody', calls }) =>
      visible(`by ${service} for ${principal}: ${calls} × ${eventName} with ${key}`),
    ),
  ].join('\n')
}

function rowsOf({ counts }: Reconciliation): readonly (readonly string[])[] {
  const rows: readonly (readonly [number, string])[] = [
    [counts.onlyTheirs, 'only at AWS: outside keytrail'],
    [counts.onlyOurs, 'only in the trail'],
    [counts.disagreements, 'in both, and not the same'],
    [counts.matched, 'in both, by request id'],
    [counts.matchedByTime, 'in both, by action, key and time'],
    [counts.retries, 'other attempts of these'],
    [counts.companions, 'parts of these'],
    [counts.notSent, 'calls refused before anything was sent'],
    [counts.notArrived, 'calls that ended without an answer and never arrived'],
    [counts.failuresNotKept, 'refusals by AWS that CloudTrail did not keep'],
    [counts.reads, 'reads about keys'],
    [counts.byAws, 'by AWS KMS itself, such as automatic rotation'],
    [counts.byServices, 'by AWS services on someone’s behalf'],
    [counts.otherKeys, 'with keys that the trail does not know'],
    [counts.outside, 'outside the time that both cover'],
  ]
  const shown = rows.filter(([count], at) => count > 0 || at < 4)
  const width = Math.max(...shown.map(([count]) => String(count).length))
  return shown.map(([count, says]) => [`  ${String(count).padStart(width)}`, says])
}

function describe({ kind, says, ours, theirs }: Finding): string {
  const facts = [
    ours && `entry ${ours.eventID}`,
    theirs && `event ${theirs.eventID}`,
    (theirs?.requestId ?? ours?.requestId) && `request ${theirs?.requestId ?? ours?.requestId}`,
    theirs?.sourceIPAddress && `from ${theirs.sourceIPAddress}`,
    theirs?.userAgent && `with ${theirs.userAgent}`,
  ].filter((fact) => fact !== undefined)
  return `${kind}: ${visible(says)}\n  ${visible(facts.join(', '))}`
}
