/** `secretsManager`: secrets over a KMS client, its audit, and a store. */
import type { Audit } from '../../audit/audit.ts'
import { recover } from '../../audit/recovery.ts'
import { type Inside, insideOf, KmsClient } from '../../client.ts'
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import type { KmsProvider } from '../../model/provider.ts'
import { type Calls, changeSecret, readSecret } from './call.ts'
import type { SecretsManager } from './manager.ts'
import { operationsOver, type SecretOperations } from './operations.ts'
import type { SecretStore } from './store.ts'
import { createTurns, type Turns } from './turns.ts'

export interface SecretsManagerOptions {
  /** Encrypts and decrypts, and lends its audit; bind who asks with `with` here or there, or let its carrier tell. */
  readonly kms: KmsClient
  readonly store: SecretStore
}

/**
 * A Secrets Manager over `kms`: its entries go where those of `kms` go, with the same actor, address and agent.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option, or a store whose name another store or KMS provider has.
 * @example
 * ```ts
 * const secrets = secretsManager({ kms, store: await openSecretFiles({ path: './secrets' }) })
 * await secrets.create({ path: '/billing/database', key: 'orders', secretString: 'hunter2' })
 * const { secretString } = await secrets.with({ actor }).get({ path: '/billing/database' })
 * ```
 */
export function secretsManager(options: SecretsManagerOptions): SecretsManager {
  const { kms, store } = checked(options)
  const inside = insideOf(kms)
  const giveNameBack = takeName(inside, store)
  let recovery: Promise<void> | undefined
  let closing: Promise<void> | undefined
  const calls: Calls = {
    fallback: inside,
    storeName: store.name,
    turn: turnsOf(store),
    recovered,
    leaveOpen: (intent) => leaveOpen(inside.audit, { store, intent }),
    inFlight: 0,
    abandoned: 0,
    closing: false,
    whenIdle: undefined,
  }
  return managerOf(kms, { calls, operations: operationsOver(store), ready: recovered, close })

  function recovered(): Promise<void> {
    recovery ??= recoverStore(inside, store).catch((error: unknown) => {
      // The next call tries again.
      recovery = undefined
      throw error
    })
    return recovery
  }

  function close(): Promise<void> {
    closing ??= settle()
    return closing
  }

  async function settle(): Promise<void> {
    calls.closing = true
    if (calls.inFlight > 0)
      await new Promise<void>((resolve) => {
        calls.whenIdle = resolve
      })
    await store.close?.()
    giveNameBack()
  }
}

interface Parts {
  readonly calls: Calls
  readonly operations: SecretOperations
  readonly ready: () => Promise<void>
  readonly close: () => Promise<void>
}

function managerOf(kms: KmsClient, parts: Parts): SecretsManager {
  const { calls, ready, close } = parts
  const { create, put, get, destroyVersion, delete: remove, updatePolicy, describe, list, browse } = parts.operations
  return Object.freeze({
    create: (raw, options) => changeSecret(calls, create, { kms, raw, options }),
    put: (raw, options) => changeSecret(calls, put, { kms, raw, options }),
    get: (raw, options) => readSecret(calls, get, { kms, raw, options }),
    destroyVersion: (raw, options) => changeSecret(calls, destroyVersion, { kms, raw, options }),
    delete: (raw, options) => changeSecret(calls, remove, { kms, raw, options }),
    updatePolicy: (raw, options) => changeSecret(calls, updatePolicy, { kms, raw, options }),
    describe: (raw, options) => readSecret(calls, describe, { kms, raw, options }),
    list: (raw = {}, options) => readSecret(calls, list, { kms, raw, options }),
    browse: (raw = {}, options) => readSecret(calls, browse, { kms, raw, options }),
    with: (context) => managerOf(kms.with(context), parts),
    ready,
    close,
    [Symbol.asyncDispose]: close,
  } satisfies SecretsManager)
}

/** Closes what a crash left open, by what the store knows of it. */
async function recoverStore({ audit, deadlineMs }: Inside, store: SecretStore): Promise<void> {
  const provider: KmsProvider = {
    name: store.name,
    operations: {},
    outcomeOf: (operationID) => store.outcomeOf(operationID),
  }
  const left = takeLeft(audit, store)
  const openIntents: Audit['openIntents'] = async (name) => [
    ...(await audit.openIntents(name)),
    ...left.map(({ intent }) => intent),
  ]
  try {
    await recover({ audit: { ...audit, openIntents }, provider, deadlineMs, rebind: undefined })
  } catch (error) {
    for (const one of left) leaveOpen(audit, one)
    throw error
  }
  await store.forget?.()
}

interface LeftOpen {
  /** The opening that could not tell; another of the same store can. */
  readonly store: SecretStore
  readonly intent: AuditEntry
}

/** By audit: intents of this start that are still open. Sinks know only those of starts before. */
const leftOpen = new WeakMap<Audit, readonly LeftOpen[]>()

/** More of them wait for the next start, as those of a crash do. */
const maxLeftOpen = 1000

function leaveOpen(audit: Audit, one: LeftOpen): void {
  leftOpen.set(audit, [...(leftOpen.get(audit) ?? []), one].slice(-maxLeftOpen))
}

/** Those that `store`, opened again, can tell about. */
function takeLeft(audit: Audit, store: SecretStore): readonly LeftOpen[] {
  const all = leftOpen.get(audit) ?? []
  const mine = all.filter((one) => one.store !== store && one.intent.provider?.name === store.name)
  leftOpen.set(
    audit,
    all.filter((one) => !mine.includes(one)),
  )
  return mine
}

/** Several Secrets Managers over one store take turns. */
const turns = new WeakMap<SecretStore, Turns>()

function turnsOf(store: SecretStore): Turns {
  const known = turns.get(store) ?? createTurns()
  turns.set(store, known)
  return known
}

/** By audit: recovery finds a store's intents by its name, and must not ask one store of another's. */
const taken = new WeakMap<Audit, Map<string, SecretStore>>()

function takeName({ audit, provider }: Inside, store: SecretStore): () => void {
  const names = taken.get(audit) ?? new Map<string, SecretStore>()
  const isAnothers = (names.get(store.name) ?? store) !== store
  if (isAnothers || namesOf(provider).includes(store.name))
    throw new KmsError(
      'INVALID_INPUT',
      `'${store.name}' is the name of another store or provider: give this one its own`,
    )
  taken.set(audit, names.set(store.name, store))
  return () => names.delete(store.name)
}

function namesOf({ name, behind = [] }: KmsProvider): readonly string[] {
  return [name, ...behind.flatMap(namesOf)]
}

function checked(options: SecretsManagerOptions): SecretsManagerOptions {
  if (typeof options !== 'object' || options === null) refuse('secretsManager takes one object: { kms, store }')
  const { kms, store } = options
  if (!(kms instanceof KmsClient)) refuse("'kms' must be a KmsClient")
  const functions = [store?.read, store?.readValue, store?.write, store?.list, store?.outcomeOf]
  if (functions.some((one) => typeof one !== 'function') || !/^[\w.-]{1,64}$/.test(store.name))
    refuse("'store' must be a SecretStore, such as memorySecretStore() or what openSecretFiles resolves to")
  return options
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
