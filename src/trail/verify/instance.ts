/** @node One instance's directory: its entries, and the files beside them. */
import { basename } from 'node:path'
import { engine } from '#engine'
import { equal, fromUtf8 } from '../../crypto/bytes.ts'
import { type FileSystem, readIfThere, statusOf } from '../../storage/filesystem.ts'
import { type About, parseAbout } from '../about.ts'
import { type Checkpoint, parseCheckpoint } from '../checkpoint.ts'
import { type Instance, listSegments, type Segment } from '../layout.ts'
import { type NoteVerifier, parseNote } from '../note.ts'
import { missing } from '../ranges/measure.ts'
import { believedRanges, rangesPath } from '../ranges/ranges.ts'
import { anchorOf, believed, type Claim, type Claims, claimsOn, type Given, strongest } from './anchors.ts'
import { conclude, type Judging, signsNow, weighAll } from './conclusion.ts'
import { type ChainKey, keyAt, namedKeys, signersAt } from './keys.ts'
import { type Start, startOf } from './start.ts'
import { type Conclusion, type InstanceVerdict, nothing, type Problem, tampered, unverifiable } from './verdict.ts'
import { type Walk, walk } from './walk.ts'

export interface Verifying {
  readonly fs: FileSystem
  readonly instance: Instance
  /** The keys given. */
  readonly keys: readonly NoteVerifier[]
  readonly anchors: Given
  readonly incremental: boolean
  readonly onProgress: (progress: VerifyProgress) => void
}

export interface VerifyProgress {
  readonly instance: string
  readonly bytes: number
  readonly totalBytes: number
}

export async function verifyInstance(verifying: Verifying): Promise<InstanceVerdict> {
  for (;;) {
    const before = await listSegments(verifying.fs, verifying.instance.layout)
    try {
      return await verifyOnce(verifying)
    } catch (error) {
      if (await areAllThere(verifying, before)) throw error
    }
  }
}

/** A writer that prunes or compresses meanwhile takes segments away: then they are listed anew. */
async function areAllThere({ fs, instance }: Verifying, before: readonly Segment[]): Promise<boolean> {
  const now = new Set((await listSegments(fs, instance.layout)).map(({ name }) => name))
  return before.every(({ name }) => now.has(name))
}

async function verifyOnce(verifying: Verifying): Promise<InstanceVerdict> {
  const { fs, instance, keys, incremental } = verifying
  const { layout, name } = instance
  const found = await aboutOf(fs, instance)
  if ('problem' in found) {
    const { problem, isUnknown } = found
    const note = 'nothing else was looked at'
    const conclusion = keys.length > 0 && !isUnknown ? { ...tampered({ problem }), note } : unverifiable(problem, note)
    return { instance: name, ...nothing, ...conclusion }
  }
  const { about, named } = found
  const { origin } = about
  const known = { instance: name, origin, vkey: (named.at(-1) ?? named[0]).verifier.vkey, ...nothing } as const
  if (keys.length > 0 && keys.every((key) => key.name !== origin)) {
    const note = 'give this trail’s vkey, or none to check it against its own'
    return { ...known, ...unverifiable(`no key was given for ${origin}`, note) }
  }

  // Before the segments: a writer at work only adds to what it covers.
  const published = await publishedIn(verifying)
  const segments = await listSegments(fs, layout)
  if ('problem' in published && (published.bytes || segments.length > 0))
    return { ...known, ...tampered({ problem: published.problem }) }
  const claims = await claimsOn(fs, verifying.anchors, { origin, layout })
  const checking: Checking = {
    ...verifying,
    about,
    named,
    segments,
    claims,
    published: 'problem' in published ? undefined : published,
  }

  const pin = incremental ? largestPin(checking) : undefined
  if (pin !== undefined) {
    const start = await startOf({ fs, layout, segments, knownSize: pin.size })
    // Damage in a tile shows as damage in an entry: only all of them tell where it is.
    const verdict = start && (await verifyFrom(checking, start))
    if (verdict?.verdict === 'valid') return { ...known, ...verdict }
  }
  const start = await startOf({ fs, layout, segments })
  if (start !== undefined) return { ...known, ...(await verifyFrom(checking, start)) }
  const [first] = segments
  const problem = 'the entries before this segment are gone, and so are their hashes'
  return { ...known, ...tampered({ index: 0n, line: 1, ...(first && { segment: first.name }), problem }) }
}

interface Found {
  readonly about: About
  readonly named: readonly [ChainKey, ...ChainKey[]]
}

async function aboutOf(
  fs: FileSystem,
  { layout }: Instance,
): Promise<Found | { readonly problem: string; readonly isUnknown: boolean }> {
  const bytes = await readIfThere(fs, layout.about)
  const about = bytes && parseAbout(bytes)
  const named = about && namedKeys(engine, about)
  if (about !== undefined && named !== undefined) return { about, named }
  const isUnknown = /"format"\s*:\s*"keytrail-trail\/(?!1")\d/.test((bytes && fromUtf8(bytes)) ?? '')
  const problem = isUnknown
    ? 'trail.json is of a version that this one does not know'
    : 'trail.json is missing or damaged'
  return { problem, isUnknown }
}

interface PublishedNote extends Checkpoint {
  readonly note: string
}

interface NotPublished {
  readonly bytes?: Uint8Array
  readonly problem: string
}

/** What the checkpoint file says; who signed it is known only behind the entries. */
async function publishedIn({ fs, instance }: Verifying): Promise<PublishedNote | NotPublished> {
  const bytes = await readIfThere(fs, instance.layout.checkpoint)
  if (bytes === undefined) return { problem: 'the checkpoint file is missing' }
  const note = fromUtf8(bytes)
  if (note === undefined) return { bytes, problem: 'the checkpoint file is not text' }
  const text = parseNote(note)?.text
  if (text === undefined) return { bytes, problem: 'the checkpoint file holds no signed note' }
  const checkpoint = parseCheckpoint(text)
  return checkpoint ? { ...checkpoint, note } : { bytes, problem: 'the checkpoint file holds no checkpoint' }
}

interface Checking extends Verifying, Found {
  readonly segments: readonly Segment[]
  readonly published: PublishedNote | undefined
  readonly claims: Claims
}

function largestPin({ claims, keys, named }: Checking): Claim | undefined {
  const signers = [...keys, ...named.map(({ verifier }) => verifier)]
  const pins = claims.claims.filter((claim) => claim.kind === 'pin' && believed(claim, signers))
  return pins.toSorted((a, b) => Number(b.size - a.size))[0]
}

type FromStart = Conclusion & Partial<InstanceVerdict> & Pick<InstanceVerdict, 'size' | 'root'>

async function verifyFrom(checking: Checking, start: Start): Promise<FromStart> {
  const { fs, instance, keys, about, named, segments, published, claims, onProgress } = checking
  const totalBytes = start.segments.reduce((sum, { path }) => sum + (statusOf(fs, path)?.size ?? 0), 0)
  const walked = await walk({
    fs,
    origin: about.origin,
    tree: start.tree,
    segments: start.segments,
    firstKey: keyAt(named, start.tree.size),
    sizes: [...claims.claims.map(({ size }) => size), ...(published ? [published.size] : [])],
    onBytes: (bytes) => onProgress({ instance: instance.name, bytes, totalBytes }),
  })
  const { tree, unsignedTail, bytes } = walked
  const prunedBelow = segments[0]?.first ?? 0n
  const from = start.tree.size
  const reached = {
    size: tree.size,
    root: tree.root(),
    ...(prunedBelow > 0n && { prunedBelow }),
    ...(from > prunedBelow && { read: { from, bytes } }),
  }
  const problem = walked.finding ?? (await againstFiles(checking, { start, walked }))
  if (problem !== undefined) return { ...reached, ...tampered(problem) }
  const judging: Judging = { keys, claims, named, namedIn: 'trail.json', start, walked }
  const weighed = await weighAll(judging)
  const anchors = weighed.map(anchorOf)
  const disagreeing = anchors.filter(({ agrees }) => !agrees)
  const anchor = strongest(disagreeing.length > 0 ? disagreeing : anchors)
  const tail = unsignedTail && { unsignedTail }
  return { ...reached, vkey: signsNow(walked), anchor, anchors, ...tail, ...conclude(judging, weighed) }
}

interface Walked {
  readonly start: Start
  readonly walked: Walk
}

/** The entries are as they were signed: are the files beside them? */
async function againstFiles(checking: Checking, { start, walked }: Walked): Promise<Problem | undefined> {
  const { fs, instance, about, named, segments, published } = checking
  const { tree, keys, story } = walked
  const checkpoint = published && againstCheckpoint(checking, { start, walked }, published)
  if (checkpoint !== undefined) return checkpoint
  if (!namesKeys(named, { start, walked })) {
    // A handover may have come while the entries were read.
    const now = await aboutOf(fs, instance)
    if ('problem' in now || !namesKeys(now.named, { start, walked }))
      return { problem: 'trail.json names other keys, or from other entries on, than those that signed' }
  }
  const ranges = await againstRanges(checking, start)
  if (ranges !== undefined) return ranges
  const [first] = segments
  const isWhole = start.tree.size === (first?.first ?? 0n)
  const contradiction = story.contradiction({
    size: tree.size,
    prunedBelow: isWhole ? start.tree.size : undefined,
    minRetentionDays: about.minRetentionDays,
    keys,
  })
  if (contradiction?.index !== 0n || first === undefined) return contradiction
  return { ...contradiction, segment: first.name, line: 1 }
}

/**
 * A search leaves out what the ranges beside a segment say it need not read, so ranges that a reader would believe and that
 * are wrong hide entries from whoever asks. Those that fit no segment hide nothing, and are passed over as readers do.
 */
async function againstRanges({ fs, instance }: Checking, { segments }: Start): Promise<Problem | undefined> {
  for (const [at, segment] of segments.entries()) {
    const end = segments[at + 1]?.first
    const ranges = end === undefined ? undefined : await believedRanges(fs, instance.layout, { segment, end })
    const problem = ranges && (await missing(fs, segment, ranges))
    if (problem === undefined || ranges === undefined) continue
    const name = basename(rangesPath(instance.layout, segment.first))
    return {
      index: ranges.first,
      lastIndex: ranges.size - 1n,
      segment: segment.name,
      problem: `the ranges in ranges/${name} ${problem}: a search by time or id would miss entries; remove the file`,
    }
  }
  return undefined
}

function againstCheckpoint(
  { about, segments }: Checking,
  { start, walked }: Walked,
  { origin, size, root, note }: PublishedNote,
): Problem | undefined {
  const { tree, keys, torn } = walked
  if (origin !== about.origin) return { problem: `the checkpoint file is of another trail, ${origin}` }
  if (size > tree.size && torn !== undefined) return torn
  const signers = signersAt(keys, size < tree.size ? size : tree.size)
  const opened = signers.map(({ verifier }) => verifier.open(note))
  if (!opened.some((one) => 'text' in one)) {
    const isWrong = opened.some((one) => 'problem' in one && one.problem === 'bad-signature')
    const problem = isWrong
      ? 'the signature of the checkpoint file is wrong'
      : 'the checkpoint file is not signed by this key'
    return { problem }
  }
  if (size > tree.size) return cutShort(segments, tree.size, size)
  const found = walked.rootAt(size)
  if (size < start.tree.size || found === undefined || !equal(found, root))
    return { problem: 'the published checkpoint is not of these entries' }
  return undefined
}

function cutShort(segments: readonly Segment[], size: bigint, published: bigint): Problem {
  const segment = segments.at(-1)
  const problem = `the trail ends after ${size} entries, but ${published} were published as safe`
  return { index: size, lastIndex: published - 1n, ...(segment && { segment: segment.name }), problem }
}

/** trail.json is brought up to date after a handover: a crash in between leaves it behind by the last commit. */
function namesKeys(named: readonly ChainKey[], { start, walked }: Walked): boolean {
  const followed = walked.keys.slice(1)
  const expected = named.filter(({ fromIndex }) => fromIndex > start.tree.size)
  if (expected.length === followed.length - 1 && followed.at(-1)?.fromIndex === walked.tree.size) followed.pop()
  return (
    expected.length === followed.length &&
    expected.every(({ fromIndex, verifier }, at) => {
      const other = followed[at]
      return fromIndex === other?.fromIndex && verifier.vkey === other.verifier.vkey
    })
  )
}
