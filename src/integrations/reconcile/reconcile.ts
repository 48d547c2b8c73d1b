/** Our trail against AWS' own record of the same keys: what only one side saw, and where the two differ. */
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import { differ, disagreement, notesOf, onlyOurs, onlyTheirs, repeatedRequest } from './findings.ts'
import { kindOf } from './names.ts'
import { isInconclusive, type OurCall, ourSide } from './ours.ts'
import { commonRange } from './range.ts'
import { type Finding, inOrder, type Reconciliation, type ServiceUse, timeText } from './report.ts'
import { mayHaveMore, roomFor } from './room.ts'
import { readRecord, type TheirEvent } from './theirs.ts'

export interface ReconcileOptions {
  /** How entries name the provider that is AWS KMS; `aws-kms` and `migrating` by default. */
  readonly providers?: readonly string[]
  /** Keys besides those of the entries: ids, ARNs, or aliases. A key that was never used through keytrail, say. */
  readonly keys?: readonly string[]
  /** ARNs of roles that only keytrail holds: what they do is looked for in the trail whatever key it is with. */
  readonly roles?: readonly string[]
  /**
   * What both sides are known to cover, from (inclusive) … to (exclusive). By default from the later of the two first records to the
   * earlier of the two last ones, narrowed by `windowMs`; for calls that AWS lacks, by `delayMs` as well.
   */
  readonly from?: Date
  readonly to?: Date
  /** How far the two clocks may be apart, ms; 300,000 by default: AWS takes no request that was signed further off. */
  readonly windowMs?: number
  /** How late CloudTrail delivers, ms; 900,000 by default. */
  readonly delayMs?: number
  /** Requests that a call makes at most where its entry does not tell: 3 by default, as the SDK does. */
  readonly attempts?: number
  /** Findings that are given in full; 1,000 by default. All are counted. */
  readonly limit?: number
}

/**
 * Compares entries, as `readTrail` gives them or bare, with records of CloudTrail, as `readCloudTrail` gives them. Both in any order.
 *
 * A call and an event belong together by the request id, which AWS gives and the entry keeps. A call that was sent again has the id
 * of its last attempt: up to `attempts − 1` other events of the same action and key, from its beginning to its end, are its own too.
 * Entries without a request id (cut off, recovered, refused by AWS on the way to another provider) are matched by action, key and time,
 * one event each. Two records that name different requests are never taken for one another.
 *
 * Not findings, but counted: what was refused before it was sent; what ended without an answer; failures that CloudTrail did not
 * keep; reads (`DescribeKey`, `ListAliases` …, by whomever); AWS KMS' own doing (automatic rotation); AWS services on someone's behalf;
 * other keys; and what lies outside the time that both sides cover. The tail of the trail is always such a time: give `to` if you know
 * better, or keep the heartbeat on.
 *
 * It holds our side in memory, and of theirs the event ids and what is unexplained: some 600 MB for a million of each. Errors:
 * `INVALID_INPUT` for a record that is none or a wrong option; whatever the two iterables throw.
 *
 * @example
 * ```ts
 * const { agrees, findings } = await reconcile(readTrail('./audit'), readCloudTrail(['./cloudtrail']))
 * for (const { kind, says } of findings) console.log(kind, says)
 * ```
 */
export async function reconcile(
  ours: AsyncIterable<AuditEntry | { readonly entry: AuditEntry }>,
  theirs: AsyncIterable<unknown>,
  options: ReconcileOptions = {},
): Promise<Reconciliation> {
  const settings = checked(options)
  const side = ourSide(settings)
  for await (const given of ours) side.add('entry' in given ? given.entry : given)
  side.end()

  const learned = new Map<string, string>()
  const findings: Finding[] = []
  const counts = {
    matched: 0,
    matchedByTime: 0,
    retries: 0,
    companions: 0,
    notArrived: 0,
    failuresNotKept: 0,
    outside: 0,
  }

  function isOurs({ keys, role, principal }: TheirEvent): boolean {
    if (settings.roles.has(role ?? '') || settings.roles.has(principal ?? '')) return true
    return keys.some(({ id = '', alias = '' }) => side.ids.has(id) || side.aliases.has(alias))
  }

  /** True if an entry names the event's request. */
  function pair(event: TheirEvent): boolean {
    const call = event.requestId === undefined ? undefined : side.byRequest.get(event.requestId)
    if (call === undefined) return false
    // Told in two accounts, it is one request with two events.
    if (call.event !== undefined) return true
    call.event = mayHaveMore(call) ? { eventName: event.eventName, at: event.at } : nothingMore
    counts.matched += 1
    const id = event.keys.find((key) => key.id !== undefined)?.id
    if (call.key.alias !== undefined && id !== undefined) learned.set(call.key.alias, id)
    const about = differ(call, event)
    if (about !== undefined) findings.push(disagreement(about, call, event))
    return true
  }

  const sifted = await sift(theirs, { pair, isOurs })
  const range = commonRange(settings, side, sifted)
  const room = roomFor(side, { learned, windowMs: settings.windowMs })
  const taken = new Set<OurCall>()
  let unknown = 0
  for (const event of sifted.unexplained) {
    const slot = room.take(event)
    if (slot !== undefined) {
      counts[slot.as === 'call' && taken.has(slot.owner) ? 'retries' : countOf[slot.as]] += 1
      if (slot.as === 'call') taken.add(slot.owner)
    } else if (!isOurs(event)) unknown += 1
    else if (range !== undefined && event.at >= range.from && event.at < range.to) findings.push(onlyTheirs(event))
    else counts.outside += 1
  }

  for (const calls of [side.byRequest.values(), side.unnamed]) {
    for (const call of calls) {
      if (call.event !== undefined || taken.has(call)) continue
      if (!call.arrived || isInconclusive(call.error)) counts.notArrived += 1
      else if (call.ok === false) counts.failuresNotKept += 1
      else if (range !== undefined && call.at >= range.from && call.at < range.complete) findings.push(onlyOurs(call))
      else counts.outside += 1
    }
  }
  for (const call of side.repeated) findings.push(repeatedRequest(call))

  const { events, uses, reads, byAws, byServices, otherKeys, services } = sifted
  const count = (kind: Finding['kind']) => findings.filter((finding) => finding.kind === kind).length
  return {
    ...(range !== undefined && { range: { from: timeText(range.from), to: timeText(range.to) } }),
    agrees: range !== undefined && findings.length === 0,
    counts: {
      calls: side.calls,
      events,
      ...counts,
      notSent: side.notSent,
      reads,
      byAws,
      byServices,
      otherKeys: otherKeys + unknown,
      onlyTheirs: count('only-theirs'),
      onlyOurs: count('only-ours'),
      disagreements: count('disagreement'),
    },
    findings: inOrder(findings).slice(0, settings.limit),
    services,
    notes: notesOf({ compared: range !== undefined, events, uses, calls: side.calls }),
  }
}

const nothingMore = { eventName: '', at: 0 } as const

const countOf = { call: 'matchedByTime', retry: 'retries', companion: 'companions' } as const

interface Sifting {
  /** True for an event that an entry names. */
  readonly pair: (event: TheirEvent) => boolean
  readonly isOurs: (event: TheirEvent) => boolean
}

/** Reads all of their side once; keeps what is of our keys, or of no key that is told, and that no entry names. */
async function sift(theirs: AsyncIterable<unknown>, { pair, isOurs }: Sifting) {
  const seen = new Set<string>()
  const unexplained: TheirEvent[] = []
  const services = new Map<string, ServiceUse>()
  const counts = { uses: 0, reads: 0, byAws: 0, byServices: 0, otherKeys: 0 }
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  let records = 0

  function sort(event: TheirEvent): void {
    const kind = kindOf(event.eventName)
    if (kind === 'use') counts.uses += 1
    if (pair(event)) return
    if (event.isOwn) counts.byAws += 1
    else if (kind === 'read') counts.reads += 1
    else if (event.keys.length > 0 && !isOurs(event)) counts.otherKeys += 1
    else if (event.service !== undefined) byService(event, event.service)
    else unexplained.push(event)
  }

  function byService({ eventName, key, principal }: TheirEvent, service: string): void {
    counts.byServices += 1
    const name = JSON.stringify([service, eventName, key, principal])
    const use = { service, eventName, ...(key !== undefined && { key }), ...(principal !== undefined && { principal }) }
    services.set(name, { ...use, calls: (services.get(name)?.calls ?? 0) + 1 })
  }

  const where = () => `record ${records}`
  for await (const record of theirs) {
    records += 1
    const event = readRecord(record, where)
    // A file may be delivered twice, and an event stand in the exports of two trails.
    if (event === undefined || seen.has(event.eventID)) continue
    seen.add(event.eventID)
    first = Math.min(first, event.at)
    last = Math.max(last, event.at)
    sort(event)
  }
  unexplained.sort((a, b) => a.at - b.at || (a.eventID < b.eventID ? -1 : 1))
  const sorted = [...services].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, use]) => use)
  return { ...counts, events: seen.size, first, last, unexplained, services: sorted }
}

interface Settings {
  readonly providers: readonly string[]
  readonly keys: readonly string[]
  readonly roles: ReadonlySet<string>
  readonly from: number | undefined
  readonly to: number | undefined
  readonly windowMs: number
  readonly delayMs: number
  readonly attempts: number
  readonly limit: number
}

function checked(options: ReconcileOptions): Settings {
  if (typeof options !== 'object' || options === null) refuse('the options must be an object')
  const { providers = ['aws-kms', 'migrating'], keys = [], roles = [], from, to } = options
  const { windowMs = 300_000, delayMs = 900_000, attempts = 3, limit = 1000 } = options
  for (const [name, list] of Object.entries({ providers, keys, roles }))
    if (!Array.isArray(list) || !list.every((text) => typeof text === 'string' && text !== ''))
      refuse(`'${name}' must be a list of texts`)
  for (const [name, count] of Object.entries({ windowMs, delayMs, attempts, limit }))
    if (!Number.isSafeInteger(count) || count < 0) refuse(`'${name}' must be a whole number of 0 or more`)
  for (const [name, date] of Object.entries({ from, to }))
    if (date !== undefined && !(date instanceof Date && !Number.isNaN(date.getTime())))
      refuse(`'${name}' must be a Date`)
  const [start, end] = [from?.getTime(), to?.getTime()]
  return { providers, keys, roles: new Set(roles), from: start, to: end, windowMs, delayMs, attempts, limit }
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
