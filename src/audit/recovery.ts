/** Before its first call a client holds its keystore against the trail, and closes the intents that a crash left open. */
import { asKmsError } from '../model/dispatch.ts'
import type { AuditEntry, EntryReason } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import type { Binding, IntentOutcome, KmsProvider } from '../model/provider.ts'
import type { Audit } from './audit.ts'
import { findMismatch, rememberedGeneration, restoredNotice, rolledBack } from './binding.ts'
import { type ChangeMade, recordRecovered } from './record.ts'

export interface Recovery {
  readonly audit: Audit
  readonly provider: KmsProvider
  /** For each question to a sink or the provider. */
  readonly deadlineMs: number
  /** Go on with a keystore and a trail that do not fit, for this reason if one is given: that is an entry. */
  readonly rebind: { readonly reason?: EntryReason } | undefined
}

interface OpenIntent {
  readonly intent: AuditEntry
  readonly outcome: IntentOutcome
}

const outcomes = { done: 'success', 'not-done': 'failure', unknown: 'unknown' } as const

/**
 * Compares the provider's binding with what the required sinks remember, then writes a result for each open intent of the
 * provider: `success` or `failure` where the provider knows, else `unknown`.
 *
 * @throws KmsError `ROLLED_BACK` if keystore and trail do not fit, unless `rebind`; `AUDIT_REFUSED` if a sink does not
 * answer within `deadlineMs` or refuses an entry.
 */
export async function recover(recovery: Recovery): Promise<void> {
  const { audit, provider, deadlineMs } = recovery
  const open: OpenIntent[] = []
  for (const name of new Set(namesOf(provider))) {
    const intents = await within(audit, deadlineMs, audit.openIntents(name))
    if (intents instanceof KmsError) throw unreadable('the open intents', intents)
    for (const intent of intents)
      open.push({ intent, outcome: await outcomeOf(audit, provider, { intent, deadlineMs }) })
  }

  const made = await bindAll(recovery, open)
  for (const { intent, outcome } of open) {
    const change = outcome === 'done' ? made.shift() : undefined
    // Claimed only now: from here on its result stays queued, even if a sink refuses it at first.
    if (!audit.claim(intent.operationID ?? '')) continue
    const accepted = await audit.emit(recordRecovered(intent, outcomes[outcome], change))
    if (accepted instanceof KmsError) throw accepted
  }
}

/** Of one that stands for several, the names and keystores of all. */
function namesOf({ name, behind = [] }: KmsProvider): readonly string[] {
  return [name, ...behind.flatMap(namesOf)]
}

function bindingsOf(provider: KmsProvider): readonly Binding[] {
  if (provider.behind !== undefined) return provider.behind.flatMap(bindingsOf)
  const binding = provider.binding?.()
  return binding === undefined ? [] : [binding]
}

/**
 * Every keystore of the provider against the trail. Resolves to what the open intents that are done made, in their order; of several
 * keystores each is given the generations that the trail does not know yet, and no more intents than are left.
 */
async function bindAll(recovery: Recovery, open: readonly OpenIntent[]): Promise<(ChangeMade | undefined)[]> {
  const bindings = bindingsOf(recovery.provider)
  const [only] = bindings
  let left = open.filter(({ outcome }) => outcome === 'done').length
  if (only !== undefined && bindings.length === 1) return bind(recovery, only, left)
  const made: ChangeMade[] = []
  for (const binding of bindings) {
    const newest = rememberedGeneration({ binding, ledgers: recovery.audit.ledgers() })
    const own = (await bind(recovery, binding, left)).filter(({ generation }) => generation > newest)
    left -= own.length
    made.push(...own)
  }
  return [...Array<undefined>(left), ...made]
}

/**
 * The comparison is made once an audit, before any call: later ones would meet changes whose entries are on their way.
 * Resolves to what the open intents that are done made, in their order; to nothing where an entry has just told it.
 */
async function bind(recovery: Recovery, binding: Binding, doneIntents: number): Promise<ChangeMade[]> {
  const { audit, deadlineMs, rebind } = recovery
  const { keystore, generation } = binding
  const ledgers = audit.ledgers()
  const newest = rememberedGeneration({ binding, ledgers })
  const comparison =
    audit.bindings.get(keystore) ?? within(audit, deadlineMs, findMismatch({ binding, ledgers, doneIntents }))
  audit.bindings.set(keystore, comparison)
  const mismatch = await comparison
  if (mismatch instanceof KmsError) {
    audit.bindings.delete(keystore)
    throw unreadable('what the trail remembers', mismatch)
  }
  if (mismatch === undefined)
    return Array.from({ length: doneIntents }, (_, at) => ({
      keystore,
      generation: Math.max(newest, generation - (doneIntents - 1 - at)),
    }))
  if (rebind === undefined) throw rolledBack(mismatch)
  const notice = await within(audit, deadlineMs, restoredNotice({ binding, ledgers }, rebind.reason))
  if (notice instanceof KmsError) throw unreadable('what the trail remembers', notice)
  await audit.log.note(notice)
  audit.bindings.set(keystore, Promise.resolve(undefined))
  return []
}

interface Asking {
  readonly intent: AuditEntry
  readonly deadlineMs: number
}

/** A provider that cannot tell, fails or takes too long leaves the outcome unknown: recovery never guesses. */
async function outcomeOf(audit: Audit, provider: KmsProvider, { intent, deadlineMs }: Asking): Promise<IntentOutcome> {
  if (provider.outcomeOf === undefined || intent.operationID === undefined) return 'unknown'
  const { operationID } = intent
  const asked = Promise.resolve(operationID).then((id) => provider.outcomeOf?.(id) ?? 'unknown')
  const outcome = await within(audit, deadlineMs, asked)
  return outcome === 'done' || outcome === 'not-done' ? outcome : 'unknown'
}

function unreadable(what: string, cause: KmsError): KmsError {
  return new KmsError('AUDIT_REFUSED', `${what} could not be read: nothing was done, safe to try again`, { cause })
}

function within<T>(audit: Audit, ms: number, work: Promise<T>): Promise<T | KmsError> {
  return new Promise((resolve) => {
    const cancel = audit.deadlines.after(ms, () =>
      resolve(new KmsError('DEADLINE_EXCEEDED', `no answer within ${ms} ms`)),
    )
    work.then(resolve, (error: unknown) => resolve(asKmsError(error))).finally(cancel)
  })
}
