/** @node `--dir`: a keystore and its trail, opened together for the verbs that use keys. */
import { userInfo } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import type { AuditOptions } from '../audit/audit.ts'
import { KmsClient } from '../client.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import type { Reason, RequestContext } from '../model/context.ts'
import { KmsError } from '../model/errors.ts'
import { defaultLimits, type Limits } from '../model/operation.ts'
import { version } from '../model/version.ts'
import { newestNumber } from '../providers/local/generations.ts'
import { type LocalKms, openLocalKms } from '../providers/local/open.ts'
import type { RootKeyOptions } from '../providers/local/root-key.ts'
import { nodeFileSystem } from '../storage/filesystem.ts'
import { findInstances } from '../trail/layout.ts'
import { openTrail } from '../trail/open.ts'
import type { Trail } from '../trail/trail.ts'
import { type CommandLine, usageError } from './command.ts'
import { largestInput } from './limits.ts'
import { installedMlDsa } from './ml-dsa.ts'
import { say } from './output.ts'
import { rootKeyOf } from './root-key.ts'

export interface Home {
  readonly folder: string
  readonly keys: string
  readonly audit: string
}

export function homeOf(line: CommandLine): Home {
  const { KEYTRAIL_DIR: fromEnvironment = '' } = process.env
  return homeAt(line.text('dir') ?? (fromEnvironment === '' ? 'keytrail' : fromEnvironment))
}

export function homeAt(folder: string): Home {
  return { folder, keys: join(folder, 'keys'), audit: join(folder, 'audit') }
}

/** What stands in a home: a verb that uses keys must not make a keystore or a trail by the way. */
export async function foundIn(home: Home): Promise<{ readonly keystore: boolean; readonly trail: boolean }> {
  const hasKeys = nodeFileSystem.status(home.keys)?.kind === 'folder'
  const keystore = hasKeys && (await newestNumber(nodeFileSystem, home.keys)) > 0
  return { keystore, trail: await holdsTrail(home.audit) }
}

async function holdsTrail(path: string): Promise<boolean> {
  try {
    return (await findInstances(nodeFileSystem, path)).length > 0
  } catch (error) {
    if (error instanceof KmsError && error.code === 'INVALID_INPUT') return false
    throw error
  }
}

export interface OpenHomeOptions {
  readonly rootKey: RootKeyOptions
  readonly context: RequestContext
  readonly region?: string
  readonly project?: string
  readonly takeOver?: boolean
  readonly allowFilesystem?: readonly string[]
  /** Why keys and a trail that do not fit are used all the same. */
  readonly rebind?: Reason
  readonly clock?: Clock
  /** Name of the writer in its entries; `cli` by default. */
  readonly instance?: string
  /** Context that an action must have; by default who and why for an export. */
  readonly require?: AuditOptions['require']
  /** Within which each call settles, ms; a minute by default. */
  readonly deadlineMs?: number
  /** Files by default. */
  readonly limits?: Limits
}

/** An RSA-4096 key takes seconds to make, and a busy machine more. */
const longestCallMs = 60_000

const fileLimits: Limits = {
  ...defaultLimits,
  plaintext: largestInput,
  ciphertext: largestInput + 1024,
  input: largestInput,
}

const exportNeeds = { 'kms.export': ['actor', 'reason'] } as const

export interface OpenHome {
  readonly kms: KmsClient
  readonly local: LocalKms
  readonly trail: Trail
}

/**
 * Opens keystore and trail, and a client over them. The client closes both. Errors: those of `openLocalKms` and
 * `openTrail`; `LOCKED` only if the holder keeps the lock for five seconds; `ROLLED_BACK` here or from each call.
 */
export async function openHome(home: Home, options: OpenHomeOptions): Promise<OpenHome> {
  const { rootKey, context, clock = systemClock, takeOver = false, allowFilesystem = [], region, project } = options
  const { rebind, instance = 'cli', require = exportNeeds, deadlineMs = longestCallMs, limits = fileLimits } = options
  const shared = { takeOver, allowFilesystem, clock }
  const opened: { close(): Promise<void> }[] = []
  try {
    const mlDsa = await installedMlDsa()
    const local = await whenUnlocked(() =>
      openLocalKms({ path: home.keys, ...rootKey, ...(mlDsa && { mlDsa }), ...shared }),
    )
    opened.push(local)
    // Of a trail that ends before it, nothing must be cut; unless just that was accepted.
    const anchor = rebind === undefined ? local.binding()?.anchor : undefined
    const signer = local.auditSigner()
    const trail = await whenUnlocked(() =>
      openTrail({ path: home.audit, signer, ...(anchor && { anchor }), ...shared }),
    )
    opened.push(trail)
    const client = new KmsClient({
      provider: local,
      audit: { required: [trail], clock, instance, require },
      deadlineMs,
      limits,
      ...(region !== undefined && { region }),
      ...(project !== undefined && { project }),
      ...(rebind !== undefined && { rebind }),
    })
    return { kms: client.with(context), local, trail }
  } catch (error) {
    // The trail first: it signs its last checkpoint with a key of the keystore.
    for (const one of opened.reverse()) await one.close()
    throw error
  }
}

const lockWaitMs = 5000
const lockRetryMs = 50

/** Commands in one pipe, or under `xargs -P`, take turns. */
async function whenUnlocked<T>(open: () => Promise<T>): Promise<T> {
  const start = systemClock.monotonic()
  for (;;) {
    try {
      return await open()
    } catch (error) {
      const isLocked = error instanceof KmsError && error.code === 'LOCKED'
      if (!isLocked || systemClock.monotonic() - start > lockWaitMs) throw error
    }
    await new Promise<void>((resolve) => setTimeout(resolve, lockRetryMs))
  }
}

/** Runs `use` on the keys of `--dir`, and closes them before it resolves: what is printed afterwards is recorded. */
export function withKeys<T>(line: CommandLine, use: (kms: KmsClient) => Promise<T>): Promise<T> {
  return withHome(line, {}, ({ kms }) => use(kms))
}

/** The same with all that was opened; `options` say what the command line does not. */
export async function withHome<T>(
  line: CommandLine,
  options: Pick<OpenHomeOptions, 'instance' | 'require' | 'deadlineMs' | 'limits'> &
    Partial<Pick<OpenHomeOptions, 'context'>>,
  use: (opened: OpenHome) => Promise<T>,
): Promise<T> {
  const home = homeOf(line)
  const found = await foundIn(home)
  if (!found.keystore)
    throw new KmsError('INVALID_INPUT', `there are no keys in ${home.folder}: keytrail init --dir ${home.folder}`)
  if (!found.trail)
    throw new KmsError(
      'INVALID_INPUT',
      `${home.audit} holds no trail: put it back, or begin a new one with keytrail init`,
    )
  try {
    const rootKey = await rootKeyOf(line, 'existing')
    const opened = await openHome(home, { ...openingOf(line), rootKey, ...options })
    return await closingAfter(opened.kms, use(opened))
  } catch (error) {
    if (error instanceof KmsError && error.code === 'ROLLED_BACK' && !line.flag('json'))
      say(`${home.keys} and ${home.audit} are not of the same time. Put back the one that is too old, or go on
as they are with --accept-rollback REASON, once, which stands in the trail`)
    throw error
  }
}

/** `result` once the client is closed too. */
export async function closingAfter<T>(kms: KmsClient, result: Promise<T>): Promise<T> {
  const settled = await result.then(
    (value) => ({ value }),
    async (error: unknown) => {
      // Why the call failed tells more than why closing failed after it.
      await kms.close().catch(() => undefined)
      throw error
    },
  )
  await kms.close()
  return settled.value
}

/** What the options and the environment say about how to open, except for the root key. */
export function openingOf(line: CommandLine): Omit<OpenHomeOptions, 'rootKey'> {
  const { KEYTRAIL_REGION = '', KEYTRAIL_PROJECT = '' } = process.env
  const region = line.text('region') ?? KEYTRAIL_REGION
  const project = line.text('project') ?? KEYTRAIL_PROJECT
  const accepted = line.text('accept-rollback')
  return {
    context: contextOf(line),
    takeOver: line.flag('take-over'),
    allowFilesystem: line.list('allow-filesystem'),
    ...(region !== '' && { region }),
    ...(project !== '' && { project }),
    ...(accepted !== undefined && { rebind: { code: accepted } }),
  }
}

function contextOf(line: CommandLine): RequestContext {
  const code = line.text('reason')
  const ticket = line.text('ticket')
  if (code === undefined && ticket !== undefined) throw usageError("'--ticket' goes with '--reason'")
  if (code === undefined) return userContext()
  return { ...userContext(), reason: { code, ...(ticket !== undefined && { ticket }) } }
}

/** Who types, as the operating system knows them. */
export function userContext(): RequestContext {
  return { actor: { type: 'user', id: userName() }, userAgent: `keytrail-cli/${version}` }
}

/** Of the operating system, not of the environment, which anyone may set. */
function userName(): string {
  try {
    return userInfo().username
  } catch (error) {
    // A container may run under a number that has no name.
    const uid = process.getuid?.()
    if (uid === undefined) throw error
    return `uid-${uid}`
  }
}
