/** @node `openTrail`: the trail as a sink. */
import { join, resolve, sep } from 'node:path'
import { engine } from '#engine'
import { utf8 } from '../crypto/bytes.ts'
import { randomToken } from '../crypto/random.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import type { AuditEntry, SinkFacts } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import type { Signer } from '../model/signer.ts'
import type { AuditSink, Notice, Receipt } from '../model/sink.ts'
import { type FileSystem, nodeFileSystem } from '../storage/filesystem.ts'
import { checkFilesystem, filesystemOf } from '../storage/filesystem-type.ts'
import { acquireLock, type Lock } from '../storage/lock.ts'
import { checkPrivate, makePrivateFolder } from '../storage/private.ts'
import { createFile, replaceFile } from '../storage/replace.ts'
import { type About, formatAbout, parseAbout } from './about.ts'
import { originRule } from './commit.ts'
import { checkPath, type Layout, layoutOf, listSegments, readIfThere, statusOf } from './layout.ts'
import { type Log, openLog } from './log.ts'
import { noteSigner, noteVerifier } from './note.ts'
import { type Recovered, recoverTrail } from './recover.ts'
import { openSegments } from './segments.ts'
import { fileOfSigner } from './signer.ts'
import { openWatermark } from './watermark.ts'

export interface TrailOptions {
  /** Folder that holds one directory for each instance. Made if absent, with mode 0700. */
  readonly path: string
  /** This writer's directory below `path`: letters, digits, `.`, `_`, `-`. `main` by default. */
  readonly instance?: string
  /** `local.auditSigner()`, or a {@link fileSigner} kept outside the trail. */
  readonly signer: Signer
  /** What the trail is called in its checkpoints, for good; unique. Made from random characters by default. */
  readonly origin?: string
  /** Days for which retention may never drop an entry. Set when the trail is made, for good. */
  readonly minRetentionDays?: number
  /** A segment file that has grown to so many bytes is followed by another; 64 MiB by default. */
  readonly segmentBytes?: number
  /** Take the lock from a holder on another host or boot that is gone for sure. */
  readonly takeOver?: boolean
  /** File systems used although they are refused by default, such as `tmpfs` or `nfs`. */
  readonly allowFilesystem?: readonly string[]
  readonly clock?: Clock
  readonly fs?: FileSystem
}

/**
 * A sink whose entries are on the disk, in the tree, and signed, when `write` resolves. One writer at a time; anyone may
 * read with `readTrail` and check with `verifyTrail` meanwhile.
 */
export interface Trail extends AuditSink {
  readonly name: 'trail'
  readonly durability: 'synced'
  /** This instance's directory. */
  readonly path: string
  readonly origin: string
  /** Hand it to whoever verifies, by a way that does not lead through this machine. */
  readonly vkey: string
  /** Entries that are safe. */
  readonly size: bigint
  /**
   * One batch: one write, one sync. After a failure nothing of the batch counts: it is cut off and kept in `quarantine/`,
   * and the trail goes on in a new segment when the batch comes again. An entry is in the trail once, then; only an entry
   * whose acknowledgement was lost with the process may be handed in, and stand, twice.
   *
   * Errors: `PROVIDER_UNAVAILABLE` (disk), `LOCKED` (another process took over), `CLOSED`, `INTERNAL` (a second write
   * before the first has settled), `INVALID_INPUT` (an entry of more than a megabyte).
   */
  write(entries: readonly AuditEntry[]): Promise<Receipt>
  /** Intents that stood without a result when the trail was opened, and still do. */
  openIntents(): Promise<readonly AuditEntry[]>
  readonly facts: SinkFacts
  readonly notices: readonly Notice[]
  /** Publishes the checkpoint of what is safe. */
  flush(): Promise<void>
  /** Waits for a write under way, publishes the checkpoint and gives the lock back. Idempotent. */
  close(): Promise<void>
}

/**
 * Opens the trail for writing, or makes it. What a crash tore is cut off and kept (`notices` tell); a trail that is
 * damaged otherwise is refused.
 *
 * Errors: `INVALID_INPUT` (options, another signer or origin than the trail's, a file system or mode that is not safe),
 * `LOCKED`, `INTERNAL` (damage), `PROVIDER_UNAVAILABLE` (disk).
 *
 * @example
 * ```ts
 * const trail = await openTrail({ path: './audit', signer: local.auditSigner() })
 * const kms = new KmsClient({ provider: local, audit: { required: [trail] } })
 * ```
 */
export async function openTrail(options: TrailOptions): Promise<Trail> {
  checkOptions(options)
  const { path, instance = 'main', signer, allowFilesystem = [], takeOver = false } = options
  const { clock = systemClock, fs = nodeFileSystem } = options
  const layout = layoutOf(join(path, instance))
  refuseKeyInside(signer, layout)
  await makePrivateFolder(fs, layout.segments)
  const filesystem = await filesystemOf(fs, layout.folder)
  const warnings = [checkFilesystem(filesystem, allowFilesystem).warning, checkPrivate(fs, layout.folder)]
  const lock = await acquireLock(fs, layout.folder, { takeOver, clock })
  try {
    return await openLocked({ options, fs, clock, layout, lock, filesystem, warnings: warnings.filter(isText) })
  } catch (error) {
    await lock.release()
    throw error
  }
}

interface Opening {
  readonly options: TrailOptions
  readonly fs: FileSystem
  readonly clock: Clock
  readonly layout: Layout
  readonly lock: Lock
  readonly filesystem: string
  readonly warnings: readonly string[]
}

async function openLocked({ options, fs, clock, layout, lock, filesystem, warnings }: Opening): Promise<Trail> {
  const about = (await readAbout(fs, layout)) ?? (await makeAbout(fs, layout, { options, clock }))
  const { origin } = about
  const signer = noteSigner(engine, origin, options.signer)
  const { vkey } = signer
  checkSame(options, about, vkey)

  const verifier = noteVerifier(engine, vkey)
  const recovered = await recoverTrail({ fs, engine, layout, origin, verifier })
  const { intents } = recovered
  const log = openLog({ engine, origin, signer, tree: recovered.tree })
  if (!('text' in verifier.open(log.checkpoint())))
    throw new KmsError('INVALID_INPUT', 'signer does not sign with the key that its publicKey names')
  const published = recovered.published ?? (await publishFirst(fs, layout, log))
  const watermark = openWatermark({ fs, layout, clock, published, check: lock.check })
  watermark.advance(log.checkpoint())
  const segments = await openSegments({
    fs,
    engine,
    layout,
    clock,
    segmentBytes: options.segmentBytes ?? 64 * 1024 * 1024,
    ...(recovered.resume !== undefined && { resume: recovered.resume }),
    onSeal: () => watermark.advance(log.checkpoint()),
  })

  let state: 'idle' | 'writing' | 'closed' = 'idle'
  let closing: Promise<void> | undefined

  function begin(): void {
    if (state === 'closed') throw new KmsError('CLOSED', 'the trail is closed')
    if (state === 'writing') throw new KmsError('INTERNAL', 'the trail is being written: one batch at a time')
    lock.check()
    state = 'writing'
  }

  async function giveBack(): Promise<void> {
    try {
      await segments.close()
      await watermark.publish()
    } finally {
      await lock.release()
    }
  }

  return {
    name: 'trail',
    durability: 'synced',
    path: layout.folder,
    origin,
    vkey,
    get size() {
      return log.size
    },
    facts: { filesystem, size: String(log.size), vkey, ...(warnings.length > 0 && { warnings }) },
    notices: noticesOf(recovered),
    async write(entries) {
      if (entries.length === 0) return log.receipt()
      begin()
      try {
        const batch = log.prepare(entries)
        await segments.append(batch.bytes, log.size)
        log.accept(batch)
        watermark.advance(batch.note)
        intents.written(entries)
        return batch.receipt
      } finally {
        if (state === 'writing') state = 'idle'
      }
    },
    openIntents: async () => intents.open,
    flush: () => watermark.publish(),
    close() {
      state = 'closed'
      closing ??= giveBack()
      return closing
    },
  }
}

const instanceRule = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

function checkOptions({ path, instance = 'main', signer, origin, minRetentionDays, segmentBytes }: TrailOptions): void {
  checkPath(path)
  if (!instanceRule.test(instance))
    throw new KmsError('INVALID_INPUT', 'instance must be 1–63 letters, digits, dots, underscores or hyphens')
  if (origin !== undefined && !originRule.test(origin))
    throw new KmsError(
      'INVALID_INPUT',
      'origin must be 1–200 printable ASCII characters without space, quote, + and \\',
    )
  if (signer?.publicKey?.length !== 32) throw new KmsError('INVALID_INPUT', 'signer must have an Ed25519 public key')
  if (minRetentionDays !== undefined && !isPositive(minRetentionDays))
    throw new KmsError('INVALID_INPUT', 'minRetentionDays must be a whole number above 0')
  if (segmentBytes !== undefined && !isPositive(segmentBytes))
    throw new KmsError('INVALID_INPUT', 'segmentBytes must be a whole number above 0')
}

function isPositive(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0
}

function isText(value: string | undefined): value is string {
  return value !== undefined
}

/** A key beside the entries it signs protects nothing: who can change the one can use the other. */
function refuseKeyInside(signer: Signer, layout: Layout): void {
  const file = fileOfSigner(signer)
  if (file === undefined || !file.startsWith(resolve(layout.folder, '..') + sep)) return
  throw new KmsError('INVALID_INPUT', `${file} lies inside the trail's folder: keep the signing key elsewhere`)
}

async function readAbout(fs: FileSystem, layout: Layout): Promise<About | undefined> {
  const bytes = await readIfThere(fs, layout.about)
  if (bytes === undefined) {
    const empty = (await listSegments(fs, layout)).length === 0 && statusOf(fs, layout.checkpoint) === undefined
    if (empty) return undefined
    throw new KmsError('INTERNAL', `${layout.about} is missing: put it back, or verify with the key kept elsewhere`)
  }
  const about = parseAbout(bytes)
  if (about !== undefined && originRule.test(about.origin)) return about
  throw new KmsError('INTERNAL', `${layout.about} is damaged, or of a version that this one does not know`)
}

interface Making {
  readonly options: TrailOptions
  readonly clock: Clock
}

async function makeAbout(fs: FileSystem, layout: Layout, { options, clock }: Making): Promise<About> {
  const { origin = `keytrail/${randomToken()}`, minRetentionDays, signer } = options
  const { vkey } = noteSigner(engine, origin, signer)
  const about: About = {
    origin,
    vkeys: [{ vkey, fromIndex: 0 }],
    ...(minRetentionDays !== undefined && { minRetentionDays }),
    createdAt: new Date(clock.now()).toISOString(),
  }
  await createFile(fs, layout.about, formatAbout(about))
  return about
}

function checkSame(options: TrailOptions, about: About, vkey: string): void {
  const { origin, minRetentionDays } = options
  if (origin !== undefined && origin !== about.origin)
    throw new KmsError('INVALID_INPUT', `the trail is called ${about.origin}, not ${origin}: leave origin out`)
  if (minRetentionDays !== undefined && minRetentionDays !== about.minRetentionDays)
    throw new KmsError('INVALID_INPUT', `minRetentionDays was set to ${about.minRetentionDays ?? 'nothing'} for good`)
  const current = about.vkeys.at(-1)?.vkey
  if (current !== vkey)
    throw new KmsError(
      'INVALID_INPUT',
      `the trail is signed by ${current}, not by ${vkey}: open it with its own signer`,
    )
}

/** From the start there is a checkpoint, so that one that is missing later was taken away. */
async function publishFirst(fs: FileSystem, layout: Layout, log: Log): Promise<string> {
  const note = log.checkpoint()
  await replaceFile(fs, layout.checkpoint, utf8(note))
  return note
}

function noticesOf({ cut }: Recovered): readonly Notice[] {
  return cut === undefined ? [] : [{ action: 'audit.recovered', details: cut }]
}
