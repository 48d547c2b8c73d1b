/** The Secrets Manager: its entries, and those of the KMS calls that it makes on its callers' behalf. */
import { draftOf } from '../../../src/audit/draft.ts'
import type { AuditEntry, EntryContext, EntryReason } from '../../../src/model/entry.ts'
import { errorCodes, type KmsErrorCode } from '../../../src/model/errors.ts'
import { record } from './calls.ts'
import type { KeyState, Project } from './keys.ts'
import type { Mark } from './mark.ts'
import type { Odds } from './odds.ts'
import { type Persona, region, type World } from './world.ts'

export interface Secret {
  readonly path: string
  readonly id: string
  readonly key: KeyState
  readonly project: Project
  version: number
  /** Version of the key that its current value is sealed with: rotation does not seal it anew. */
  sealedBy: number
  /** Bytes of its current value. */
  bytes: number
}

export interface Asking {
  readonly at: number
  readonly by: Persona
  readonly secret: Secret
  readonly context?: EntryContext
  readonly reason?: EntryReason
  readonly mark?: Mark | undefined
}

const service = 'secrets-manager'
const store = Object.freeze({ name: 'secret-files' })

export function newSecret(path: string, { key, odds }: { readonly key: KeyState; readonly odds: Odds }): Secret {
  const id = odds.text(32, '0123456789abcdef')
  const sealedBy = Math.max(1, key.latest - (odds.happens(0.5) ? 0 : odds.whole(1, 3)))
  return { path, id, key, project: key.project, version: odds.whole(1, 9), sealedBy, bytes: odds.whole(24, 220) }
}

/**
 * One decryption, and then the entry that a value was read. `only`: of the two, just one is there; `secret-naming-none` names a call
 * that was never made.
 */
export function readSecret(
  world: World,
  asking: Asking & { readonly only?: 'kms' | 'secret' | 'secret-naming-none' },
): void {
  const { at, by, secret, reason, mark, only } = asking
  const writer = world.writer('secrets')
  if (!writer.isOpen) return
  const context = asking.context ?? by.context(world.odds)
  const eventID = writer.reserve(at)
  const kms =
    only === 'secret' || only === 'secret-naming-none'
      ? undefined
      : record(world, {
          at,
          by,
          action: 'kms.decrypt',
          writer,
          ...(context && { context }),
          version: secret.sealedBy,
          ...ofSecret(secret, eventID),
          ...extras(asking),
        })
  if (only === 'kms') return
  const isDone = kms === undefined || kms.outcome === 'success'
  const kmsEventID = only === 'secret-naming-none' ? writer.reserve(at) : kms?.eventID
  const lasts = world.odds.whole(0, 2)
  world.agenda.at(at + lasts, (now) => {
    if (!writer.isOpen) return
    const draft = draftOf({
      ...told(secret, { by, context, reason }),
      action: 'secret.get_value',
      phase: 'result',
      outcome: isDone ? 'success' : 'failure',
      statusCode: kms?.statusCode ?? 200,
      error: kms?.error,
      keyVersion: isDone ? secret.sealedBy : undefined,
      details: { secretVersion: secret.version, ...(kmsEventID !== undefined && { kmsEventID }) },
      durationMs: lasts + 0.4,
    })
    draft.eventID = eventID
    // If the key was disabled, so is this somebody's doing.
    writer.write(draft, { at: now, mark, because: isDone ? undefined : secret.key.because })
  })
}

/** Its intent, one encryption, and what became of it. */
export function putSecret(world: World, asking: Asking): void {
  const { at, by, secret, reason, mark } = asking
  const writer = world.writer('secrets')
  if (!writer.isOpen) return
  const context = asking.context ?? by.context(world.odds)
  const operationID = writer.reserve(at)
  const common = { ...told(secret, { by, context, reason }), action: 'secret.put_value', operationID } as const
  const secretVersion = secret.version + 1
  const intent = draftOf({ ...common, phase: 'intent', outcome: 'pending', details: { secretVersion } })
  writer.write(intent, { at, mark })
  const bound = { ...secret, version: secretVersion }
  world.agenda.at(at + 1, (now) => {
    const said = { ...(context && { context }), ...extras(asking) }
    const kms = record(world, { at: now, by, action: 'kms.encrypt', writer, ...ofSecret(bound, operationID), ...said })
    if (kms !== undefined) world.agenda.at(now + 1, (later) => conclude(kms, later))
  })

  function conclude(kms: AuditEntry, now: number): void {
    if (!writer.isOpen) return
    const isDone = kms.outcome === 'success'
    if (isDone) {
      secret.version = secretVersion
      secret.sealedBy = secret.key.latest
    }
    const result = draftOf({
      ...common,
      phase: 'result',
      outcome: isDone ? 'success' : 'failure',
      statusCode: kms.statusCode,
      error: kms.error,
      keyVersion: kms.keyVersion,
      details: { secretVersion, kmsEventID: kms.eventID },
      durationMs: 2.5,
    })
    result.eventID = operationID
    writer.write(result, { at: now, mark, because: isDone ? undefined : secret.key.because })
  }
}

/** Who may read it is decided anew. */
export function updatePolicy(world: World, asking: Asking): void {
  const { at, by, secret, reason, mark } = asking
  const writer = world.writer('secrets')
  if (!writer.isOpen) return
  const context = asking.context ?? by.context(world.odds)
  const operationID = writer.reserve(at)
  const common = { ...told(secret, { by, context, reason }), action: 'secret.update_policy', operationID } as const
  writer.write(draftOf({ ...common, phase: 'intent', outcome: 'pending' }), { at, mark })
  const result = draftOf({ ...common, phase: 'result', outcome: 'success', statusCode: 200, durationMs: 1.8 })
  result.eventID = operationID
  world.agenda.at(at + 2, (now) => {
    if (writer.isOpen) writer.write(result, { at: now, mark })
  })
}

/** A call that was refused before the KMS was asked. */
export function refusedRead(
  world: World,
  asking: Omit<Asking, 'secret'> & { readonly path: string; readonly error: KmsErrorCode; readonly secret?: Secret },
): void {
  const { at, by, path, error, secret, reason, mark } = asking
  const writer = world.writer('secrets')
  if (!writer.isOpen) return
  const context = asking.context ?? by.context(world.odds)
  const draft = draftOf({
    action: 'secret.get_value',
    phase: 'result',
    resourceType: 'secret',
    resourceIdentity: path,
    outcome: 'failure',
    statusCode: errorCodes[error].status,
    error,
    region,
    project: by.project,
    keySlug: secret?.key.slug,
    keyType: secret?.key.keyType,
    actor: by.actor,
    context,
    reason,
    provider: store,
    durationMs: 0.3,
  })
  draft.eventID = writer.reserve(at)
  writer.write(draft, { at, mark })
}

function ofSecret(secret: Secret, eventID: string) {
  const { path, id, key, version, bytes } = secret
  return {
    key,
    bytes,
    origin: { service, eventID, resource: path },
    encryptionContext: {
      'secret.path': path,
      'secret.id': id,
      'secret.version': String(version),
      'secret.key': key.identity,
    },
  }
}

function extras({ reason, mark }: Asking) {
  return { ...(reason !== undefined && { reason }), ...(mark !== undefined && { mark }) }
}

interface Teller {
  readonly by: Persona
  readonly context: EntryContext | undefined
  readonly reason: EntryReason | undefined
}

function told({ path, key }: Secret, { by, context, reason }: Teller) {
  return {
    resourceType: 'secret',
    resourceIdentity: path,
    region,
    project: key.project,
    keySlug: key.slug,
    keyType: key.keyType,
    actor: by.actor,
    context,
    reason,
    provider: store,
  } as const
}
