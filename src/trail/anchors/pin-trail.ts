/** @node A pin of a trail as it stands on the disk, also while a writer writes. */
import { fromUtf8 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, nodeFileSystem, readIfThere } from '../../storage/filesystem.ts'
import { findInstances } from '../layout.ts'
import { keysOf, readPublished, type Vkeys } from '../receipts/signed-checkpoint.ts'
import { withCosignatures, witnessedFile } from './anchoring.ts'
import { writePin } from './pin.ts'

export interface PinTrailOptions {
  /** File for the pin, out of reach of whoever can change the trail. Gives way to larger checkpoints only. */
  readonly out: string
  /** Who must have signed the checkpoint; whoever trail.json names, if it is left out. */
  readonly vkey?: Vkeys
  readonly fs?: FileSystem
}

/** What was pinned. */
export interface PinnedTrail {
  readonly instance: string
  readonly origin: string
  readonly size: bigint
  /** RFC 6962, 32 bytes. */
  readonly root: Uint8Array
  /** The signed checkpoint, with the cosignatures that it has. */
  readonly note: string
}

/**
 * Keeps the published checkpoint of the trail at `path` in a file, to hold the trail to later (`verifyTrail`, option `pin`).
 * It checks who signed the checkpoint, not that the entries are those of it: verify for that.
 *
 * Errors: `INVALID_INPUT` (no trail there, or several: name one; `vkey` is not the trail's), `INTERNAL` (the checkpoint is
 * missing or not signed by the trail's key), and those of `writePin`: `ROLLED_BACK` when the pin that is there is ahead.
 */
export async function pinTrail(path: string, options: PinTrailOptions): Promise<PinnedTrail> {
  const { out, vkey, fs = nodeFileSystem } = options
  const [found, ...others] = await findInstances(fs, path)
  if (found === undefined || others.length > 0)
    throw new KmsError('INVALID_INPUT', `there are several trails in ${path}: name the folder of one`)
  const { name: instance, layout } = found
  const published = await readPublished(fs, layout, await keysOf(fs, layout, vkey))
  const witnessed = await readIfThere(fs, witnessedFile(layout))
  const note = withCosignatures(published.note, witnessed && fromUtf8(witnessed))
  await writePin(fs, out, note)
  const { origin, size, root } = published
  return { instance, origin, size, root, note }
}
