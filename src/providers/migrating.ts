/** Changing providers while the work goes on: everything new by one, what is old by whoever has it. Portable. */
import { KmsError } from '../model/errors.ts'
import { type Operation, operations } from '../model/operation.ts'
import type { Binding, IntentOutcome, KmsProvider } from '../model/provider.ts'
import { type Found, type Routes, routesOver } from './migrating-routes.ts'

export interface MigratingOptions {
  /** Where the keys are to live: whatever is new is done by it. */
  readonly to: KmsProvider
  /** Where they lived, the likeliest first; the same provider only once. */
  readonly from: readonly KmsProvider[]
  /** What intents and refusals that are nobody else's call it; `migrating` by default. */
  readonly name?: string
}

/**
 * One provider over several. Each must have `resolve`.
 *
 * - **A name** is that of a key in `to`, or else in the first of `from` that has one: entry, access policy and changes are about that
 *   key, with its identity, slug and type. A slug may name a key in each of them; an identity names the one that it is of.
 * - **By `to` alone:** `encrypt`, `sign`, `hmac`, `generateDataKey`, `createKey`, `importKey`, `importKeyVersion`, `rotate`,
 *   `rotateScheduled`. For a key that lives only in a `from` that is `KEY_NOT_FOUND`: create it in the new one, under the same slug.
 * - **By any:** `decrypt`, `verify`, `verifyHmac` ask `to` and then each of `from` for the key of that name, one after another.
 *   Who has no such key or cannot open the ciphertext is passed over, and so is one that is down, throttled or broken, if another can
 *   answer. If none can: the trouble of the first that was in trouble, retryable before other; only where each that has the key has
 *   refused, `INVALID_CIPHERTEXT`. A key that is disabled and a call that is denied end it there: `KEY_NOT_ACTIVE`, `ACCESS_DENIED`.
 *   A verification is true by any, and false only if nobody that could answer says true and nobody is in trouble.
 * - **`reEncrypt`** opens by any and seals by `to`, under `destinationKey` or else the key of the same slug there. What `to` can open it
 *   re-encrypts itself; of the others the plaintext passes through this process, and is wiped. The entry has both keys and the flag
 *   `opened_by.NAME`.
 * - **Where the key lives:** `describeKey`, `getPublicKey`, `enableKey`, `disableKey`, `scheduleKeyDeletion`, `cancelKeyDeletion`,
 *   `destroyKey`, `updateRotation`, `updateMinDecryptionVersion`, `export`. Of a slug that is that of `to` first: to change the old key,
 *   name its identity. They fail while one that comes before it cannot be asked.
 * - **`listKeys`** lists the keys of all, each with its provider in the annotation `keytrail/provider`. Old keys never fall due for
 *   rotation; those whose deletion was scheduled are destroyed as ever.
 * - **The keystore's own** operations are those of the first with a keystore of its own, which is also the one that `binding` tells.
 *
 * Entries tell in `provider.name` who answered, and with the flag `refused_by.NAME` who was asked before and refused: what still carries
 * the old name still wants `reEncrypt`. One that hangs holds the call until its deadline: nobody can be asked beside it.
 * `close` closes all. Intents bear this provider's own name; recovery also closes those that the providers behind it left open, and holds
 * each keystore against the trail. Let a client over it start once after a crash before it is taken away again.
 *
 * Errors: `INVALID_INPUT` for a wrong option.
 *
 * @example
 * ```ts
 * const kms = new KmsClient({ provider: migrating({ to: awsKms({ client }), from: [local] }), audit: { required: [trail] } })
 * await kms.createKey({ slug: 'orders' })                             // in the new one
 * const { ciphertext } = await kms.reEncrypt({ key: 'orders', ciphertext: old })
 * ```
 */
export function migrating(options: MigratingOptions): KmsProvider {
  const { to, from, name } = checked(options)
  const all = [to, ...from]
  const routes = routesOver(to, from)
  let closing: Promise<void> | undefined

  return Object.freeze({
    name,
    synchronous: all.every(({ synchronous }) => synchronous === true),
    operations: tableOf(routes, to, all),
    resolve: routes.resolve,
    behind: Object.freeze(all),
    binding: () => firstBinding(all),
    ...(all.some(({ outcomeOf }) => outcomeOf) && {
      outcomeOf: (operationID: string) => outcomeByAny(all, operationID),
    }),
    close(): Promise<void> {
      closing ??= closeAll(all)
      return closing
    },
  })
}

const byNew = [
  'encrypt',
  'sign',
  'hmac',
  'generateDataKey',
  'createKey',
  'importKey',
  'importKeyVersion',
  'rotate',
  'rotateScheduled',
] as const
const byAny = ['decrypt', 'verify', 'verifyHmac'] as const
const byHome = [
  'describeKey',
  'getPublicKey',
  'enableKey',
  'disableKey',
  'scheduleKeyDeletion',
  'cancelKeyDeletion',
  'destroyKey',
  'updateRotation',
  'updateMinDecryptionVersion',
  'export',
] as const
const ofKeystore = ['getWrappingKey', 'rotateWrappingKey', 'rewrapRootKey', 'rotateAuditSigner'] as const

/** What someone can do, and nothing else. */
function tableOf(routes: Routes, to: Found, all: readonly Found[]): KmsProvider['operations'] {
  const has = (operation: Operation) => (provider: Found) => provider.operations[operation] !== undefined
  const anyHas = (operation: Operation) => all.some(has(operation))
  // The wrapping key that an import needs is that of the keystore into which it goes, and entries name the one that `binding` tells.
  const keeper = all.find((provider) => provider.binding?.() !== undefined) ?? to
  return Object.freeze({
    ...Object.fromEntries([
      ...byNew.filter((operation) => has(operation)(to)).map((operation) => [operation, routes.byNew(operation)]),
      ...byAny.filter(anyHas).map((operation) => [operation, routes.byAny(operation)]),
      ...byHome.filter(anyHas).map((operation) => [operation, routes.byHome(operation)]),
      ...ofKeystore
        .filter((operation) => has(operation)(keeper))
        .map((operation) => [operation, routes.by(keeper, operation)]),
    ]),
    ...(has('encrypt')(to) && anyHas('decrypt') && { reEncrypt: routes.reEncrypt }),
    ...(anyHas('listKeys') && { listKeys: routes.listKeys }),
  })
}

function firstBinding(all: readonly Found[]): Binding | undefined {
  for (const provider of all) {
    const binding = provider.binding?.()
    if (binding !== undefined) return binding
  }
  return undefined
}

/** Known once one says `done`; `not-done` only if each that can change anything says so. */
async function outcomeByAny(all: readonly Found[], operationID: string): Promise<IntentOutcome> {
  const asked = all.filter(changes).map(async (provider): Promise<IntentOutcome> => {
    try {
      return (await provider.outcomeOf?.(operationID)) ?? 'unknown'
    } catch {
      // Whoever cannot be asked now cannot tell.
      return 'unknown'
    }
  })
  // One that hangs must not hide what another knows.
  const done = asked.map((answer) => answer.then((outcome) => (outcome === 'done' ? outcome : never<IntentOutcome>())))
  const every = Promise.all(asked).then((outcomes): IntentOutcome => {
    if (outcomes.includes('done')) return 'done'
    return outcomes.every((outcome) => outcome === 'not-done') ? 'not-done' : 'unknown'
  })
  return Promise.race([...done, every])
}

/** One that only uses keys has made no change. */
function changes({ operations: own }: Found): boolean {
  return Object.keys(own).some((name) => {
    // Names of a provider's table are operations; of a third party's it is not certain.
    const kind = Object.hasOwn(operations, name) ? operations[name as Operation].kind : 'read'
    return kind === 'change' || kind === 'lifecycle'
  })
}

function never<T>(): Promise<T> {
  return new Promise(() => undefined)
}

async function closeAll(all: readonly Found[]): Promise<void> {
  const closed = await Promise.allSettled(all.map(async (provider) => provider.close?.()))
  const failed = closed.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

interface Checked {
  readonly to: Found
  readonly from: readonly Found[]
  readonly name: string
}

function checked(options: MigratingOptions): Checked {
  if (typeof options !== 'object' || options === null) refuse('migrating takes one object: { to, from }')
  const { to, from, name = 'migrating' } = options
  if (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name)) refuse("'name' must be 1–64 letters, digits or . _ -")
  if (!Array.isArray(from) || from.length === 0) refuse("'from' must be a list of one provider or more")
  const all: readonly Found[] = [to, ...from].map(findable)
  if (new Set(all).size < all.length) refuse('a provider stands twice among those to migrate')
  const [first, ...others] = all
  if (first === undefined) refuse("'to' is missing")
  return { to: first, from: others, name }
}

function findable(provider: KmsProvider): Found {
  if (typeof provider?.name !== 'string' || typeof provider.operations !== 'object' || provider.operations === null)
    refuse("'to' and each of 'from' must be a KmsProvider: a name and a table of operations")
  if (!isFound(provider)) refuse(`'${provider.name}' has no resolve: where a key lives could not be told`)
  return provider
}

function isFound(provider: KmsProvider): provider is Found {
  return typeof provider.resolve === 'function'
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
