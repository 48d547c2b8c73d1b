/** What a trail is held against besides its key: checkpoints that were kept, or cosigned, somewhere else. */
import { engine } from '#engine'
import { equal, fromUtf8 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, readIfThere } from '../../storage/filesystem.ts'
import { witnessedFile } from '../anchors/anchoring.ts'
import { type CosignatureVerifier, cosignatureVerifier } from '../anchors/cosignature.ts'
import { readPin } from '../anchors/pin.ts'
import { type Checkpoint, parseCheckpoint } from '../checkpoint.ts'
import { findInstances, type Layout } from '../layout.ts'
import { type NoteVerifier, parseNote } from '../note.ts'

/** From the weakest to the strongest: a folder that somebody could write to, a file kept apart, a third party's word. */
export const anchorKinds = ['copy', 'pin', 'witness'] as const

export type AnchorKind = (typeof anchorKinds)[number]

/** A checkpoint from elsewhere that the verdict rests on. */
export interface Anchor {
  readonly kind: AnchorKind
  /** Entries that it covers. */
  readonly size: bigint
  /** When a witness cosigned it, by its clock: RFC 3339, UTC. */
  readonly at?: string
  /** Where it was read, unless it was handed in as text. */
  readonly file?: string
  /** Name of the witness's key. */
  readonly witness?: string
  /** Whether the trail holds the entries that it covers. */
  readonly agrees: boolean
}

export interface AnchorOptions {
  /** Files that hold a pin, or the text of one. */
  readonly pin?: string | readonly string[]
  /** Verification keys (type 4) of witnesses, each of whom must have cosigned a checkpoint. */
  readonly witness?: string | readonly string[]
  /** Other folders of the same trail, or the parents of many: their published checkpoints are compared. */
  readonly copy?: string | readonly string[]
}

/** What was given to hold trails against, of whatever trail it is. */
export interface Given {
  readonly notes: readonly GivenNote[]
  readonly witnesses: readonly CosignatureVerifier[]
}

export interface GivenNote {
  readonly kind: 'pin' | 'copy'
  readonly file?: string
  readonly note: string
  readonly checkpoint: Checkpoint
}

/** Errors: `INVALID_INPUT` for what is no pin, no key of a witness, no trail; `PROVIDER_UNAVAILABLE` (disk). */
export async function givenAnchors(fs: FileSystem, options: AnchorOptions): Promise<Given> {
  const notes: GivenNote[] = []
  for (const pin of [options.pin ?? []].flat()) notes.push(await pinned(fs, pin))
  for (const copy of [options.copy ?? []].flat()) notes.push(...(await copied(fs, copy)))
  const witnesses = [options.witness ?? []].flat().map((vkey) => cosignatureVerifier(engine, vkey))
  return { notes, witnesses }
}

async function pinned(fs: FileSystem, pin: string): Promise<GivenNote> {
  // A file's name has one line, a note several.
  if (!pin.includes('\n')) return { kind: 'pin', file: pin, ...(await readPin(fs, pin)) }
  const checkpoint = checkpointIn(pin)
  if (checkpoint === undefined) throw new KmsError('INVALID_INPUT', 'the text given as a pin is no signed checkpoint')
  return { kind: 'pin', note: pin, checkpoint }
}

async function copied(fs: FileSystem, copy: string): Promise<readonly GivenNote[]> {
  const notes: GivenNote[] = []
  for (const { layout } of await findInstances(fs, copy)) {
    const note = await noteIn(fs, layout.checkpoint)
    const checkpoint = note === undefined ? undefined : checkpointIn(note)
    if (note === undefined || checkpoint === undefined)
      throw new KmsError('INVALID_INPUT', `${layout.checkpoint} holds no checkpoint to compare with`)
    notes.push({ kind: 'copy', file: layout.checkpoint, note, checkpoint })
  }
  return notes
}

/** What some anchor says of one trail, if it is to be believed. */
export interface Claim extends Omit<Anchor, 'agrees'> {
  readonly root: Uint8Array
  /** The note that says so; of a witness it need not hold more than the cosignature. */
  readonly note: string
}

export interface Claims {
  readonly claims: readonly Claim[]
  /** Why an anchor that was asked for cannot say anything. */
  readonly missing: string | undefined
}

/** What was given that is about this trail, and what its witnesses said. */
export async function claimsOn(
  fs: FileSystem,
  { notes, witnesses }: Given,
  { origin, layout }: { readonly origin: string; readonly layout?: Layout },
): Promise<Claims> {
  const own = notes.filter(({ checkpoint }) => checkpoint.origin === origin)
  const claims: Claim[] = own.map(({ kind, file, note, checkpoint: { size, root } }) => {
    return { kind, size, root, note, ...(file !== undefined && { file }) }
  })
  const missing = (['pin', 'copy'] as const)
    .filter((kind) => notes.some((note) => note.kind === kind) && !own.some((note) => note.kind === kind))
    .map((kind) => `no ${kind} that was given is of ${origin}`)

  const cosigned = [...own.map(({ note }) => note), ...(layout ? await notesBeside(fs, layout) : [])]
  for (const witness of witnesses) {
    const claim = cosignedBy(witness, origin, cosigned)
    if (claim !== undefined) claims.push(claim)
    else missing.push(`there is no cosignature of ${witness.name} on a checkpoint of ${origin}`)
  }
  return { claims, missing: missing[0] }
}

async function notesBeside(fs: FileSystem, layout: Layout): Promise<readonly string[]> {
  const found = [await noteIn(fs, witnessedFile(layout)), await noteIn(fs, layout.checkpoint)]
  return found.filter((note) => note !== undefined)
}

/** The largest. */
function cosignedBy(witness: CosignatureVerifier, origin: string, notes: readonly string[]): Claim | undefined {
  let largest: Claim | undefined
  for (const note of notes) {
    const checkpoint = checkpointIn(note)
    if (checkpoint?.origin !== origin || checkpoint.size < (largest?.size ?? 0n)) continue
    const { size, root } = checkpoint
    const time = witness.open(note)?.time
    if (time === undefined) continue
    largest = { kind: 'witness', size, root, note, at: new Date(time).toISOString(), witness: witness.name }
  }
  return largest
}

/** Undefined unless one of the keys signed it: anybody may write a file. A witness's key was checked already. */
export function believed(claim: Claim, keys: readonly NoteVerifier[]): boolean {
  return claim.kind === 'witness' || keys.some(({ open }) => 'text' in open(claim.note))
}

/** A claim held against the trail. */
export interface Weighed {
  readonly claim: Claim
  /** `ahead`: the anchor covers more entries than there are. `differs`: others. */
  readonly outcome: 'agrees' | 'ahead' | 'differs'
}

/** `root`: that of the trail's first `claim.size` entries, if it has so many. */
export function weigh(claim: Claim, root: Uint8Array | undefined): Weighed {
  if (root === undefined) return { claim, outcome: 'ahead' }
  return { claim, outcome: equal(claim.root, root) ? 'agrees' : 'differs' }
}

/** As a verdict lists it. */
export function anchorOf({ claim, outcome }: Weighed): Anchor {
  const { kind, size, at, file, witness } = claim
  return {
    kind,
    size,
    ...(at !== undefined && { at }),
    ...(file !== undefined && { file }),
    ...(witness !== undefined && { witness }),
    agrees: outcome === 'agrees',
  }
}

/** What an anchor is called in a sentence. */
export function nameOf({ kind, file, witness }: Claim): string {
  if (witness !== undefined) return `the witness ${witness}`
  return file === undefined ? `the ${kind}` : `the ${kind} ${file}`
}

export function strongest(anchors: readonly Anchor[]): AnchorKind | 'none' {
  return anchorKinds.findLast((kind) => anchors.some((anchor) => anchor.kind === kind)) ?? 'none'
}

async function noteIn(fs: FileSystem, path: string): Promise<string | undefined> {
  const bytes = await readIfThere(fs, path)
  return bytes && fromUtf8(bytes)
}

function checkpointIn(note: string): Checkpoint | undefined {
  const text = parseNote(note)?.text
  return text === undefined ? undefined : parseCheckpoint(text)
}
