/** `keytrail audit trace`: from the request over the secret to the KMS call, and what has no other end. */
import { type Correlation, correlate } from '../integrations/secrets-manager/correlate.ts'
import type { AuditEntry } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import { visible } from '../sinks/render.ts'
import { lineOfRead } from '../trail/reading/entry-line.ts'
import { readTrail } from '../trail/reading/read.ts'
import { momentOf } from './audit.ts'
import { type Command, type CommandLine, type ExitCode, usageError } from './command.ts'
import { homeOf } from './home.ts'
import { toJson } from './json.ts'
import { print } from './output.ts'

export const trace: Command = {
  verb: 'audit trace',
  operands: '[EVENTID] [TRAIL]',
  summary: 'from a request over a secret to its KMS call',
  details: `Joins the entries of a Secrets Manager with those of the KMS calls that it made. EVENTID is that of
either end, as answers and errors carry it; with --request, all that one request did. Without
them, or with --orphans, everything that lacks its other end: a KMS call for a secret of which no
entry tells, a value that was read or written without one. TRAIL is a trail's folder, the parent
of many, or an archive's file; DIR/audit if left out. Reading does not verify: audit verify does.
Exits with 1 if there are orphans, or nothing to what was asked for; calls that were under way
when the last entry was written, and those cut off by pruning or --since, are no orphans.
With --json, one line a call: {"kind","says","intent","secret","kms","amendments"}.`,
  examples: [
    'keytrail audit trace 019a8e5a-91c0-7f7a-a1d1-0c8f1de4f5a4',
    'keytrail audit trace --request 5d1c9a audit',
    'keytrail audit trace --orphans --since 7d',
  ],
  options: ['request', 'orphans', 'since', 'until', 'dir'],
  async run(line) {
    const asked = askedBy(line)
    const write = line.flag('json') ? printJson : printWords
    const filter = { action: ['secret.*', 'kms.*', 'audit.*'], ...spanOf(line) }
    let orphans = 0
    let found = 0
    for await (const call of correlate(readTrail(asked.trail, filter))) {
      if (!asked.wants(call)) continue
      found += 1
      if (call.kind === 'orphan') orphans += 1
      if (!(await write(call))) return 0
    }
    return conclude(line, { asked, found, orphans })
  },
}

interface Asked {
  readonly trail: string
  /** For its orphans, not for one call. */
  readonly forOrphans: boolean
  readonly wants: (call: Correlation) => boolean
}

function askedBy(line: CommandLine): Asked {
  const [first, second] = line.operands
  const isEvent = first !== undefined && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(first)
  if (!isEvent && second !== undefined)
    throw usageError('EVENTID stands before TRAIL, and is what answers and entries carry')
  const trail = (isEvent ? second : first) ?? homeOf(line).audit
  const request = line.text('request')
  if ([isEvent, request !== undefined, line.flag('orphans')].filter(Boolean).length > 1)
    throw usageError('EVENTID, --request and --orphans ask for different things: give one')
  if (isEvent) return { trail, forOrphans: false, wants: (call) => isOf(call, first.toLowerCase()) }
  if (request !== undefined)
    return { trail, forOrphans: false, wants: ({ request: { context } }) => context?.requestId === request }
  return { trail, forOrphans: true, wants: ({ kind }) => kind !== 'chain' }
}

/** Whether one of its entries has this id, or names it. */
function isOf({ intent, secret, kms, amendments }: Correlation, id: string): boolean {
  const entries = [intent, secret, kms, ...amendments].filter((entry) => entry !== undefined)
  return entries.some(({ eventID, operationID, origin, details }) => {
    const names = [eventID, operationID, details?.kmsEventID]
    return names.includes(id) || (entries.length === 1 && origin?.eventID === id)
  })
}

function spanOf(line: CommandLine) {
  const [from, to] = [momentOf(line, 'since'), momentOf(line, 'until')]
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
}

interface Findings {
  readonly asked: Asked
  readonly found: number
  readonly orphans: number
}

async function conclude(line: CommandLine, { asked, found, orphans }: Findings): Promise<ExitCode> {
  if (!asked.forOrphans && found === 0)
    throw new KmsError('INVALID_INPUT', 'no call of a Secrets Manager has such an entry, or came of such a request')
  if (asked.forOrphans && !line.flag('json'))
    await print(orphans === 0 ? 'no orphans\n' : `${orphans} ${orphans === 1 ? 'orphan' : 'orphans'}\n`)
  return orphans === 0 ? 0 : 1
}

async function printJson({ kind, says, intent, secret, kms, amendments }: Correlation): Promise<boolean> {
  const entries = { intent, secret, kms }
  const told = Object.entries(entries).map(([name, entry]) =>
    entry === undefined ? '' : `,"${name}":${lineOfRead(entry)}`,
  )
  const words = says === undefined ? '' : `,"says":${toJson(says)}`
  return print(
    `{"kind":${toJson(kind)}${words}${told.join('')},"amendments":[${amendments.map(lineOfRead).join(',')}]}\n`,
  )
}

async function printWords(call: Correlation): Promise<boolean> {
  const { kind, says, intent, secret, kms, amendments } = call
  const lines = [
    ...(kind === 'chain' ? [] : [`${kind}: ${visible(says)}`]),
    `request  ${requestOf(call)}`,
    ...[secret ?? intent, kms].flatMap((entry) => (entry === undefined ? [] : [wordsOf(entry)])),
    ...amendments.map((entry) => `withheld ${visible(entry.details?.amends)}: its result was not released`),
  ]
  return print(`${lines.join('\n')}\n\n`)
}

/** Who asked, from where and with what; whatever of it is known. */
function requestOf({ request: { actor, context = {}, origin, reason } }: Correlation): string {
  const { method, route, requestId, traceparent, clientIp, peerIp, userAgent } = context
  const parts = [
    [method, route].filter((part) => part !== undefined).join(' '),
    requestId && `request ${requestId}`,
    traceparent && `trace ${traceparent}`,
    actor && `by ${[actor.type, actor.id].filter((part) => part !== undefined).join(' ')}`,
    clientIp && `from ${clientIp}`,
    peerIp && `through ${peerIp}`,
    userAgent && `with ${userAgent}`,
    origin && `for ${[origin.service, origin.eventID].filter((part) => part !== undefined).join(' ')}`,
    reason && `because ${[reason.code, reason.ticket].filter((part) => part !== undefined).join(' ')}`,
  ]
  return visible(parts.filter((part) => part !== undefined && part !== '').join(', ')) || 'nothing is known of it'
}

function wordsOf(entry: AuditEntry): string {
  const { action, phase, outcome, error, keySlug, keyVersion, resourceIdentity, origin, details = {} } = entry
  const isSecret = action.startsWith('secret.')
  const key = keySlug === undefined ? undefined : `key ${keySlug}${keyVersion === undefined ? '' : ` v${keyVersion}`}`
  const words = [
    entry.createdAt,
    action,
    `${phase === 'intent' ? 'intent' : outcome}${error === undefined ? '' : `: ${error}`}`,
    isSecret ? resourceIdentity : origin?.resource && `for ${origin.resource}`,
    isSecret && details.secretVersion !== undefined ? `version ${details.secretVersion}` : undefined,
    key,
    details.rule && `rule ${details.rule}`,
    details.decryptFailure,
    entry.eventID,
  ]
  return `${isSecret ? 'secret ' : 'kms    '}  ${visible(words.filter((word) => word !== undefined && word !== '').join('  '))}`
}
