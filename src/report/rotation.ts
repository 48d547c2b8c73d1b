/** Rotation of one key against its policy, as the trail tells both. */
import { rotationDueAt } from '../model/rotation.ts'
import { defined } from './exports.ts'
import { countOf, type Fact, momentText, textOf } from './fact.ts'
import type { ReviewedRotation } from './review.ts'
import { type Newest, newestOf } from './rows.ts'

export interface KeyRotation {
  take(fact: Fact): void
  /** `status` of the key; `to`, ms: up to when it is reviewed. */
  told(status: string | undefined, to: number): ReviewedRotation
  /** Whether a rotation failed in the time reviewed, and none succeeded after it. */
  readonly hasFailed: boolean
}

interface State {
  enabled: boolean | undefined
  periodInDays: number | undefined
  /** When versions were made, oldest first; the newest few. */
  versions: number[]
  lastRotatedAt: number | undefined
  /** Since when a rotation could have come by itself: the policy was set, or the key made active. */
  since: number
  /** The service rotates it by itself, and no entry says so. */
  isElsewhere: boolean
  isLate: boolean
  hasFailed: boolean
}

type Rotation = ReviewedRotation['rotations'][number]

const dayMs = 86_400_000
const mostVersions = 16
const mostRotations = 100

/** Of these providers the service rotates: a rotation leaves no entry, and what does not come cannot be told. */
const elsewhere: readonly unknown[] = ['aws-kms', 'vault-transit']
/** Somebody else was faster, which is no failure of the rotation. */
const overtaken: readonly unknown[] = ['VERSION_CONFLICT']

export function rotationOf(): KeyRotation {
  const state: State = {
    ...{ enabled: undefined, periodInDays: undefined, versions: [], lastRotatedAt: undefined },
    ...{ since: Number.NEGATIVE_INFINITY, isElsewhere: false, isLate: false, hasFailed: false },
  }
  const rotations = newestOf<Rotation>(mostRotations)
  return {
    take(fact) {
      hear(state, fact)
      if (fact.within) list(state, rotations, fact)
    },
    told: (status, to) => toldOf(state, rotations, { status, to }),
    get hasFailed() {
      return state.hasFailed
    },
  }
}

function isRotation(action: string): boolean {
  return action === 'kms.rotate' || action === 'kms.rotate.scheduled'
}

function hear(state: State, fact: Fact): void {
  const { entry, at, action, outcome } = fact
  if (elsewhere.includes(entry.provider?.name)) state.isElsewhere = true
  if (outcome !== 'success') return
  // Of a change that recovery found done, the intent tells what was asked for.
  const told = entry.details ?? {}
  const details = told.recovered === true ? { ...fact.intent?.details, ...told } : told
  switch (action) {
    case 'kms_key.create': {
      const period = countOf(details.rotationPeriodInDays)
      state.enabled = flagOf(details.keyRotationEnabled) ?? period !== undefined
      state.periodInDays = period
      made(state, at)
      break
    }
    case 'kms_key.import':
      state.enabled = false
      made(state, at)
      break
    case 'kms_key.import_version':
      made(state, at)
      break
    case 'kms_key.update': {
      // Other settings are changed by the same action.
      const enabled = flagOf(details.keyRotationEnabled)
      if (enabled === undefined) break
      state.enabled = enabled
      state.periodInDays = countOf(details.rotationPeriodInDays) ?? state.periodInDays
      state.since = at
      break
    }
    case 'kms_key.enable':
    case 'kms_key.cancel_deletion':
      state.since = at
      break
    case 'kms.rotate':
    case 'kms.rotate.scheduled':
      if (action === 'kms.rotate.scheduled' && details.because === undefined) learn(state, textOf(details.dueAt))
      state.lastRotatedAt = at
      made(state, at)
      break
  }
}

function flagOf(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined
}

function made(state: State, at: number): void {
  state.versions = [...state.versions, at].slice(-mostVersions)
}

/** What rotates on schedule has a period, also when nothing else told it. */
function learn(state: State, dueAt: string | undefined): void {
  state.enabled ??= true
  const before = state.versions.at(-1)
  if (state.periodInDays !== undefined || before === undefined || dueAt === undefined) return
  const days = Math.round((Date.parse(dueAt) - before) / dayMs)
  if (days > 0) state.periodInDays = days
}

function list(state: State, rotations: Newest<Rotation>, { entry, at, action, outcome }: Fact): void {
  if (!isRotation(action)) return
  rotations.add({ at: momentText(at), action, outcome, eventID: textOf(entry.eventID) ?? '' })
  if (outcome === 'success') state.hasFailed = false
  else if (!overtaken.includes(entry.error)) state.hasFailed = true
  if (outcome === 'success' && (countOf(entry.details?.latenessMs) ?? 0) > dayMs) state.isLate = true
}

interface Moment {
  readonly status: string | undefined
  readonly to: number
}

function toldOf(state: State, rotations: Newest<Rotation>, { status, to }: Moment): ReviewedRotation {
  const { enabled, periodInDays, lastRotatedAt } = state
  const isOff = enabled === false || (status !== undefined && status !== 'active')
  const dueAt = isOff || enabled !== true ? undefined : dueOf(state, to)
  return defined({
    enabled,
    periodInDays,
    lastRotatedAt: lastRotatedAt === undefined ? undefined : momentText(lastRotatedAt),
    dueAt: dueAt === undefined ? undefined : momentText(dueAt),
    state: isOff ? ('off' as const) : dueAt === undefined ? ('unknown' as const) : stateAt(state, dueAt, to),
    rotations: rotations.items,
  })
}

function dueOf({ versions, periodInDays }: State, to: number): number | undefined {
  if (periodInDays === undefined) return undefined
  const dueAt = rotationDueAt({ createdAt: versions, periodMs: periodInDays * dayMs }, to)
  // Beyond what a date can be, of an entry that was tampered with.
  return dueAt === undefined || Math.abs(dueAt) > 8.64e15 ? undefined : dueAt
}

function stateAt({ since, isLate, isElsewhere }: State, dueAt: number, to: number): ReviewedRotation['state'] {
  if (dueAt > to) return isLate ? 'late' : 'on time'
  if (isElsewhere) return 'unknown'
  return Math.max(dueAt, since) + dayMs <= to ? 'overdue' : 'late'
}
