/** `reEncryptAll`: what was sealed under older versions of a key, moved to the newest, item by item, however many there are. */
import { type Called, insideOf, KmsClient } from '../../client.ts'
import { versionOf } from '../../crypto/frame.ts'
import { transitVersion } from '../../crypto/transit-text.ts'
import type { Clock } from '../../model/clock.ts'
import { asKmsError } from '../../model/dispatch.ts'
import { KmsError, type KmsErrorCode } from '../../model/errors.ts'
import { host, type Signal } from '../../model/host.ts'
import type { EncryptionContext, Input } from '../../model/operation.ts'
import { backOff } from '../../model/retry.ts'
import { headerOf, withSealedKey } from './header.ts'
import { bytesOf } from './streams.ts'

export interface SealedItem {
  /** Names it in verdicts and checkpoints. */
  readonly id: string
  /** A ciphertext of the KMS; or a sealed message of an envelope, or its header alone, of which only the sealed data key is changed. */
  readonly ciphertext: Uint8Array
  readonly encryptionContext?: EncryptionContext
}

/** An item's new ciphertext: as long as it was given, the header alone if only that was. */
export interface MovedItem {
  readonly id: string
  readonly ciphertext: Uint8Array
}

export type ReEncryptVerdict =
  | (MovedItem & {
      readonly verdict: 'moved'
      readonly eventID: string
      /** Key versions, where the service tells them. */
      readonly from?: number
      readonly to?: number
    })
  | { readonly id: string; readonly verdict: 'current'; readonly eventID?: string; readonly from?: number }
  | { readonly id: string; readonly verdict: 'failed'; readonly error: KmsError; readonly eventID?: string }

export interface ReEncryptProgress {
  readonly moved: number
  readonly current: number
  readonly failed: number
  /** Items a second since the beginning. */
  readonly perSecond: number
}

export interface ReEncryptOptions {
  readonly kms: KmsClient
  /** What the items are sealed under. */
  readonly key: string
  /** What they shall be sealed under: by default the newest version of the same key. */
  readonly destinationKey?: string
  /** In an order that a later run would find again, where checkpoints are used. */
  readonly items: AsyncIterable<SealedItem> | Iterable<SealedItem>
  /**
   * Stores a new ciphertext in place of the old one, `item.ciphertext`; an item is moved when this has settled. Called for several at
   * once. What was written since the item was read must stay: store it only where the old one still stands, and throw where it does
   * not. Without it, store each verdict's `ciphertext` before you ask for the next.
   */
  readonly store?: (moved: MovedItem, item: SealedItem) => void | Promise<void>
  /** Begins behind the item of this id, which a checkpoint told: those up to it are read and passed over. */
  readonly after?: string
  /** Told, and awaited, that every item up to `id` has its verdict, and that you have asked for a later one: `after` of a later run. */
  readonly checkpoint?: (id: string) => void | Promise<void>
  /** So many items from one checkpoint to the next, 100 by default; there is one at the end besides, however it comes. */
  readonly checkpointEvery?: number
  readonly onProgress?: (progress: ReEncryptProgress) => void
  /** Items at once, 8 by default, 1,000 at most. */
  readonly concurrency?: number
  /** Tries of one item while the error is one that may pass (`retryable`), 8 by default; between them up to 2 s. */
  readonly attempts?: number
  /** Begins no further item: ends with `ABORTED` when those begun have their verdict. */
  readonly signal?: Signal
}

/**
 * Moves items to the newest version of their key, or to another key. One verdict for each, in the order of `items`; one that fails stops no
 * other. Each is a `kms.re_encrypt` of the client, with its entry; no plaintext is seen here.
 *
 * - **Again and again:** an item whose ciphertext names the newest version already is `current`, without a call. Versions are
 *   told by ciphertexts of the embedded KMS and of transit; they are read, not proven. Others are sealed anew each time.
 *   With a `destinationKey`, one that does not open under `key` but does under that one is `current`: a call, with its entry.
 * - **Where it stopped:** `checkpoint` and `after`. A failed item does not hold a checkpoint back: you had its verdict.
 * - **Slowly:** items are read as verdicts are taken, no more than `concurrency` ahead.
 *
 * Errors, of the iteration: `INVALID_INPUT` for a wrong option, or if no item has the id `after`; those of `describeKey`, which
 * tells the newest version; `ABORTED`; `CLOSED` and `ROLLED_BACK`, of a client that refuses every call; whatever `items`, `checkpoint`
 * and `onProgress` throw.
 *
 * @example
 * ```ts
 * for await (const one of reEncryptAll({ kms, key: 'orders', items: rows(), store: update, checkpoint: save, after: await saved() }))
 *   if (one.verdict === 'failed') console.error(one.id, one.error.code, one.eventID)
 * ```
 */
export async function* reEncryptAll(options: ReEncryptOptions): AsyncGenerator<ReEncryptVerdict, void, void> {
  const { concurrency = 8, signal, after } = checked(options)
  const move = await mover(options)
  const told = teller(options, insideOf(options.kms).audit.clock)
  const items = behind(options.items, after)
  const underway: Promise<ReEncryptVerdict>[] = []
  const isAborted = () => signal?.aborted === true
  let ended: { readonly by?: unknown } | undefined
  try {
    for (;;) {
      while (ended === undefined && underway.length < concurrency && !isAborted()) {
        try {
          const next = await items.next()
          if (next.done === true) ended = {}
          else if (!isAborted()) underway.push(move(next.value))
        } catch (error) {
          // The verdicts of those before come first.
          ended = { by: error }
        }
      }
      const verdict = await underway.shift()
      if (verdict === undefined) break
      if (verdict.verdict === 'failed' && forGood.has(verdict.error.code)) throw verdict.error
      told.count(verdict)
      yield verdict
      await told.taken(verdict.id)
    }
    if (ended !== undefined && 'by' in ended) throw ended.by
    if (ended === undefined)
      throw new KmsError('ABORTED', 'the re-encryption was aborted: a later run goes on behind the last checkpoint')
  } finally {
    // What was begun is done to its end, though nobody is told: a later run finds it current.
    await Promise.all(underway)
    try {
      if (ended === undefined) await items.return(undefined)
    } finally {
      await told.end()
    }
  }
}

/** The client refuses every call from now on: no verdict on an item, which a checkpoint would pass. */
const forGood: ReadonlySet<KmsErrorCode> = new Set(['CLOSED', 'ROLLED_BACK'])

/** The items behind the one with this id. */
async function* behind(
  items: ReEncryptOptions['items'],
  after: string | undefined,
): AsyncGenerator<SealedItem, void, void> {
  let isBehind = after === undefined
  for await (const item of items) {
    if (isBehind) yield item
    else isBehind = Object(item).id === after
  }
  if (!isBehind) refuse(`'after' must be the id of one of the items: there is none of this name`)
}

/** Moves one item; never rejects. */
async function mover(options: ReEncryptOptions): Promise<(item: SealedItem) => Promise<ReEncryptVerdict>> {
  const { kms, key, destinationKey, store, attempts = 8, signal } = options
  const { audit, provider } = insideOf(kms)
  const versionIn = destinationKey === undefined ? readers[provider.name] : undefined
  let newest = versionIn && (await kms.describeKey({ key })).key.latestVersion

  async function moved(item: SealedItem): Promise<ReEncryptVerdict> {
    const { id, encryptionContext } = item
    const given = bytesOf('ciphertext', item.ciphertext)
    const header = headerOf(given)
    const ciphertext = header?.sealedKey ?? given
    const from = versionIn?.(ciphertext)
    if (from !== undefined && from === newest) return { id, verdict: 'current', from }
    const pairs = encryptionContext && { encryptionContext }
    const to = destinationKey === undefined ? undefined : { destinationKey }
    const made = await reEncrypted({ key, ciphertext, ...pairs, ...to }).catch((error: KmsError) =>
      destinationKey !== undefined && error.code === 'INVALID_CIPHERTEXT'
        ? isThere({ key: destinationKey, ciphertext, ...pairs }, error)
        : Promise.reject(error),
    )
    const { keyVersion, destinationKeyVersion, eventID } = made
    const told = keyVersion !== undefined && { from: keyVersion }
    if (made.key.identity === made.destinationKey.identity) {
      if (newest !== undefined && destinationKeyVersion !== undefined) newest = Math.max(newest, destinationKeyVersion)
      // Under another key it is there; under this one it may be that no version can be told.
      if (to !== undefined || (keyVersion !== undefined && keyVersion === destinationKeyVersion))
        return { id, verdict: 'current', eventID, ...told }
    }
    const after = {
      id,
      ciphertext: header === undefined ? made.ciphertext : withSealedKey(given, header, made.ciphertext),
    }
    await stored(after, item)
    return {
      ...after,
      verdict: 'moved',
      eventID,
      ...told,
      ...(destinationKeyVersion !== undefined && { to: destinationKeyVersion }),
    }
  }

  /** Of an item that an earlier run has moved already; where it opens under neither key, why not under its own. */
  function isThere(input: Input<'reEncrypt'>, refusal: KmsError): Promise<Called<'reEncrypt'>> {
    return reEncrypted(input).catch((error: KmsError) =>
      Promise.reject(error.code === 'INVALID_CIPHERTEXT' ? refusal : error),
    )
  }

  async function reEncrypted(input: Input<'reEncrypt'>): Promise<Called<'reEncrypt'>> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await kms.reEncrypt(input)
      } catch (thrown) {
        const error = asKmsError(thrown)
        if (!error.retryable || attempt + 1 >= attempts || signal?.aborted === true) throw error
        await pause(audit.clock, backOff(attempt))
      }
    }
  }

  async function stored(moved: MovedItem, item: SealedItem): Promise<void> {
    try {
      await store?.(moved, item)
    } catch (cause) {
      throw new KmsError('INTERNAL', 'the new ciphertext could not be stored', { cause })
    }
  }

  return async (item) => {
    let id: unknown
    try {
      id = item.id
      return await moved(item)
    } catch (thrown) {
      const error =
        thrown instanceof KmsError
          ? thrown
          : new KmsError('INVALID_INPUT', 'the item could not be read', { cause: thrown })
      const { eventID } = error
      // As it came: of an item that is none there is no better.
      return { id: id as string, verdict: 'failed', error, ...(eventID !== undefined && { eventID }) }
    }
  }
}

/** Where a provider's ciphertexts name their key version. */
const readers: Readonly<Record<string, ((ciphertext: Uint8Array) => number | undefined) | undefined>> = {
  local: versionOf,
  memory: versionOf,
  'vault-transit': transitVersion,
}

interface Teller {
  count(verdict: ReEncryptVerdict): void
  /** The caller has asked for a later one. */
  taken(id: string): Promise<void>
  end(): Promise<void>
}

/** Progress and checkpoints. */
function teller({ checkpoint, checkpointEvery = 100, onProgress }: ReEncryptOptions, clock: Clock): Teller {
  const counts = { moved: 0, current: 0, failed: 0 }
  const begunAt = clock.monotonic()
  let last: string | undefined
  let untold = 0

  async function tell(): Promise<void> {
    if (last === undefined || untold === 0) return
    untold = 0
    await checkpoint?.(last)
  }

  return {
    count({ verdict }) {
      counts[verdict] += 1
      const done = counts.moved + counts.current + counts.failed
      const seconds = Math.max(1, clock.monotonic() - begunAt) / 1000
      onProgress?.({ ...counts, perSecond: done / seconds })
    },
    async taken(id) {
      last = id
      untold += 1
      if (untold >= checkpointEvery) await tell()
    },
    end: tell,
  }
}

/** By the clock; and the job that waits keeps its process alive, which the clock's timers do not. */
async function pause(clock: Clock, ms: number): Promise<void> {
  const awake = host.setTimeout(() => {}, ms + 60_000)
  try {
    await new Promise<void>((resolve) => {
      clock.after(ms, resolve)
    })
  } finally {
    host.clearTimeout(awake)
  }
}

function checked(options: ReEncryptOptions): ReEncryptOptions {
  if (typeof options !== 'object' || options === null) refuse('reEncryptAll takes one object: { kms, key, items }')
  const { kms, items, store, checkpoint, onProgress, after } = options
  if (!(kms instanceof KmsClient)) refuse("'kms' must be a KmsClient")
  const isIterable = Object(items)[Symbol.asyncIterator] ?? Object(items)[Symbol.iterator]
  if (typeof items === 'string' || typeof isIterable !== 'function')
    refuse("'items' must be an iterable of { id, ciphertext, encryptionContext }")
  for (const [name, value] of Object.entries({ store, checkpoint, onProgress }))
    if (value !== undefined && typeof value !== 'function') refuse(`'${name}' must be a function`)
  if (after !== undefined && typeof after !== 'string') refuse("'after' must be an id: a string")
  for (const [name, most] of [
    ['concurrency', 1000],
    ['attempts', 100],
    ['checkpointEvery', 1_000_000],
  ] as const) {
    const value = options[name] ?? 1
    if (!Number.isInteger(value) || value < 1 || value > most)
      refuse(`'${name}' must be a whole number from 1 to ${most}`)
  }
  return options
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
