/** What a trail tells of how keys are to rotate, and of when they last did. */
import type { Seen } from './rule.ts'
import type { Tools } from './tools.ts'

export interface RotationPolicy {
  /** Slug, else identity. */
  name: string
  /** Days; 0: does not rotate by itself, or nothing is known of it. */
  period: number
  /** When the newest version was made, as far as the trail tells; ms. Of a key that was there before, when it was first told of. */
  base: number
  /** Whether `base` is the moment at which a version was made. */
  isMade: boolean
  /** When it last began to matter: the policy was set, or the key came into use again. Nothing is late before that; ms. */
  since: number
  isDisabled: boolean
  isPending: boolean
  /** `eventID` of the entry that `base` is from. */
  eventID: string
  /** Free for the rule: when it last told of the key. */
  told: number
}

export interface RotationPolicies {
  /** Takes an entry about a key; what it tells is known from then on. Undefined where nothing is known of the key. */
  take(seen: Seen): RotationPolicy | undefined
  /** Undefined where nothing is known of the key. */
  get(key: string): RotationPolicy | undefined
  /** Remembers a key that is used: it is there, though nobody tells since when. */
  used(seen: Seen, key: string): RotationPolicy
  entries(): IterableIterator<readonly [string, RotationPolicy]>
}

/** Actions that tell something of it. */
export const policyActions = [
  'kms_key.create',
  'kms_key.import',
  'kms_key.import_version',
  'kms_key.update',
  'kms_key.enable',
  'kms_key.disable',
  'kms_key.delete',
  'kms_key.cancel_deletion',
  'kms_key.destroy',
  'kms.rotate',
  'kms.rotate.scheduled',
] as const

type PolicyAction = (typeof policyActions)[number]

export const dayMs = 86_400_000
/** Of a key that is to rotate, and nobody says how often: the embedded KMS's own. */
const defaultDays = 365
export const longestDays = 3650
const maxKeys = 10_000

/** Keeps them in a table of the rule's own, named `keys`. */
export function rotationPolicies(tools: Tools): RotationPolicies {
  const cells = tools.table<RotationPolicy>('keys', { max: maxKeys, make: unknownPolicy })

  function named(seen: Seen, key: string): RotationPolicy {
    const cell = cells.of(key)
    cell.name = seen.keyName ?? key
    if (cell.eventID !== '') return cell
    cell.base = seen.at
    cell.since = seen.at
    cell.eventID = seen.entry.eventID
    return cell
  }

  return {
    get: (key) => cells.get(key),
    entries: () => cells.entries(),
    used: (seen, key) => cells.get(key) ?? named(seen, key),
    take(seen) {
      const { entry, key } = seen
      if (key === undefined || !isPolicyAction(entry.action)) return undefined
      if (entry.outcome !== 'success') return cells.get(key)
      if (entry.action === 'kms_key.destroy') {
        cells.delete(key)
        return undefined
      }
      const cell = named(seen, key)
      changes[entry.action](cell, seen)
      return cell
    },
  }
}

function isPolicyAction(action: string): action is PolicyAction {
  return policyActions.some((known) => known === action)
}

function unknownPolicy(): RotationPolicy {
  return {
    ...{ name: '', period: 0, base: 0, isMade: false, since: 0 },
    ...{ isDisabled: false, isPending: false, eventID: '', told: 0 },
  }
}

type Change = (cell: RotationPolicy, seen: Seen) => void

const changes: { readonly [A in Exclude<PolicyAction, 'kms_key.destroy'>]: Change } = {
  'kms_key.create'(cell, seen) {
    made(cell, seen)
    setPeriod(cell, seen)
  },
  'kms_key.import': made,
  'kms_key.import_version': made,
  'kms_key.update'(cell, seen) {
    if (seen.entry.details?.keyRotationEnabled === undefined) return
    setPeriod(cell, seen)
    cell.since = seen.at
  },
  'kms_key.enable'(cell, { at }) {
    if (cell.isDisabled) cell.since = at
    cell.isDisabled = false
  },
  'kms_key.disable'(cell) {
    cell.isDisabled = true
  },
  'kms_key.delete'(cell) {
    cell.isPending = true
  },
  'kms_key.cancel_deletion'(cell, { at }) {
    if (cell.isPending) cell.since = at
    cell.isPending = false
  },
  'kms.rotate': made,
  'kms.rotate.scheduled'(cell, seen) {
    inferPeriod(cell, seen)
    made(cell, seen)
  },
}

function made(cell: RotationPolicy, { at, entry }: Seen): void {
  cell.base = at
  cell.isMade = true
  cell.since = at
  cell.eventID = entry.eventID
  cell.told = 0
}

function setPeriod(cell: RotationPolicy, { entry }: Seen): void {
  const { rotationPeriodInDays: days, keyRotationEnabled = days !== undefined } = entry.details ?? {}
  const known = cell.period > 0 ? cell.period : defaultDays
  cell.period = keyRotationEnabled ? clamped(days ?? known) : 0
}

/** It fell due one period after the version before: so two of them tell the period of a key whose creation is not in the trail. */
function inferPeriod(cell: RotationPolicy, { entry }: Seen): void {
  const { dueAt, because = 'period' } = entry.details ?? {}
  if (cell.period > 0 || !cell.isMade || because !== 'period') return
  const days = (Date.parse(dueAt ?? '') - cell.base) / dayMs
  // Whole days, but for the time that the making took.
  if (Math.abs(days - Math.round(days)) < 0.01 && days > 0.5) cell.period = clamped(Math.round(days))
}

/** Of a trail that was tampered with it may be anything. */
function clamped(days: unknown): number {
  return typeof days === 'number' && days >= 1 ? Math.min(days, longestDays) : defaultDays
}
