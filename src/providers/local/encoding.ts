/** A keystore as bytes, before it is sealed. */
import { everyAlgorithm } from '../../crypto/every-algorithm.ts'
import type { ImportableKeyType, KeyStatus } from '../../model/key.ts'
import type { Receipt } from '../../model/sink.ts'
import { binaryReader, binaryWriter, malformed, type Reader, type Writer } from './binary.ts'
import type { Keystore, RetiredKey, StoredKey, StoredVersion, UsageCount } from './keystore.ts'

const statuses: readonly KeyStatus[] = ['active', 'disabled', 'pending_deletion']

/** Secret: whoever asked for it wipes it. */
export function encodeKeystore(keystore: Keystore): Uint8Array {
  const out = binaryWriter()
  out.text(keystore.id)
  out.integer(keystore.generation)
  out.bytes(keystore.signerSeed)
  out.list(keystore.formerSeeds, out.bytes)
  out.optional(keystore.anchor, (anchor) => writeAnchor(out, anchor))
  out.list(keystore.changes.operationIDs, out.text)
  out.optional(keystore.changes.forgotten, out.text)
  out.list(keystore.keys, (key) => writeKey(out, key))
  out.list(keystore.retired, (key) => writeRetired(out, key))
  out.optional(keystore.wrappingKey, out.bytes)
  out.list(keystore.usage, (count) => writeUsage(out, count))
  out.bytes(keystore.usageKey)
  return out.finish()
}

/** The keystore that `bytes` encode, or `INTERNAL` for anything that `encodeKeystore` would not give. */
export function decodeKeystore(bytes: Uint8Array): Keystore {
  const from = binaryReader(bytes)
  const id = from.text()
  const generation = from.integer()
  const signerSeed = from.bytes()
  const formerSeeds = from.list(from.bytes)
  const anchor = from.optional(() => readAnchor(from))
  const operationIDs = from.list(from.text)
  const forgotten = from.optional(from.text)
  const keys = from.list(() => readKey(from))
  const retired = from.list(() => readRetired(from))
  const wrappingKey = from.optional(from.bytes)
  const usage = from.list(() => readUsage(from))
  const usageKey = from.bytes()
  from.end()
  if ([usageKey, signerSeed, ...formerSeeds].some(({ length }) => length !== 32)) throw malformed()
  return {
    id,
    generation,
    keys,
    retired,
    ...(wrappingKey !== undefined && { wrappingKey }),
    usage,
    usageKey,
    signerSeed,
    formerSeeds,
    ...(anchor !== undefined && { anchor }),
    changes: { operationIDs, ...(forgotten !== undefined && { forgotten }) },
  }
}

function writeAnchor(out: Writer, { origin, size, root }: Receipt): void {
  out.text(origin)
  out.big(size)
  out.bytes(root)
}

function readAnchor(from: Reader): Receipt {
  return { origin: from.text(), size: from.big(), root: from.bytes() }
}

function writeKey(out: Writer, key: StoredKey): void {
  out.text(key.identity)
  out.text(key.slug)
  out.text(key.name)
  out.optional(key.description, out.text)
  out.optional(key.labels, (labels) => writeTexts(out, labels))
  out.optional(key.annotations, (annotations) => writeTexts(out, annotations))
  out.optional(key.region, out.text)
  out.optional(key.project, out.text)
  out.text(key.keyType)
  out.byte(statuses.indexOf(key.status))
  out.optional(key.statusBefore, (status) => out.byte(statuses.indexOf(status)))
  out.optional(key.deletionScheduledAt, out.integer)
  out.flag(key.exportAllowed)
  out.flag(key.keyRotationEnabled)
  out.optional(key.rotationPeriodInDays, out.integer)
  out.integer(key.createdAt)
  out.integer(key.updatedAt)
  out.integer(key.objectVersion)
  out.optional(key.imported, ({ allowRotation }) => out.flag(allowRotation))
  out.optional(key.minDecryptionVersion, out.integer)
  out.list(key.versions, ({ version, createdAt, material }) => {
    out.integer(version)
    out.integer(createdAt)
    out.bytes(material)
  })
}

function readKey(from: Reader): StoredKey {
  const identity = from.text()
  const slug = from.text()
  const name = from.text()
  const description = from.optional(from.text)
  const labels = from.optional(() => readTexts(from))
  const annotations = from.optional(() => readTexts(from))
  const region = from.optional(from.text)
  const project = from.optional(from.text)
  const keyType = readKeyType(from)
  const status = readStatus(from)
  const statusBefore = from.optional(() => readStatus(from))
  const deletionScheduledAt = from.optional(from.integer)
  const exportAllowed = from.flag()
  const keyRotationEnabled = from.flag()
  const rotationPeriodInDays = from.optional(from.integer)
  const createdAt = from.integer()
  const updatedAt = from.integer()
  const objectVersion = from.integer()
  const allowRotation = from.optional(from.flag)
  const minDecryptionVersion = from.optional(from.integer)
  const versions = readVersions(from, keyType)
  if (statusBefore === 'pending_deletion') throw malformed()
  return {
    identity,
    slug,
    name,
    ...(description !== undefined && { description }),
    ...(labels !== undefined && { labels }),
    ...(annotations !== undefined && { annotations }),
    ...(region !== undefined && { region }),
    ...(project !== undefined && { project }),
    keyType,
    status,
    ...(statusBefore !== undefined && { statusBefore }),
    ...(deletionScheduledAt !== undefined && { deletionScheduledAt }),
    exportAllowed,
    keyRotationEnabled,
    ...(rotationPeriodInDays !== undefined && { rotationPeriodInDays }),
    createdAt,
    updatedAt,
    objectVersion,
    ...(allowRotation !== undefined && { imported: { allowRotation } }),
    ...(minDecryptionVersion !== undefined && { minDecryptionVersion }),
    versions,
  }
}

function readVersions(from: Reader, keyType: ImportableKeyType): StoredVersion[] {
  const versions = from.list(() => ({ version: from.integer(), createdAt: from.integer(), material: from.bytes() }))
  const { valid } = everyAlgorithm[keyType]
  const isSound = ({ version, material }: StoredVersion, at: number) =>
    version > (versions[at - 1]?.version ?? 0) && version <= 0xffff_ffff && valid(material)
  if (versions.length === 0 || !versions.every(isSound)) throw malformed()
  return versions
}

function writeRetired(out: Writer, { identity, slug, region, project, destroyedAt }: RetiredKey): void {
  out.text(identity)
  out.text(slug)
  out.optional(region, out.text)
  out.optional(project, out.text)
  out.integer(destroyedAt)
}

function readRetired(from: Reader): RetiredKey {
  const identity = from.text()
  const slug = from.text()
  const region = from.optional(from.text)
  const project = from.optional(from.text)
  const destroyedAt = from.integer()
  return {
    identity,
    slug,
    ...(region !== undefined && { region }),
    ...(project !== undefined && { project }),
    destroyedAt,
  }
}

/** Also the content of the usage file. */
export function writeUsage(out: Writer, { identity, version, messages }: UsageCount): void {
  out.text(identity)
  out.integer(version)
  out.integer(messages)
}

export function readUsage(from: Reader): UsageCount {
  return { identity: from.text(), version: from.integer(), messages: from.integer() }
}

function readKeyType(from: Reader): ImportableKeyType {
  const keyType = from.text()
  if (!Object.hasOwn(everyAlgorithm, keyType)) throw malformed()
  return keyType as ImportableKeyType // a name of the table
}

function readStatus(from: Reader): KeyStatus {
  const status = statuses[from.byte()]
  if (status === undefined) throw malformed()
  return status
}

function writeTexts(out: Writer, texts: Readonly<Record<string, string>>): void {
  out.list(Object.entries(texts), ([name, text]) => {
    out.text(name)
    out.text(text)
  })
}

function readTexts(from: Reader): Readonly<Record<string, string>> {
  return Object.fromEntries(from.list((): [string, string] => [from.text(), from.text()]))
}
