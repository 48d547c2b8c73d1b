/** One run: looks at the keys once, and rotates and destroys what is due, one after another. */
import { type Called, insideOf, KmsClient } from '../../client.ts'
import type { Clock } from '../../model/clock.ts'
import type { RequestContext } from '../../model/context.ts'
import { asKmsError } from '../../model/dispatch.ts'
import { KmsError, type KmsErrorCode } from '../../model/errors.ts'
import type { Key } from '../../model/key.ts'
import { type Due, type DueOperation, datedAhead, dueDestructions, dueRotations } from './due.ts'
import { type LeftOut, leftOutOf } from './left-out.ts'

export interface RotationRunOptions {
  /**
   * Who rotates, and why: by default the actor `{ type: 'system', id: 'keytrail-rotation' }` and the reason
   * `{ code: 'schedule' }`, field by field, also over what is bound to the client.
   */
  readonly context?: RequestContext
  /** Also destroy keys whose pending window is over: `true` by default. */
  readonly destroyDueKeys?: boolean
  /** Within which each call settles, ms: 60,000 by default, since an RSA-4096 key takes seconds to make. */
  readonly deadlineMs?: number
}

/** What a run did. Holds nothing secret, and may be logged. */
export interface RotationRun {
  /** RFC 3339, UTC; by the wall clock. */
  readonly startedAt: string
  readonly durationMs: number
  readonly rotated: readonly Done<'rotateScheduled'>[]
  readonly destroyed: readonly Done<'destroyKey'>[]
  /** Another process or a person was faster, and nothing was left to do: no reason for an alarm. */
  readonly overtaken: readonly NotDone[]
  /** Each with its entry. Those with a `retryable` error are tried again soon, the others at the next turn. */
  readonly failed: readonly NotDone[]
  /** What this provider leaves to itself or to another process, and so was not tried. */
  readonly leftOut: readonly LeftOut[]
  /**
   * Keys whose newest version is dated more than a period ahead, because the clock was wrong when it was made, or is now. They
   * rotate when the newest version that is not falls due; one that has none wants `rotate` by hand, or a clock set right.
   */
  readonly ahead: readonly Key[]
  /**
   * Why the run could not go on, if it could not: the keys were not listed, `AUDIT_REFUSED` (from there on nothing was
   * changed), `CLOSED` (the client is closed, or the scheduler was stopped in the midst of it).
   */
  readonly error?: KmsError
}

/** The output of the call, with when it was due. */
export type Done<O extends DueOperation> = Called<O> & {
  readonly dueAt: string
  readonly latenessMs: number
}

export interface NotDone {
  readonly operation: DueOperation
  readonly key: Key
  readonly dueAt: string
  readonly error: KmsError
}

/** What a run needs; the same for every run of a scheduler. */
export interface Plan {
  /** With the context bound. */
  readonly kms: KmsClient
  readonly clock: Clock
  readonly operations: readonly DueOperation[]
  readonly leftOut: readonly LeftOut[]
  readonly deadlineMs: number
}

export interface Course {
  /** Asked before each key. */
  readonly halted: () => boolean
  /** What is not to be tried again yet: such keys stand in `failed` as they did. */
  readonly earlier: readonly NotDone[]
}

/**
 * One run by hand: for cron, a serverless timer, a command. {@link startRotationScheduler} makes one each hour.
 *
 * Resolves whatever happens, to what was done: look at `error` and `failed`. A key that missed several periods is rotated
 * once, and its next period counts from now. Several at once, in any number of processes, rotate each key once.
 *
 * Errors: `INVALID_INPUT` for a wrong option.
 *
 * @example
 * ```ts
 * const { rotated, failed, error } = await runRotation(kms)
 * ```
 */
export async function runRotation(kms: KmsClient, options: RotationRunOptions = {}): Promise<RotationRun> {
  return carryOut(planOf(kms, options), { halted: () => false, earlier: [] })
}

/** @throws KmsError `INVALID_INPUT` for a wrong option. */
export function planOf(kms: KmsClient, options: RotationRunOptions): Plan {
  if (!(kms instanceof KmsClient)) refuse('rotation needs a KmsClient')
  if (typeof options !== 'object' || options === null) refuse('rotation takes one object of options')
  const { context = {}, destroyDueKeys = true, deadlineMs = 60_000 } = options
  if (typeof context !== 'object' || context === null) refuse("'context' must be an object, such as { actor }")
  if (typeof destroyDueKeys !== 'boolean') refuse("'destroyDueKeys' must be true or false")
  if (!Number.isFinite(deadlineMs) || deadlineMs <= 0) refuse("'deadlineMs' must be a positive number of milliseconds")
  const { audit, provider } = insideOf(kms)
  const wanted: readonly DueOperation[] = destroyDueKeys ? ['rotateScheduled', 'destroyKey'] : ['rotateScheduled']
  const leftOut = leftOutOf(provider, wanted)
  return {
    kms: kms.with({ ...ownContext, ...context }),
    clock: audit.clock,
    operations: wanted.filter((operation) => leftOut.every((one) => one.operation !== operation)),
    leftOut,
    deadlineMs,
  }
}

const ownContext: RequestContext = {
  actor: { type: 'system', id: 'keytrail-rotation' },
  reason: { code: 'schedule' },
}

/** What a run has done so far. */
interface Tally {
  readonly rotated: Done<'rotateScheduled'>[]
  readonly destroyed: Done<'destroyKey'>[]
  readonly overtaken: NotDone[]
  readonly failed: NotDone[]
  ahead: readonly Key[]
}

/** Never rejects. */
export async function carryOut(plan: Plan, course: Course): Promise<RotationRun> {
  const { clock, leftOut } = plan
  const startedAt = new Date(clock.now()).toISOString()
  const begunAt = clock.monotonic()
  const tally: Tally = { rotated: [], destroyed: [], overtaken: [], failed: [], ahead: [] }
  const error = await workThrough(plan, course, tally)
  const durationMs = Math.round(clock.monotonic() - begunAt)
  return Object.freeze({ startedAt, durationMs, ...tally, leftOut, ...(error !== undefined && { error }) })
}

/** Resolves to why it could not go on, if it could not. */
async function workThrough(plan: Plan, course: Course, tally: Tally): Promise<KmsError | undefined> {
  const { kms, clock, operations, deadlineMs } = plan
  // Where there is nothing that could be done, an entry each hour that says so helps nobody.
  if (operations.length === 0) return undefined
  try {
    const { keys } = await kms.listKeys({}, { deadlineMs })
    const now = clock.now()
    if (operations.includes('rotateScheduled')) tally.ahead = datedAhead(keys, now)
    for (const due of operations.flatMap((operation): readonly Due[] => dueFor[operation](keys, now))) {
      if (course.halted()) return new KmsError('CLOSED', 'stopped before all that is due was done')
      const known = course.earlier.find(({ operation, key }) => isSame(due, operation, key))
      if (known === undefined) await settle(plan, due, tally)
      else tally.failed.push(known)
    }
    return undefined
  } catch (error) {
    return asKmsError(error)
  }
}

const dueFor = { rotateScheduled: dueRotations, destroyKey: dueDestructions } as const

function isSame(due: Due, operation: DueOperation, key: Key): boolean {
  return due.operation === operation && due.key.identity === key.identity
}

/** One key, whose failure does not touch the others; what would fail all of them alike is thrown. */
async function settle(plan: Plan, due: Due, tally: Tally): Promise<void> {
  const { kms, clock, deadlineMs } = plan
  const { operation, key } = due
  const { dueAt } = due.input
  const late = { dueAt, latenessMs: Math.max(0, clock.now() - Date.parse(dueAt)) }
  try {
    if (due.operation === 'rotateScheduled')
      tally.rotated.push({ ...(await kms.call('rotateScheduled', due.input, { deadlineMs })), ...late })
    else tally.destroyed.push({ ...(await kms.call('destroyKey', due.input, { deadlineMs })), ...late })
  } catch (cause) {
    const error = asKmsError(cause)
    if (error.code === 'AUDIT_REFUSED' || error.code === 'CLOSED') throw error
    const lost = lostRace[operation].includes(error.code)
    tally[lost ? 'overtaken' : 'failed'].push({ operation, key, dueAt, error })
  }
}

/** What a key says that was due when the keys were listed, and is not any more. */
const lostRace: { readonly [O in DueOperation]: readonly KmsErrorCode[] } = {
  rotateScheduled: ['VERSION_CONFLICT', 'KEY_NOT_FOUND', 'KEY_NOT_ACTIVE'],
  destroyKey: ['VERSION_CONFLICT', 'KEY_NOT_FOUND'],
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
