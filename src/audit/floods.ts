/**
 * Floods of refused calls: above a rate, refusals of one kind are joined into one entry that counts them, so that
 * nobody fills the disk by asking for what they may not have.
 */
import type { Clock } from '../model/clock.ts'
import type { EntryDetails } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import type { Deadlines } from './deadlines.ts'
import { type Draft, draftOf } from './draft.ts'

/**
 * Refusals are of one kind when action, key, actor and error are the same. In each window the first `perWindow` of a
 * kind have an entry each; the rest is one entry, written when the window ends, at `flush` and at `close`, with
 * `details.joined`, `firstAt` and `lastAt`. Its caller hears the error at once, with the `eventID` which that entry will
 * have; a crash loses the count of at most one window. Beyond 1,000 kinds in a window, or 1,000 such entries in a second
 * (or `perWindow`, if that is more), refusals are joined by action and error alone. Calls that succeed, and changes that
 * have an intent, are never joined.
 */
export interface FloodOptions {
  /** 100 by default; `Infinity`: an entry for every refusal. */
  readonly perWindow?: number
  /** 10,000 by default, an hour at most. */
  readonly windowMs?: number
}

export interface Floods {
  /** The `eventID` of the entry into which `refusal` is joined; undefined if it is to have its own. */
  join(refusal: Draft): string | undefined
  /** Writes what is joined so far. */
  tellAll(): void
}

export interface FloodsOptions {
  readonly rate: FloodOptions | undefined
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly reserveEventID: () => string
  readonly write: (draft: Draft) => void
}

/** Refusals of one kind, from the first one on. */
interface Window {
  readonly kind: string
  /** Monotonic clock. */
  readonly endsAt: number
  /** How many more may have entries of their own. */
  left: number
  joined: Joined | undefined
}

interface Joined {
  readonly eventID: string
  /** The first of them: it has what is common to all. */
  readonly like: Draft
  count: number
  /** Wall clock, ms since the epoch. */
  readonly firstAt: number
  lastAt: number
}

/** By kind; all last equally long, so the first to begin is the first to end. */
type Windows = Map<string, Window>

const maxKinds = 1000
const maxOwnPerSecond = 1000
const longestWindowMs = 3_600_000

/** @throws KmsError `INVALID_INPUT` that says which option is wrong. */
export function checkFloods(options: FloodOptions | undefined): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null) refuse('must be { perWindow?, windowMs? }')
  const { perWindow = 1, windowMs = 1 } = options
  const counts = Number.isSafeInteger(perWindow) || perWindow === Number.POSITIVE_INFINITY
  if (!counts || perWindow < 1) refuse('.perWindow must be a whole number from 1, or Infinity')
  if (!(windowMs > 0 && windowMs <= longestWindowMs)) refuse(`.windowMs must be above 0 and at most ${longestWindowMs}`)
}

export function createFloods({ rate = {}, clock, deadlines, reserveEventID, write }: FloodsOptions): Floods {
  const { perWindow = 100, windowMs = 10_000 } = rate
  const perSecond = Math.max(maxOwnPerSecond, perWindow)
  const windows: Windows = new Map()
  // For those that find no room above, by action and error: as many as there are of these.
  const broad: Windows = new Map()
  let secondEndsAt = Number.NEGATIVE_INFINITY
  let ownThisSecond = 0

  return {
    join(refusal) {
      if (perWindow === Number.POSITIVE_INFINITY) return undefined
      const now = clock.monotonic()
      endUntil(now)
      const kind = kindOf(refusal)
      const window = windows.get(kind) ?? (windows.size < maxKinds ? begin(windows, kind, now) : undefined)
      if (window?.left === 0) return joinInto(windows, window, refusal)
      if (window !== undefined && mayHaveOwn(now)) {
        window.left -= 1
        return undefined
      }
      const broadKind = broadKindOf(refusal)
      const wide = broad.get(broadKind) ?? begin(broad, broadKind, now)
      return joinInto(broad, wide, refusal)
    },
    tellAll() {
      for (const among of [windows, broad]) for (const window of among.values()) tell(among, window)
    },
  }

  function begin(among: Windows, kind: string, now: number): Window {
    const window = { kind, endsAt: now + windowMs, left: perWindow, joined: undefined }
    among.set(kind, window)
    return window
  }

  function mayHaveOwn(now: number): boolean {
    if (now >= secondEndsAt) {
      secondEndsAt = now + 1000
      ownThisSecond = 0
    }
    if (ownThisSecond === perSecond) return false
    ownThisSecond += 1
    return true
  }

  function joinInto(among: Windows, window: Window, refusal: Draft): string {
    const at = clock.now()
    if (window.joined === undefined) {
      window.joined = { eventID: reserveEventID(), like: refusal, count: 0, firstAt: at, lastAt: at }
      deadlines.after(window.endsAt - clock.monotonic(), () => end(among, window))
    }
    window.joined.count += 1
    window.joined.lastAt = at
    return window.joined.eventID
  }

  function endUntil(now: number): void {
    for (const among of [windows, broad]) {
      for (const window of among.values()) {
        if (window.endsAt > now) break
        end(among, window)
      }
    }
  }

  function end(among: Windows, window: Window): void {
    if (among.get(window.kind) === window) among.delete(window.kind)
    tell(among, window)
  }

  function tell(among: Windows, window: Window): void {
    const { joined } = window
    if (joined === undefined) return
    window.joined = undefined
    write(among === windows ? entryOfKind(joined) : entryOfBroad(joined))
  }
}

function kindOf(refusal: Draft): string {
  const { resourceIdentity, keySlug, keyType, actor } = refusal
  return JSON.stringify([broadKindOf(refusal), resourceIdentity, keySlug, keyType, actor?.type, actor?.id])
}

function broadKindOf({ action, error, region, project, provider }: Draft): string {
  return JSON.stringify([action, error, region, project, provider?.name])
}

/** What all refusals of one kind have in common, and how many there were. */
function entryOfKind(joined: Joined): Draft {
  const { like, eventID } = joined
  const { type, id } = like.actor ?? {}
  const draft = draftOf({
    action: like.action,
    phase: like.phase,
    resourceType: like.resourceType,
    resourceIdentity: like.resourceIdentity,
    outcome: like.outcome,
    statusCode: like.statusCode,
    error: like.error,
    region: like.region,
    project: like.project,
    keySlug: like.keySlug,
    keyType: like.keyType,
    actor: type && { type, ...(id !== undefined && { id }) },
    provider: like.provider && { name: like.provider.name },
    details: detailsOf(joined),
  })
  draft.eventID = eventID
  return draft
}

/** The same, of refusals that share action and error only. */
function entryOfBroad(joined: Joined): Draft {
  const { like, eventID } = joined
  const draft = draftOf({
    action: like.action,
    phase: like.phase,
    resourceType: like.resourceType,
    outcome: like.outcome,
    statusCode: like.statusCode,
    error: like.error,
    region: like.region,
    project: like.project,
    provider: like.provider && { name: like.provider.name },
    details: detailsOf(joined),
  })
  draft.eventID = eventID
  return draft
}

function detailsOf({ count, firstAt, lastAt }: Joined): EntryDetails {
  return { joined: count, firstAt: new Date(firstAt).toISOString(), lastAt: new Date(lastAt).toISOString() }
}

function refuse(problem: string): never {
  throw new KmsError('INVALID_INPUT', `audit.floods${problem.startsWith('.') ? '' : ' '}${problem}`)
}
