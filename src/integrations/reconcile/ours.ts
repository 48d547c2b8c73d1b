/** Our side: what is kept of each entry until the other side is read, about 300 bytes for a call that was sent. */
import type { AuditEntry } from '../../model/entry.ts'
import type { KmsErrorCode } from '../../model/errors.ts'
import { type NamedKey, namedKey } from './key-names.ts'
import type { TheirEvent } from './theirs.ts'

/** A call that AWS has seen, or may have seen. */
export interface OurCall {
  readonly eventID: string
  readonly action: string
  readonly key: NamedKey
  /** As the entry names it. */
  readonly keyName: string | undefined
  /** When it ended, and when it began at the latest: ms since the epoch, by our clock. */
  readonly at: number
  readonly since: number
  readonly requestId: string | undefined
  /** Undefined: nobody can tell. */
  readonly ok: boolean | undefined
  /** Of a failure that is no answer of AWS, it may have been done all the same. */
  readonly error: KmsErrorCode | undefined
  /** Requests that it may have made. */
  readonly requests: number
  /** Many refusals in one entry, which names the request of one of them. */
  readonly isJoined: boolean
  /** Whether AWS must have seen it; else it may have ended before anything arrived there. */
  readonly arrived: boolean
  /** The event that names the same request, once it was met: of a call that may have caused others its name and time, of others no more. */
  event: MatchedEvent | undefined
}

export type MatchedEvent = Pick<TheirEvent, 'eventName' | 'at'>

export interface OurSide {
  add(entry: AuditEntry): void
  /** To be called after the last: intents that have no result. */
  end(): void
  readonly byRequest: ReadonlyMap<string, OurCall>
  /** Calls without a request id that AWS has seen or may have seen. */
  readonly unnamed: readonly OurCall[]
  /** Of each call, what it asked of AWS on its way to the answer of another provider. */
  readonly asides: readonly OurCall[]
  /** Entries that name a request which another entry has named. */
  readonly repeated: readonly OurCall[]
  readonly ids: ReadonlySet<string>
  readonly aliases: ReadonlySet<string>
  /** ms since the epoch, of entries of any kind. */
  readonly first: number
  readonly last: number
  readonly entries: number
  readonly calls: number
  /** Refused before anything was sent. */
  readonly notSent: number
}

/** Ends of a call that say nothing of what AWS has done. */
const inconclusive: ReadonlySet<string> = new Set([
  'DEADLINE_EXCEEDED',
  'ABORTED',
  'PROVIDER_UNAVAILABLE',
  'THROTTLED',
  'OUTCOME_UNAUDITED',
  'INTERNAL',
])

export function isInconclusive(error: KmsErrorCode | undefined): boolean {
  return error !== undefined && inconclusive.has(error)
}

/** Whoever refused a ciphertext has seen it; of several that did, the entry names none. */
function mayHaveArrived({ arrived, ok, error }: OurCall, attempts: number | undefined): boolean {
  return arrived || ok !== false || isInconclusive(error) || error === 'INVALID_CIPHERTEXT' || (attempts ?? 0) > 0
}

export interface OurSideOptions {
  /** Names of the providers that are AWS KMS, in entries. */
  readonly providers: readonly string[]
  /** Keys besides those of the entries. */
  readonly keys: readonly string[]
  /** Requests of a call whose entry does not tell their number, at most. */
  readonly attempts: number
}

export function ourSide({ providers, keys, attempts }: OurSideOptions): OurSide {
  const byRequest = new Map<string, OurCall>()
  const unnamed: OurCall[] = []
  const asides: OurCall[] = []
  const repeated: OurCall[] = []
  const intents = new Map<string, OurCall>()
  const ids = new Set<string>()
  const aliases = new Set<string>()
  const texts = new Map<string, string>()
  const names = new Map<string, NamedKey>()
  const own = new Set(providers)
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  let [entries, calls, notSent] = [0, 0, 0]
  let lastID = ''
  for (const key of keys) know(/[:/-]/.test(key) ? namedKey(key) : { alias: key })

  /** One string for all entries that say the same. */
  function shared(text: string): string {
    const known = texts.get(text)
    if (known === undefined) texts.set(text, text)
    return known ?? text
  }

  function know({ id, alias }: NamedKey): void {
    if (id !== undefined) ids.add(id)
    if (alias !== undefined) aliases.add(alias)
  }

  function keyOf(identity: string | undefined, slug: string | undefined): NamedKey {
    const name = `${identity}\n${slug}`
    const known = names.get(name)
    if (known !== undefined) return known
    const { id, alias = slug } = namedKey(identity)
    const key = { ...(id !== undefined && { id }), ...(alias !== undefined && { alias }) }
    names.set(name, key)
    return key
  }

  function keep(call: OurCall): void {
    if (call.requestId === undefined) unnamed.push(call)
    else if (!byRequest.has(call.requestId)) byRequest.set(call.requestId, call)
    else if (byRequest.get(call.requestId)?.eventID !== call.eventID) repeated.push(call)
  }

  function callOf(entry: AuditEntry): OurCall {
    const { eventID, action, resourceIdentity, keySlug, outcome, error, provider, durationMs = 0, details } = entry
    const end = Date.parse(details?.lastAt ?? entry.createdAt)
    const intent = entry.operationID === undefined ? undefined : intents.get(entry.operationID)
    const begun = Date.parse(details?.firstAt ?? entry.createdAt) - durationMs
    const told = provider?.attempts
    const ok = outcome === 'success' ? true : outcome === 'failure' ? false : undefined
    return {
      eventID,
      action: shared(action),
      key: keyOf(resourceIdentity, keySlug),
      keyName: resourceIdentity === undefined ? undefined : shared(resourceIdentity),
      at: end,
      since: Math.min(begun, intent?.since ?? begun),
      requestId: provider?.requestId,
      ok,
      error,
      requests: (told ?? (isInconclusive(error) || ok === undefined ? attempts : 1)) * (details?.joined ?? 1),
      isJoined: details?.joined !== undefined,
      arrived: provider?.requestId !== undefined || outcome === 'success',
      event: undefined,
    }
  }

  function aside(call: OurCall, flags: readonly string[]): void {
    const rest = { ...call, requestId: undefined, error: undefined, requests: 1, arrived: false }
    for (const name of own) {
      if (flags.includes(`opened_by.${name}`)) asides.push({ ...rest, ok: true })
      // By a key of its own of which the entry tells nothing.
      if (flags.includes(`refused_by.${name}`)) asides.push({ ...rest, key: {}, ok: false })
    }
  }

  return {
    add(entry) {
      const at = Date.parse(entry.createdAt)
      // In a trail and its spare the same entry stands twice, and merged one after the other.
      if (entry.eventID === lastID || Number.isNaN(at)) return
      lastID = entry.eventID
      entries += 1
      first = Math.min(first, at)
      last = Math.max(last, at)
      if (!entry.action.startsWith('kms')) return
      const { phase, operationID, provider, details } = entry
      if (phase === 'amendment') return
      const call = callOf(entry)
      if (phase === 'result') {
        if (operationID !== undefined) intents.delete(operationID)
        aside(call, details?.flags ?? [])
      }
      if (!own.has(provider?.name ?? '')) return
      know(call.key)
      const second = details?.destinationKey
      if (second !== undefined) know(keyOf(second.identity, second.slug))
      if (phase === 'intent') {
        if (operationID !== undefined) intents.set(operationID, { ...call, ok: undefined, arrived: false })
        return
      }
      calls += 1
      if (mayHaveArrived(call, provider?.attempts)) keep(call)
      else notSent += 1
    },
    end() {
      for (const intent of intents.values()) unnamed.push(intent)
      intents.clear()
    },
    byRequest,
    unnamed,
    asides,
    repeated,
    ids,
    aliases,
    get first() {
      return first
    },
    get last() {
      return last
    },
    get entries() {
      return entries
    },
    get calls() {
      return calls
    },
    get notSent() {
      return notSent
    },
  }
}
