/** @node What must hold of a keystore and its trail whatever befell them: promises P1, P2, P4 and P5 of DESIGN.md §1. */
import { join } from 'node:path'
import type { AuditEntry } from '../../src/model/entry.ts'
import type { Key } from '../../src/model/key.ts'
import { operations } from '../../src/model/operation.ts'
import { auditOf, type House, openHouse, type Place } from './house.ts'
import { archivedEntries, committedEntries, isArchive } from './lines.ts'
import type { Product } from './product.ts'
import { plaintextOf, type Seen, signedInput } from './seen.ts'

export interface Case {
  readonly product: Product
  /** Where it is looked at: by a process that opens it anew. */
  readonly place: Place
  /** What a caller has in hand. */
  readonly seen: readonly Seen[]
}

/** What does not hold, a sentence each. Opens the house, lets it recover, uses it, and closes it. */
export async function judge({ product, place, seen }: Case): Promise<readonly string[]> {
  const wrong: string[] = []
  const found = await verdictOf(product, place)
  if (/^(tampered|rolled-back|forked)/.test(found)) wrong.push(`P4: a trail that nobody touched is called ${found}`)
  let house: House
  try {
    house = await openHouse(product, place)
  } catch (error) {
    return [...wrong, `P5: it cannot be opened again: ${error}`]
  }
  try {
    await house.kms.ready()
    await settled(place, { house, seen, wrong })
  } catch (error) {
    wrong.push(`P5: what was opened again does not work: ${error}`)
  }
  const { vkey } = house.trail
  await house.kms.close().catch((error) => wrong.push(`it cannot be closed: ${error}`))
  await house.local.close?.()
  const verdict = await verdictOf(product, place, vkey)
  if (verdict !== 'valid') wrong.push(`P4: after it was opened and closed the trail is ${verdict}`)
  const archives = badArchives(product, place).catch((error) => [`P4: an archive cannot be verified: ${error}`])
  return [...wrong, ...(await archives)]
}

/** With what an outsider keeps: the pin that the trail left beside itself, and the key if it is known. */
async function verdictOf(product: Product, { folder, fs }: Place, vkey?: string): Promise<string> {
  const pin = join(folder, 'pin')
  const given = { fs, ...(vkey !== undefined && { vkey }), ...(fs.status(pin) !== undefined && { pin }) }
  try {
    const { verdict, problem, unsignedTail } = await product.verifyTrail(auditOf({ folder }), given)
    if (verdict === 'valid') return vkey !== undefined && unsignedTail !== undefined ? 'valid with a tail' : 'valid'
    return `${verdict}: ${problem}`
  } catch (error) {
    return String(error)
  }
}

/** What was pruned verifies where it went, by the key that signed it then, which may not be the present one. */
async function badArchives(product: Product, { folder, fs }: Place): Promise<readonly string[]> {
  const wrong: string[] = []
  for (const name of await fs.list(folder)) {
    if (!isArchive(name)) continue
    const { verdict, problem } = await product.verifyTrail(join(folder, name), { fs })
    if (verdict !== 'valid') wrong.push(`P4: ${name} is ${verdict}: ${problem}`)
  }
  return wrong
}

interface Judging {
  readonly house: House
  readonly seen: readonly Seen[]
  readonly wrong: string[]
}

async function settled(place: Place, { house, seen, wrong }: Judging): Promise<void> {
  const { kms, trail } = house
  const open = await trail.openIntents()
  if (open.length > 0) wrong.push(`P2: ${open.length} intents stay open`)
  const inTrail = await committedEntries(place.fs, trail.path)
  if (new Set(inTrail.map(({ eventID }) => eventID)).size !== inTrail.length) wrong.push('an entry stands twice')
  // A prune that did not come to its end has archived what is still there.
  const archived = await archivedEntries(place.fs, place.folder)
  const byID = new Map([...archived, ...inTrail].map((entry) => [entry.eventID, entry]))
  const entries = [...byID.values()]
  for (const result of seen) wrong.push(...unrecorded(result, byID.get(result.eventID)))
  wrong.push(...unfinished(entries))

  const { keys } = await kms.listKeys()
  wrong.push(...unlike(entries, keys))
  for (const { slug: key, status } of keys) {
    if (status === 'pending_deletion') await kms.cancelKeyDeletion({ key })
    if (status === 'disabled') await kms.enableKey({ key })
  }
  for (const result of seen) wrong.push(...(await unusable(house, result)))
}

/** P1 and P5: what left the client has its entry, and that says what happened. */
function unrecorded({ operation, key, version }: Seen, entry: AuditEntry | undefined): readonly string[] {
  if (entry === undefined) return [`P1: ${operation} ${key} was released and is not in the trail`]
  const same =
    entry.action === operations[operation].action &&
    entry.outcome === 'success' &&
    (key === '' || entry.keySlug === key) &&
    (version === undefined || entry.keyVersion === version)
  return same ? [] : [`P1: ${operation} ${key} was released, but its entry says ${entry.action} ${entry.outcome}`]
}

/** P2: each intent has one result after it, and an embedded keystore knows what became of it. */
function unfinished(entries: readonly AuditEntry[]): readonly string[] {
  const wrong: string[] = []
  const open = new Set<string>()
  for (const { operationID = '', phase, outcome, action } of entries) {
    if (phase === 'intent') open.add(operationID)
    if (phase !== 'result' || operationID === '') continue
    if (!open.delete(operationID)) wrong.push(`P2: ${action} has a result without an intent, or two`)
    if (outcome === 'unknown') wrong.push(`P2: nobody knows what became of ${action}`)
  }
  if (open.size > 0) wrong.push(`P2: ${open.size} intents have no result`)
  return wrong
}

/** P2: the keystore has the keys, versions and states that the trail tells of, no more and no less. */
function unlike(entries: readonly AuditEntry[], keys: readonly Key[]): readonly string[] {
  const told = new Map<string, { versions: number; status: string }>()
  for (const { action, phase, outcome, keySlug = '' } of entries) {
    if (phase !== 'result' || outcome !== 'success') continue
    const versions = told.get(keySlug)?.versions ?? 0
    const status = statuses[action] ?? told.get(keySlug)?.status ?? ''
    if (action === 'kms_key.create' || action === 'kms.rotate') told.set(keySlug, { versions: versions + 1, status })
    else if (statuses[action] !== undefined) told.set(keySlug, { versions, status })
  }
  const there = new Map(keys.map(({ slug, latestVersion: versions, status }) => [slug, { versions, status }]))
  const text = (state: { versions: number; status: string } | undefined) =>
    state === undefined ? 'no such key' : `${state.versions} versions, ${state.status}`
  return [...new Set([...told.keys(), ...there.keys()])]
    .filter((slug) => text(told.get(slug)) !== text(there.get(slug)))
    .map((slug) => `P2: of ${slug} the trail tells ${text(told.get(slug))}; there is ${text(there.get(slug))}`)
}

/** What each leaves a key in; a key whose deletion is cancelled was active before, in these runs. */
const statuses: Readonly<Record<string, string>> = {
  'kms_key.create': 'active',
  'kms_key.enable': 'active',
  'kms_key.disable': 'disabled',
  'kms_key.delete': 'pending_deletion',
  'kms_key.cancel_deletion': 'active',
}

/** P5: each acknowledged key version still opens what it sealed, and verifies what it signed. */
async function unusable({ kms }: House, { operation, key, version, bytes }: Seen): Promise<readonly string[]> {
  if (bytes === undefined) return []
  const sample = Uint8Array.from(Buffer.from(bytes, 'base64'))
  try {
    if (operation === 'sign') {
      const { valid } = await kms.call('verify', { key, input: signedInput, signature: sample })
      return valid ? [] : [`P5: a signature of ${key} v${version} does not verify`]
    }
    const { plaintext } = await kms.decrypt({ key, ciphertext: sample })
    return Buffer.from(plaintext).equals(plaintextOf(key)) ? [] : [`P5: ${key} v${version} opened as something else`]
  } catch (error) {
    return [`P5: what ${key} v${version} made cannot be used: ${error}`]
  }
}
