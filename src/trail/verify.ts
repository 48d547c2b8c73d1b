/** @node `verifyTrail`: every byte again, and one verdict. */
import { engine } from '#engine'
import { equal, fromUtf8 } from '../crypto/bytes.ts'
import { KmsError } from '../model/errors.ts'
import { type FileSystem, nodeFileSystem } from '../storage/filesystem.ts'
import { type About, parseAbout } from './about.ts'
import { findInstances, type Instance, listSegments, readIfThere, type Segment, statusOf } from './layout.ts'
import { type NoteVerifier, noteVerifier } from './note.ts'
import { type Finding, replaySegment } from './replay.ts'
import { emptyTree, type Tree } from './tree.ts'
import { readWatermark } from './watermark.ts'

/** `unverifiable`: no key to verify with, which is not tampering. */
export type VerdictKind = 'valid' | 'tampered' | 'unverifiable'

export interface InstanceVerdict {
  readonly instance: string
  readonly verdict: VerdictKind
  /** What the verdict rests on besides the key. `none`: whoever has machine and key could have rewritten it. */
  readonly anchor: 'none'
  readonly origin?: string
  /** The key it was verified with. */
  readonly vkey?: string
  /** Entries that are as they were signed: all of them, or those before `index`. */
  readonly size: bigint
  /** RFC 6962 root over them. */
  readonly root: Uint8Array
  /** What follows the last good commit line, beyond the published checkpoint: a batch under way, or torn by a crash. */
  readonly unsignedTail?: { readonly bytes: number; readonly segment: string }
  /** What is wrong, and the first entry, segment file and line (from 1) that it concerns, where there is a place. */
  readonly problem?: string
  readonly index?: bigint
  /** A root tells which batch was changed, not which entry of it: the last one that `problem` may concern. */
  readonly lastIndex?: bigint
  readonly segment?: string
  readonly line?: number
  /** For people: what this verdict means. */
  readonly note: string
}

/** The worst of the instances' verdicts (the first of the worst), and all of them. */
export interface Verdict extends InstanceVerdict {
  readonly instances: readonly InstanceVerdict[]
}

export interface VerifyOptions {
  /** The key that the trail must be signed by, from outside its directory; several for several instances. */
  readonly vkey?: string | readonly string[]
  readonly onProgress?: (progress: VerifyProgress) => void
  readonly fs?: FileSystem
}

export interface VerifyProgress {
  readonly instance: string
  readonly bytes: number
  readonly totalBytes: number
}

/**
 * Verifies one instance's directory, or the parent of many: the whole tree from the exact bytes, and every commit line's
 * place, root and signature, the published checkpoint, and trail.json. A writer may be at work meanwhile.
 *
 * Errors: `INVALID_INPUT` (no trail there, or `vkey` is none), `PROVIDER_UNAVAILABLE` (a file cannot be read). Whatever
 * the files hold is a verdict.
 *
 * @example
 * ```ts
 * const { verdict, problem, segment, line } = await verifyTrail('./audit', { vkey: 'keytrail/prod+2a31…' })
 * ```
 */
export async function verifyTrail(path: string, options: VerifyOptions = {}): Promise<Verdict> {
  const { fs = nodeFileSystem, onProgress = () => {} } = options
  const given = [options.vkey ?? []].flat().map((vkey) => noteVerifier(engine, vkey))
  const instances: InstanceVerdict[] = []
  for (const instance of await findInstances(fs, path)) {
    instances.push(await verifyInstance({ fs, instance, given, onProgress }))
  }
  const worst = instances.toSorted((a, b) => badness[b.verdict] - badness[a.verdict])[0]
  if (worst === undefined) throw new KmsError('INVALID_INPUT', `there is no trail at ${path}`)
  return { ...worst, instances }
}

const badness = { valid: 0, unverifiable: 1, tampered: 2 } as const

interface Verifying {
  readonly fs: FileSystem
  readonly instance: Instance
  readonly given: readonly NoteVerifier[]
  readonly onProgress: (progress: VerifyProgress) => void
}

async function verifyInstance(verifying: Verifying): Promise<InstanceVerdict> {
  const { fs, instance, given } = verifying
  const { layout, name } = instance
  const nothing = { instance: name, anchor: 'none', size: 0n, root: emptyTree(engine).root() } as const

  const about = await aboutOf(fs, instance)
  if (about === undefined) {
    const verdict = given.length > 0 ? 'tampered' : 'unverifiable'
    return { ...nothing, verdict, problem: 'trail.json is missing or damaged', note: 'nothing else was looked at' }
  }
  const { origin, verifier } = about
  const known = { ...nothing, origin, vkey: verifier.vkey } as const
  const choice = await choose(verifying, verifier)
  if (choice !== undefined) return { ...known, ...choice }

  // Before the segments: a writer at work only adds to what it covers.
  const watermark = await readWatermark(fs, layout, verifier)
  const segments = await listSegments(fs, layout)
  if (watermark.state === 'wrong') return { ...known, ...tampered({ problem: watermark.problem }) }
  if (watermark.state === 'missing' && segments.length > 0)
    return { ...known, ...tampered({ problem: 'the checkpoint file is missing' }) }
  const published = watermark.state === 'good' ? watermark.checkpoint : { origin, ...nothing }
  if (published.origin !== origin)
    return { ...known, ...tampered({ problem: `the checkpoint file is of another trail, ${published.origin}` }) }

  const whole = await replayAll({ ...verifying, segments, origin, verifier, published })
  const reached = { ...known, size: whole.tree.size, root: whole.tree.root() }
  if (whole.finding !== undefined) return { ...reached, ...tampered(whole.finding) }
  const note =
    given.length > 0 ? 'signed throughout by the key that was given' : 'self-consistent; key supplied by this directory'
  return { ...reached, verdict: 'valid', note, ...(whole.unsignedTail && { unsignedTail: whole.unsignedTail }) }
}

interface KnownTrail {
  readonly origin: string
  readonly verifier: NoteVerifier
}

async function aboutOf(fs: FileSystem, { layout }: Instance): Promise<KnownTrail | undefined> {
  const bytes = await readIfThere(fs, layout.about)
  const about = bytes && parseAbout(bytes)
  const verifier = about && verifierOf(about)
  return about && verifier?.name === about.origin ? { origin: about.origin, verifier } : undefined
}

function verifierOf({ vkeys }: About): NoteVerifier | undefined {
  try {
    return noteVerifier(engine, vkeys.at(-1)?.vkey ?? '')
  } catch (error) {
    if (error instanceof KmsError && error.code === 'INVALID_INPUT') return undefined
    throw error
  }
}

type Conclusion = Pick<InstanceVerdict, 'verdict' | 'note'> & Partial<Finding>

/** Undefined when the directory's own key is the one to verify with. */
async function choose({ fs, instance, given }: Verifying, own: NoteVerifier): Promise<Conclusion | undefined> {
  if (given.length === 0 || given.some(({ vkey }) => vkey === own.vkey)) return undefined
  const bytes = await readIfThere(fs, instance.layout.checkpoint)
  const published = (bytes && fromUtf8(bytes)) ?? ''
  if (given.some(({ name, open }) => name === own.name || 'text' in open(published)))
    return tampered({ problem: `trail.json names another key than the one given: ${own.vkey}` })
  return {
    verdict: 'unverifiable',
    problem: `no key was given for ${own.name}`,
    note: 'give this trail’s vkey, or none to check it against its own',
  }
}

function tampered(finding: Place): Conclusion {
  const note =
    finding.index === undefined
      ? 'the trail is not as its writer left it'
      : 'from here on the trail is not as its writer left it; what stands before is'
  return { verdict: 'tampered', ...finding, note }
}

interface Replaying extends Verifying {
  readonly segments: readonly Segment[]
  readonly origin: string
  readonly verifier: NoteVerifier
  readonly published: { readonly size: bigint; readonly root: Uint8Array }
}

type Place = Partial<Finding> & { readonly problem: string }

interface Whole {
  readonly tree: Tree
  readonly finding?: Place
  readonly unsignedTail?: { readonly bytes: number; readonly segment: string }
}

async function replayAll(replaying: Replaying): Promise<Whole> {
  const { fs, instance, segments, origin, verifier, published, onProgress } = replaying
  const totalBytes = segments.reduce((sum, { path }) => sum + (statusOf(fs, path)?.size ?? 0), 0)
  let bytesBefore = 0
  let tree = emptyTree(engine)
  let seen = published.size === 0n && equal(published.root, tree.root())
  let last: Finding | undefined
  let tail: Whole['unsignedTail']
  for (const segment of segments) {
    if (last !== undefined) return { tree, finding: last }
    if (segment.first !== tree.size) {
      const problem = segment.first > tree.size ? 'a segment is missing before this one' : 'the segment is out of place'
      return { tree, finding: { index: tree.size, segment: segment.name, line: 1, problem } }
    }
    const replayed = await replaySegment({
      fs,
      engine,
      segment,
      origin,
      tree,
      verifier,
      onCommit(size, root) {
        if (size === published.size) seen = equal(root, published.root)
      },
      onBytes: (read) => onProgress({ instance: instance.name, bytes: bytesBefore + read, totalBytes }),
    })
    bytesBefore += replayed.bytes + replayed.tailBytes
    tree = replayed.tree
    last = replayed.finding
    if (replayed.damaged) return { tree, ...(last && { finding: last }) }
    if (replayed.tailBytes > 0) tail = { bytes: replayed.tailBytes, segment: segment.name }
  }
  if (tree.size < published.size) return { tree, finding: last ?? cutShort(segments, tree, published.size) }
  if (!seen) return { tree, finding: { problem: 'the published checkpoint is not of these entries' } }
  return { tree, ...(tail && { unsignedTail: tail }) }
}

function cutShort(segments: readonly Segment[], tree: Tree, published: bigint): Place {
  const segment = segments.at(-1)
  const problem = `the trail ends after ${tree.size} entries, but ${published} were published as safe`
  return { index: tree.size, lastIndex: published - 1n, ...(segment && { segment: segment.name }), problem }
}
