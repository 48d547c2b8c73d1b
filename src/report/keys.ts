/** Keys: what became of each, who uses it, whether it is used at all, and its rotation. */
import type { AuditEntry } from '../model/entry.ts'
import { defined } from './exports.ts'
import { countOf, type Fact, momentText, textOf } from './fact.ts'
import type { ReviewedKey } from './review.ts'
import { type KeyRotation, rotationOf } from './rotation.ts'
import {
  boundedRows,
  byCount,
  type Counts,
  compareText,
  countsByName,
  firstRows,
  type Room,
  takePlace,
} from './rows.ts'

export interface Keys {
  take(fact: Fact): void
  told(when: KeysWhen): ToldKeys
}

export interface KeysWhen {
  /** ms: up to when it is reviewed, and when the first entry of all was written. */
  readonly to: number
  readonly begins: number
}

export interface ToldKeys {
  readonly rows: readonly ReviewedKey[]
  readonly others: number
  /** Of all keys, by name: overdue, and with a rotation that failed and was not made good. */
  readonly overdue: readonly string[]
  readonly failedToRotate: readonly string[]
  /** Entries of keys that found no room. */
  readonly leftOut: number
}

interface Row {
  readonly identity: string
  slug: string | undefined
  keyType: string | undefined
  latestVersion: number | undefined
  status: string | undefined
  /** Before its deletion was scheduled. */
  statusBefore: string | undefined
  createdAt: number | undefined
  lastUsedAt: number | undefined
  readonly uses: Counts
  failures: number
  readonly decrypts: Map<string, { count: number }>
  readonly rotation: KeyRotation
}

const unusedMs = 90 * 86_400_000
const mostDecryptors = 10

const cryptoActions: ReadonlySet<string> = new Set([
  ...['kms.encrypt', 'kms.decrypt', 'kms.sign', 'kms.verify', 'kms.hmac', 'kms.verify_hmac'],
  ...['kms.generate_data_key', 'kms.re_encrypt'],
])

/** Actions that tell a version which is the newest from then on. */
const makesVersion: readonly string[] = [
  ...['kms_key.create', 'kms_key.import', 'kms_key.import_version', 'kms.rotate', 'kms.rotate.scheduled'],
]

export function collectKeys(room: Room): Keys {
  const rows = boundedRows<Row>(rowOf)
  const bySlug = new Map<string, Row>()

  return {
    take(fact) {
      if (!fact.isCall) return
      const row = fact.key === undefined ? named(fact) : rows.of(fact.key)
      if (row === undefined) return
      const { keySlug, keyType } = fact.entry
      if (fact.key !== undefined) name(row, { slug: textOf(keySlug), keyType: textOf(keyType) }, fact.entry)
      if (cryptoActions.has(fact.action)) use(row, fact)
      else change(row, fact)
      if (fact.within) tally(row, fact)
    },
    told(when) {
      const all = rows.all().map(([, row]) => ({ row, key: keyOf(row, when) }))
      all.sort(({ key: a }, { key: b }) => compareText(a.slug ?? a.identity, b.slug ?? b.identity))
      const { rows: first, others } = firstRows(all.map(({ key }) => key))
      const nameOf = keyNames(all.map(({ key }) => key))
      const overdue = all.filter(({ key }) => key.rotation.state === 'overdue')
      const failed = all.filter(({ row }) => row.rotation.hasFailed)
      return {
        ...{ rows: first, others, leftOut: rows.leftOut },
        overdue: overdue.map(({ key }) => nameOf(key)),
        failedToRotate: failed.map(({ key }) => nameOf(key)),
      }
    },
  }

  /** Of a refused call: the key that it asked for, if there is one of that name. */
  function named({ asked, entry }: Fact): Row | undefined {
    return asked === undefined ? undefined : (rows.get(asked) ?? bySlug.get(scoped(asked, entry)))
  }

  function name(row: Row, { slug, keyType }: Named, entry: AuditEntry): void {
    if (slug !== undefined && slug !== row.slug) {
      row.slug = slug
      bySlug.set(scoped(slug, entry), row)
    }
    row.keyType ??= keyType
  }

  function use(row: Row, { entry, at, outcome }: Fact): void {
    if (outcome !== 'success') return
    used(row, at)
    if (entry.latestVersion !== false) version(row, entry.keyVersion)
    // What was sealed anew was sealed by another key.
    const { identity, slug, keyType, keyVersion } = entry.details?.destinationKey ?? {}
    const second = textOf(identity) === undefined ? undefined : rows.of(textOf(identity) ?? '')
    if (second === undefined) return
    name(second, { slug: textOf(slug), keyType: textOf(keyType) }, entry)
    used(second, at)
    version(second, keyVersion)
  }

  function tally(row: Row, { action, outcome, weight, actor }: Fact): void {
    if (outcome === 'failure') row.failures += weight
    if (outcome !== 'success') return
    row.uses.add(action, weight)
    if (action !== 'kms.decrypt') return
    const known = row.decrypts.get(actor)
    if (known !== undefined) known.count += weight
    else if (takePlace(room)) row.decrypts.set(actor, { count: weight })
  }
}

interface Named {
  readonly slug: string | undefined
  readonly keyType: string | undefined
}

/** A slug is that of one key within its region and project. */
function scoped(slug: string, { region, project }: AuditEntry): string {
  return JSON.stringify([region, project, slug])
}

function rowOf(identity: string): Row {
  return {
    ...{ identity, slug: undefined, keyType: undefined, latestVersion: undefined },
    ...{ status: undefined, statusBefore: undefined, createdAt: undefined, lastUsedAt: undefined },
    ...{ uses: countsByName(), failures: 0, decrypts: new Map(), rotation: rotationOf() },
  }
}

function used(row: Row, at: number): void {
  row.lastUsedAt = Math.max(row.lastUsedAt ?? at, at)
  // A key that is not active refuses: what nothing told before is plain now.
  row.status ??= 'active'
}

function version(row: Row, keyVersion: unknown): void {
  const told = countOf(keyVersion)
  if (told !== undefined) row.latestVersion = Math.max(row.latestVersion ?? told, told)
}

function change(row: Row, fact: Fact): void {
  const { entry, at, action, outcome } = fact
  row.rotation.take(fact)
  if (outcome === 'failure') return
  // What is made anew begins with version 1, and says nothing of it.
  if (makesVersion.includes(action)) version(row, entry.keyVersion ?? (isMade(action) ? 1 : undefined))
  if (isMade(action)) row.createdAt ??= at
  const next = statusAfter(row, action)
  if (next === undefined) return
  // Recovery found an intent of which nobody can tell whether it was carried out.
  const isKnown = outcome === 'success'
  if (action === 'kms_key.delete') row.statusBefore = row.status
  row.status = isKnown ? next.status : undefined
}

function isMade(action: string): boolean {
  return action === 'kms_key.create' || action === 'kms_key.import'
}

/** Undefined for an action that leaves it as it is. */
function statusAfter({ statusBefore }: Row, action: string): { readonly status: string | undefined } | undefined {
  switch (action) {
    case 'kms_key.create':
    case 'kms_key.import':
    case 'kms_key.enable':
      return { status: 'active' }
    case 'kms_key.disable':
      return { status: 'disabled' }
    case 'kms_key.delete':
      return { status: 'pending_deletion' }
    case 'kms_key.cancel_deletion':
      return { status: statusBefore }
    case 'kms_key.destroy':
      return { status: 'destroyed' }
    default:
      return undefined
  }
}

function keyOf(row: Row, when: KeysWhen): ReviewedKey {
  const { identity, slug, keyType, latestVersion, status, createdAt, lastUsedAt, uses, failures, decrypts } = row
  const decryptors = [...decrypts].map(([actor, { count }]) => ({ actor, count }))
  decryptors.sort(
    byCount(
      ({ count }) => count,
      ({ actor }) => actor,
    ),
  )
  return defined({
    ...{ identity, slug, keyType, latestVersion, status },
    createdAt: createdAt === undefined ? undefined : momentText(createdAt),
    uses: Object.fromEntries(uses.all),
    failures,
    decryptedBy: decryptors.slice(0, mostDecryptors),
    decryptors: decryptors.length,
    lastUsedAt: lastUsedAt === undefined ? undefined : momentText(lastUsedAt),
    unused: isUnused(row, when),
    rotation: row.rotation.told(status, when.to),
  })
}

function isUnused({ status, createdAt, lastUsedAt }: Row, { to, begins }: KeysWhen): boolean | undefined {
  if (status === 'destroyed') return false
  const since = lastUsedAt ?? createdAt
  if (since !== undefined) return to - since >= unusedMs
  // It was made before the first entry, and no use of it is among them.
  return to - begins >= unusedMs ? true : undefined
}

/** What each is called: its slug, and its identity besides where another has the same, of another project or destroyed since. */
export function keyNames(keys: readonly ReviewedKey[]): (key: ReviewedKey) => string {
  const times = new Map<string | undefined, number>()
  for (const { slug } of keys) times.set(slug, (times.get(slug) ?? 0) + 1)
  return ({ slug, identity }) => {
    if (slug === undefined) return identity
    return times.get(slug) === 1 ? slug : `${slug}/${identity}`
  }
}
