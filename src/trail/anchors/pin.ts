/** @node Pins: a checkpoint kept where the trail's owner cannot reach it, to hold the trail to later. */
import { equal, fromUtf8, utf8 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, readIfThere, statusOf } from '../../storage/filesystem.ts'
import { replaceFile } from '../../storage/replace.ts'
import { type Checkpoint, parseCheckpoint } from '../checkpoint.ts'
import { formatNote, mergeSignatures, type Note, parseNote } from '../note.ts'

/** What a pin's file holds. Its signatures are not verified: who reads it knows the keys. */
export interface Pin {
  /** The signed note, as it stands in the file. */
  readonly note: string
  readonly checkpoint: Checkpoint
}

/**
 * Keeps `note`, a signed checkpoint with or without cosignatures, in the file at `path`, durably. A pin of the same trail
 * gives way to a larger one only; at the same size and root the signatures of both are kept. One call for a path at a time.
 *
 * Errors: `ROLLED_BACK`, and the pin stays (it is ahead of the note, or its root at that size is another: the trail lost
 * or changed entries), `INVALID_INPUT` (`note` is no checkpoint; the file holds something else, or another trail's pin),
 * `PROVIDER_UNAVAILABLE` and `INTERNAL` as replaceFile.
 */
export async function writePin(fs: FileSystem, path: string, note: string): Promise<void> {
  const next = parsePin(note)
  if (next === undefined) throw new KmsError('INVALID_INPUT', 'the note to pin is no signed checkpoint')
  const bytes = await pinBytes(fs, path)
  if (bytes === undefined) return replaceFile(fs, path, utf8(note))
  const kept = pinIn(path, bytes)
  refuseStepBack(path, kept.checkpoint, next.checkpoint)
  const wanted =
    kept.parsed.text === next.parsed.text ? formatNote(mergeSignatures(kept.parsed, next.parsed.signatures)) : note
  if (wanted !== kept.note) await replaceFile(fs, path, utf8(wanted))
}

/** Errors: `INVALID_INPUT` (no such file, or it holds no pin), `PROVIDER_UNAVAILABLE` (it cannot be read). */
export async function readPin(fs: FileSystem, path: string): Promise<Pin> {
  const bytes = await pinBytes(fs, path)
  if (bytes === undefined) throw new KmsError('INVALID_INPUT', `there is no pin at ${path}`)
  const { note, checkpoint } = pinIn(path, bytes)
  return { note, checkpoint }
}

function refuseStepBack(path: string, kept: Checkpoint, next: Checkpoint): void {
  if (kept.origin !== next.origin)
    throw new KmsError('INVALID_INPUT', `${path} is a pin of another trail, ${kept.origin}: name another file`)
  if (kept.size > next.size)
    throw new KmsError(
      'ROLLED_BACK',
      `${path} pins ${kept.size} entries and the trail has ${next.size}: the trail was rolled back, or the pin is of another trail of that name`,
    )
  if (kept.size === next.size && !equal(kept.root, next.root))
    throw new KmsError('ROLLED_BACK', `${path} pins other entries than the ${next.size} of the trail: it was changed`)
}

/** A hundred signatures of the largest kind that are in use. */
const maxPinBytes = 512 * 1024

interface ParsedPin extends Pin {
  readonly parsed: Note
}

function parsePin(note: string): ParsedPin | undefined {
  const parsed = note.length <= maxPinBytes ? parseNote(note) : undefined
  const checkpoint = parsed && parseCheckpoint(parsed.text)
  return parsed && checkpoint && { note, checkpoint, parsed }
}

function pinIn(path: string, bytes: Uint8Array): ParsedPin {
  const pin = parsePin(fromUtf8(bytes) ?? '')
  if (pin === undefined) throw notAPin(path)
  return pin
}

async function pinBytes(fs: FileSystem, path: string): Promise<Uint8Array | undefined> {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new KmsError('INVALID_INPUT', "the pin's path must be a file's name")
  const status = statusOf(fs, path)
  if (status === undefined) return undefined
  if (status.kind !== 'file' || status.size > maxPinBytes) throw notAPin(path)
  return readIfThere(fs, path)
}

function notAPin(path: string): KmsError {
  return new KmsError('INVALID_INPUT', `${path} is no pin: expected one checkpoint as a signed note`)
}
