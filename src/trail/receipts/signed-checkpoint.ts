/** @node A trail's own checkpoints, and the keys that vouch for them. */
import { engine } from '#engine'
import { fromUtf8 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, readIfThere } from '../../storage/filesystem.ts'
import { parseAbout } from '../about.ts'
import { type Checkpoint, parseCheckpoint } from '../checkpoint.ts'
import type { Layout } from '../layout.ts'
import { type NoteVerifier, noteVerifier } from '../note.ts'

/** A checkpoint that one of the keys asked for has signed in its log's name. */
export interface SignedCheckpoint extends Checkpoint {
  readonly note: string
  /** Who signed it. */
  readonly vkey: string
}

/** Verification keys from outside: one, or one for each trail or time of a trail. */
export type Vkeys = string | readonly string[]

/** Errors: `INVALID_INPUT` for what is no Ed25519 verification key. */
export function verifiersFor(vkeys: Vkeys): readonly NoteVerifier[] {
  return [vkeys].flat().map((vkey) => noteVerifier(engine, vkey))
}

/** Undefined unless `note` is a checkpoint that one of `verifiers` signed, and whose origin is that key's name. */
export function openCheckpoint(note: string, verifiers: readonly NoteVerifier[]): SignedCheckpoint | undefined {
  for (const { name, vkey, open } of verifiers) {
    const opened = open(note)
    const checkpoint = 'text' in opened ? parseCheckpoint(opened.text) : undefined
    if (checkpoint !== undefined && checkpoint.origin === name) return { ...checkpoint, note, vkey }
  }
  return undefined
}

/** What a trail is called, and who may have signed its checkpoints. */
export interface TrailKeys {
  readonly origin: string
  readonly verifiers: readonly NoteVerifier[]
}

/**
 * All keys that trail.json lists, or those of `vkeys` that are called as the trail is. Errors: `INTERNAL` (trail.json is
 * missing or damaged), `INVALID_INPUT` (`vkeys` has none for this trail, or what is no key), `PROVIDER_UNAVAILABLE` (disk).
 */
export async function keysOf(fs: FileSystem, layout: Layout, vkeys?: Vkeys): Promise<TrailKeys> {
  const bytes = await readIfThere(fs, layout.about)
  const about = bytes && parseAbout(bytes)
  if (about === undefined)
    throw new KmsError('INTERNAL', `${layout.about} is missing or damaged: put it back, or prove from a copy`)
  const { origin } = about
  const listed = vkeys ?? about.vkeys.map(({ vkey }) => vkey)
  const verifiers = verifiersFor(listed).filter(({ name }) => name === origin)
  if (verifiers.length === 0) throw new KmsError('INVALID_INPUT', `no key was given for ${origin}`)
  return { origin, verifiers }
}

/**
 * The published one. Errors: `INTERNAL` when there is none, or it is not signed by one of `keys`; `PROVIDER_UNAVAILABLE`.
 */
export async function readPublished(
  fs: FileSystem,
  { checkpoint: path }: Layout,
  { origin, verifiers }: TrailKeys,
): Promise<SignedCheckpoint> {
  const bytes = await readIfThere(fs, path)
  if (bytes === undefined) throw new KmsError('INTERNAL', `${path} is missing: verify the trail`)
  const signed = openCheckpoint(fromUtf8(bytes) ?? '', verifiers)
  if (signed !== undefined) return signed
  throw new KmsError(
    'INTERNAL',
    `${path} is not signed by a key of ${origin} that is known here: verify the trail, or name the key that it has now`,
  )
}
