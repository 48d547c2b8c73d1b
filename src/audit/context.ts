/**
 * What a caller says about a call, made ready for entries once: checked, capped, held to the field policy and frozen,
 * so that the thousand calls that share a bound context share its objects and their text.
 */
import type { Actor, Origin, Reason, RequestContext } from '../model/context.ts'
import type { EntryActor, EntryContext, EntryOrigin, EntryReason } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import { normalizeIp } from '../model/ip.ts'
import { capText } from '../model/text.ts'
import type { Fields } from './fields.ts'

/** Most characters of a caller's texts in an entry. */
const caps = {
  actorID: 256,
  actorName: 128,
  userAgent: 256,
  requestId: 128,
  method: 16,
  route: 256,
  service: 64,
  eventID: 64,
  resource: 512,
  reason: 128,
} as const

export interface PreparedContext {
  /** A checked copy of what was said, uncut: what middleware sees. */
  readonly said: RequestContext
  readonly actor: EntryActor
  readonly context?: EntryContext
  readonly origin?: EntryOrigin
  readonly reason?: EntryReason
  /** What had to be dropped or cut for other reasons than its length. */
  readonly flags: readonly string[]
  /** Upper bound of what all this takes in an entry, bytes. */
  readonly maxBytes: number
}

/** W3C Trace Context §3.2: version, trace id, parent id, flags; all-zero ids and version ff are invalid. */
const traceparentPattern = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/**
 * Lays `later` over `earlier`, field by field, and prepares the whole. The actor's `source` is `call` if it comes from
 * `later`, which is what a single call said, else `context`.
 *
 * @throws KmsError `INVALID_INPUT` for a field of the wrong type; a wrong IP address or traceparent is only flagged.
 */
export function prepareContext(fields: Fields, earlier: RequestContext, later: RequestContext = {}): PreparedContext {
  const said = copyContext({ ...copyContext(earlier), ...copyContext(later) })
  const flags: string[] = []
  const source = later.actor === undefined ? 'context' : 'call'
  const context = entryContext(said, fields, flags)
  const origin = said.origin && entryOrigin(said.origin, fields)
  const reason = said.reason && entryReason(said.reason, fields)
  const actor = entryActor(said.actor, source, fields)
  return Object.freeze({
    said,
    actor,
    ...(context && { context }),
    ...(origin && { origin }),
    ...(reason && { reason }),
    flags,
    maxBytes: maxBytesOf(actor) + maxBytesOf(context) + maxBytesOf(origin) + maxBytesOf(reason),
  })
}

/** Escaped, a UTF-16 unit takes at most six bytes; a name and its punctuation less than 16. */
function maxBytesOf(texts: object = {}): number {
  return Object.values(texts).reduce<number>((sum, text: string) => sum + 16 + 6 * text.length, 0)
}

function entryActor(actor: Actor | undefined, source: 'context' | 'call', fields: Fields): EntryActor {
  if (actor === undefined) return unknownActor
  const id = fields.keep('actor.id', capText(actor.id, caps.actorID))
  const name = actor.name === undefined ? undefined : fields.keep('actor.name', capText(actor.name, caps.actorName))
  return Object.freeze({
    type: actor.type,
    ...(id !== undefined && { id }),
    ...(name !== undefined && { name }),
    source,
  })
}

const unknownActor: EntryActor = Object.freeze({ type: 'unknown' })

function entryContext(said: RequestContext, fields: Fields, flags: string[]): EntryContext | undefined {
  const out: { -readonly [F in keyof EntryContext]: EntryContext[F] } = {}
  keepIp('clientIp', 'client_ip_invalid')
  keepIp('peerIp', 'peer_ip_invalid')
  keepText('userAgent', said.userAgent)
  keepText('requestId', said.requestId)
  if (said.traceparent !== undefined) {
    if (traceparentPattern.test(said.traceparent)) keep('traceparent', fields.keep('traceparent', said.traceparent))
    else flags.push('traceparent_invalid')
  }
  keepText('method', said.method)
  if (said.route !== undefined) {
    // A query string may hold a secret; a template has none.
    const [route = '', ...query] = said.route.split(/[?#]/)
    if (query.length > 0) flags.push('route_query_dropped')
    keepText('route', route)
  }
  return Object.keys(out).length === 0 ? undefined : Object.freeze(out)

  function keepIp(name: 'clientIp' | 'peerIp', flag: string) {
    const text = said[name]
    if (text === undefined) return
    const ip = normalizeIp(text)
    if (ip === undefined) flags.push(flag)
    else keep(name, fields.ip(ip))
  }
  function keepText(name: 'userAgent' | 'requestId' | 'method' | 'route', text: string | undefined) {
    if (text !== undefined) keep(name, fields.keep(name, capText(text, caps[name])))
  }
  function keep(name: keyof EntryContext, value: string | undefined) {
    if (value !== undefined) out[name] = value
  }
}

function entryOrigin(origin: Origin, fields: Fields): EntryOrigin {
  const resource =
    origin.resource === undefined ? undefined : fields.keep('origin.resource', capText(origin.resource, caps.resource))
  return Object.freeze({
    service: capText(origin.service, caps.service),
    ...(origin.eventID !== undefined && { eventID: capText(origin.eventID, caps.eventID) }),
    ...(resource !== undefined && { resource }),
  })
}

function entryReason(reason: Reason, fields: Fields): EntryReason {
  const ticket =
    reason.ticket === undefined ? undefined : fields.keep('reason.ticket', capText(reason.ticket, caps.reason))
  return Object.freeze({ code: capText(reason.code, caps.reason), ...(ticket !== undefined && { ticket }) })
}

const actorTypes = ['user', 'serviceAccount', 'client', 'system']
const textFields = ['clientIp', 'peerIp', 'userAgent', 'requestId', 'traceparent', 'method', 'route'] as const

/**
 * A frozen copy of the known fields: what the caller does to its object afterwards changes nothing.
 *
 * @throws KmsError `INVALID_INPUT` for a field of the wrong type.
 */
export function copyContext(context: RequestContext): RequestContext {
  if (typeof context !== 'object' || context === null) refuse('context', 'an object')
  const copy: { -readonly [F in keyof RequestContext]: RequestContext[F] } = {}
  for (const name of textFields) {
    const value = context[name]
    if (value !== undefined) copy[name] = text(`context.${name}`, value)
  }
  const { actor, origin, reason } = context
  if (actor !== undefined) {
    if (typeof actor !== 'object' || actor === null || !actorTypes.includes(actor.type))
      refuse('context.actor', `{ type, id, name? } with a type of ${actorTypes.join(', ')}`)
    copy.actor = copyTexts('context.actor', actor, ['type', 'id', 'name?'])
  }
  if (origin !== undefined) copy.origin = copyTexts('context.origin', origin, ['service', 'eventID?', 'resource?'])
  if (reason !== undefined) copy.reason = copyTexts('context.reason', reason, ['code', 'ticket?'])
  return Object.freeze(copy)
}

/** A copy of the texts that `names` tells; those with a question mark may be absent. */
function copyTexts<T extends object>(name: string, value: T, names: readonly string[]): T {
  if (typeof value !== 'object' || value === null) refuse(name, `{ ${names.join(', ')} }`)
  const given = value as Readonly<Record<string, unknown>>
  const copy: Record<string, string> = {}
  for (const listed of names) {
    const field = listed.replace('?', '')
    if (given[field] !== undefined || field === listed) copy[field] = text(`${name}.${field}`, given[field])
  }
  // `names` lists the fields of T.
  return copy as T
}

function text(name: string, value: unknown): string {
  if (typeof value !== 'string' || value.length === 0) refuse(name, 'a string that is not empty')
  return value
}

function refuse(name: string, what: string): never {
  throw new KmsError('INVALID_INPUT', `'${name}' must be ${what}`)
}
