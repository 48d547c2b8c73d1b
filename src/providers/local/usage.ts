/**
 * How often each key version has sealed. Under one key, random nonces of 96 bits are safe for 2^32 messages (NIST SP 800-38D
 * §8.3): versions of such types are counted, warn at 0.8 of that and seal no more at 0.9. Portable.
 */
import { everyAlgorithm } from '../../crypto/every-algorithm.ts'
import { KmsError } from '../../model/errors.ts'
import type { KeyUsage } from '../../model/operation.ts'
import type { Keystore, StoredKey, UsageCount } from './keystore.ts'

export interface UsageLimits {
  /** From this many messages on, outputs tell their usage. */
  readonly warnAt: number
  /** From this many on nothing is sealed. */
  readonly limit: number
  /** How many are made durable ahead of need, and so at most counted too many at a crash. */
  readonly block: number
}

/** Half a block is what may be sealed while the next one is on its way to the disk: half a second at full speed. */
export const usageLimits: UsageLimits = {
  warnAt: Math.floor(0.8 * 2 ** 32),
  limit: Math.floor(0.9 * 2 ** 32),
  block: 2 ** 18,
}

/** Of one version. */
export interface Meter {
  /** Counted so far. */
  readonly messages: number
  /**
   * Counts the message that is about to be sealed, and answers with what its output is to tell. Throws, and then nothing may
   * be sealed: `USAGE_LIMIT` at the limit; `PROVIDER_UNAVAILABLE` while no count could be made durable ahead. `keyVersion`:
   * what the entry of that refusal names.
   */
  count(keyVersion: number): KeyUsage | undefined
}

export interface Usage {
  /** Undefined where nothing is counted: the same one each time otherwise. */
  meter(key: StoredKey, version: number): Meter | undefined
  /** Whether the newest version is past the warning. */
  isNear(key: StoredKey): boolean
  /** What `next` is to remember: counts that were reached when it was made. */
  counts(next: Keystore): readonly UsageCount[]
  /** Makes room for the versions there are. `PROVIDER_UNAVAILABLE`: it could not; each sealing tries again. */
  start(): Promise<void>
  /** Makes room for the versions that `next` brings, before it is made durable. `PROVIDER_UNAVAILABLE`: it could not. */
  reserve(next: Keystore): Promise<void>
  /** `next` is in force: versions that are gone are counted no more, and what another process counted is caught up with. */
  replace(next: Keystore): void
  /** Writes what was really counted. Never fails: the counts on the disk are too high then. */
  close(): Promise<void>
}

export type Counted = Pick<UsageCount, 'identity' | 'version'>

export interface UsageParts {
  readonly keystore: Keystore
  /** What was kept beside the keystore. Of two counts of a version the larger holds. */
  readonly kept?: readonly UsageCount[]
  /** Makes counts durable. Absent: they end with the process. */
  readonly store?: (counts: readonly UsageCount[]) => Promise<void>
  /** Other than {@link usageLimits} only in tests. */
  readonly limits?: UsageLimits
}

/** A meter as its ledger has it. */
interface Gauge extends Meter {
  messages: number
  /** Durable: sealing never goes beyond it. */
  reserved: number
  /** From this many messages on, more is to be reserved. */
  renewAt: number
  /** Below this many there is nothing to think about. */
  quiet: number
}

export function openUsage({ keystore, kept = [], store, limits = usageLimits }: UsageParts): Usage {
  const { block, limit, warnAt } = limits
  const gauges = new Map<string, Map<number, Gauge>>()
  let writing: Promise<unknown> = Promise.resolve()
  let renewing = false
  let closed = false
  /** Why the last writing failed. */
  let problem: KmsError | undefined
  /** Whether there is anything on the disk that closing must correct. */
  let isStored = kept.length > 0

  adopt(keystore, [...kept, ...keystore.usage])
  return { meter, isNear, counts, start, reserve, replace, close }

  function meter(key: StoredKey, version: number): Meter | undefined {
    return gauges.get(key.identity)?.get(version)
  }

  function isNear(key: StoredKey): boolean {
    const newest = key.versions.at(-1)?.version ?? 0 // never absent
    return (meter(key, newest)?.messages ?? 0) >= warnAt
  }

  function counts(next: Keystore): readonly UsageCount[] {
    const all = countedVersions(next).map(({ identity, version }) => {
      return { identity, version, messages: gauges.get(identity)?.get(version)?.messages ?? 0 }
    })
    return all.filter(({ messages }) => messages > 0)
  }

  async function start(): Promise<void> {
    if (store !== undefined && gauges.size > 0) await inTurn(() => reserveAhead(store))
  }

  async function reserve(next: Keystore): Promise<void> {
    const added = adopt(next, [])
    if (store === undefined || added.length === 0) return
    try {
      await inTurn(() => reserveAhead(store))
    } catch (error) {
      // They will not be; the next attempt to make them must find that they have no room.
      for (const { identity, version } of added) gauges.get(identity)?.delete(version)
      throw error
    }
  }

  function replace(next: Keystore): void {
    adopt(next, next.usage)
    const identities = new Map(next.keys.map((key) => [key.identity, key]))
    for (const [identity, versions] of gauges) {
      const key = identities.get(identity)
      if (key === undefined) gauges.delete(identity)
      for (const version of versions.keys())
        if (!key?.versions.some((one) => one.version === version)) versions.delete(version)
    }
  }

  async function close(): Promise<void> {
    closed = true
    if (store === undefined) return
    const exact = () => all().map(({ identity, version, gauge }) => ({ identity, version, messages: gauge.messages }))
    // What stays on the disk if this fails is what was reserved.
    await inTurn(async () => (isStored ? store(exact()) : undefined)).catch(() => undefined)
  }

  /** Begins to count the versions of `next` that are counted and were not yet, which are returned. */
  function adopt(next: Keystore, known: readonly UsageCount[]): readonly Counted[] {
    const added = countedVersions(next).filter(({ identity, version }) => !gauges.get(identity)?.has(version))
    for (const { identity, version } of added) {
      const versions = gauges.get(identity) ?? new Map<number, Gauge>()
      gauges.set(identity, versions.set(version, newGauge(version)))
    }
    for (const { identity, version, messages } of known) {
      const gauge = gauges.get(identity)?.get(version)
      if (gauge === undefined || messages <= gauge.messages) continue
      gauge.messages = messages
      // What was kept is on the disk.
      settle(gauge, Math.max(gauge.reserved, messages))
    }
    return added
  }

  function newGauge(version: number): Gauge {
    const gauge: Gauge = {
      messages: 0,
      reserved: 0,
      renewAt: 0,
      quiet: 0,
      count(keyVersion) {
        if (gauge.messages >= gauge.quiet) return countAloud(gauge, version, keyVersion)
        gauge.messages += 1
        return undefined
      },
    }
    settle(gauge, store === undefined ? Number.POSITIVE_INFINITY : 0)
    return gauge
  }

  function countAloud(gauge: Gauge, version: number, keyVersion: number): KeyUsage | undefined {
    if (gauge.messages >= limit) {
      const message = `version ${version} has sealed ${gauge.messages} messages, as many as random nonces allow: rotate the key`
      throw new KmsError('USAGE_LIMIT', message, { evidence: { keyVersion } })
    }
    if (gauge.messages >= gauge.renewAt) renew()
    if (gauge.messages >= gauge.reserved) {
      const message = `how often version ${version} was used could not be written down: nothing was sealed, try again`
      const cause = problem && { cause: problem }
      throw new KmsError('PROVIDER_UNAVAILABLE', message, { evidence: { keyVersion }, ...cause })
    }
    gauge.messages += 1
    return gauge.messages < warnAt ? undefined : { messages: gauge.messages, limit }
  }

  function settle(gauge: Gauge, reserved: number, renewAt = reserved - block / 2): void {
    gauge.reserved = reserved
    gauge.renewAt = reserved >= limit ? Number.POSITIVE_INFINITY : renewAt
    gauge.quiet = Math.min(gauge.renewAt, warnAt - 1)
  }

  /** In the background: the calls that go on meanwhile have half a block. */
  function renew(): void {
    if (renewing || closed || store === undefined) return
    renewing = true
    inTurn(() => reserveAhead(store))
      // Kept as `problem`, and tried again.
      .catch(() => undefined)
      .finally(() => {
        renewing = false
      })
  }

  /** All versions are in one file: each that needs it gets another block. */
  async function reserveAhead(write: NonNullable<UsageParts['store']>): Promise<void> {
    const wanted = all().map(({ identity, version, gauge }) => {
      const isDue = gauge.messages >= gauge.renewAt
      const messages = isDue ? Math.min(gauge.messages + block, limit) : gauge.reserved
      return { identity, version, gauge, isDue, messages }
    })
    // The writing before may have made room already.
    if (!wanted.some(({ isDue }) => isDue)) return
    isStored = true
    try {
      await write(wanted.map(({ identity, version, messages }) => ({ identity, version, messages })))
      problem = undefined
    } catch (error) {
      problem =
        error instanceof KmsError ? error : new KmsError('INTERNAL', 'counts were not written', { cause: error })
      // Not at every call: a disk that is sick is asked again after a while, and for each call once nothing is left.
      for (const { gauge, isDue } of wanted)
        if (isDue) settle(gauge, gauge.reserved, Math.min(gauge.messages + block / 16, gauge.reserved))
      throw problem
    }
    for (const { gauge, messages } of wanted) if (messages > gauge.reserved) settle(gauge, messages)
  }

  function inTurn<T>(run: () => Promise<T>): Promise<T> {
    const done = writing.then(run)
    writing = done.catch(() => undefined)
    return done
  }

  function all(): readonly { readonly identity: string; readonly version: number; readonly gauge: Gauge }[] {
    return [...gauges].flatMap(([identity, versions]) =>
      [...versions].map(([version, gauge]) => ({ identity, version, gauge })),
    )
  }
}

/** The versions of a keystore whose messages are counted. */
export function countedVersions({ keys }: Keystore): readonly Counted[] {
  return keys
    .filter(({ keyType }) => everyAlgorithm[keyType].counted)
    .flatMap(({ identity, versions }) => versions.map(({ version }) => ({ identity, version })))
}
