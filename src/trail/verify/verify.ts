/** @node `verifyTrail`: every byte again, and one verdict. */
import { basename } from 'node:path'
import { engine } from '#engine'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, nodeFileSystem, statusOf } from '../../storage/filesystem.ts'
import { checkPath, findInstances } from '../layout.ts'
import { noteVerifier } from '../note.ts'
import { isTilesLog, verifyTiles } from '../receipts/tlog-tiles.ts'
import { type AnchorOptions, type Given, givenAnchors } from './anchors.ts'
import { verifyArchive } from './archive.ts'
import { type VerifyProgress, verifyInstance } from './instance.ts'
import { type InstanceVerdict, nothing, unverifiable, type Verdict, worstOf } from './verdict.ts'

export interface VerifyOptions extends AnchorOptions {
  /**
   * A key that the trail must be signed by, from outside its directory: the present one, or one that was handed over since.
   * Several for several instances.
   */
  readonly vkey?: string | readonly string[]
  /**
   * Reads only the segments that the largest pin does not cover whole, where the trail's tiles stand for the others; all of
   * them when that does not lead to the pin. What stands before is not looked at.
   */
  readonly incremental?: boolean
  readonly onProgress?: (progress: VerifyProgress) => void
  readonly fs?: FileSystem
}

/**
 * Verifies one instance's directory, the parent of many, an archive's file, or the directory of a C2SP tlog-tiles log: the
 * whole tree from the exact bytes, every commit line's place, root and signatures, the published checkpoint, trail.json, and
 * the anchors given. A writer may be at work meanwhile.
 *
 * Errors: `INVALID_INPUT` (no trail there, or what is given is no key, no pin, no trail), `PROVIDER_UNAVAILABLE` (a file
 * cannot be read). Whatever the trail's files hold is a verdict.
 *
 * @example
 * ```ts
 * const { verdict, problem, segment, line } = await verifyTrail('./audit', { vkey: 'keytrail/prod+2a31…', pin: './pins/prod' })
 * ```
 */
export async function verifyTrail(path: string, options: VerifyOptions = {}): Promise<Verdict> {
  const { fs = nodeFileSystem, incremental = false, onProgress = () => {} } = options
  checkPath(path)
  const keys = [options.vkey ?? []].flat().map((vkey) => noteVerifier(engine, vkey))
  const anchors = await givenAnchors(fs, options)
  const verdicts: InstanceVerdict[] = []
  if (statusOf(fs, path)?.kind === 'file') {
    verdicts.push(await verifyArchive({ fs, path, keys, anchors, onProgress }))
  } else if (isTilesLog(fs, path)) {
    verdicts.push(await verifyLog(fs, path, options))
  } else {
    const instances = await findInstances(fs, path)
    for (const instance of instances)
      verdicts.push(await verifyInstance({ fs, instance, keys, anchors, incremental, onProgress }))
  }
  const worst = worstOf([...verdicts, ...unmatched(anchors, verdicts)])
  if (worst === undefined) throw new KmsError('INVALID_INPUT', `there is no trail at ${path}`)
  return worst
}

async function verifyLog(fs: FileSystem, path: string, options: VerifyOptions): Promise<InstanceVerdict> {
  const { vkey, pin, witness, copy } = options
  if (pin !== undefined || witness !== undefined || copy !== undefined)
    throw new KmsError('INVALID_INPUT', `${path} is a tlog-tiles log, which is verified by its key alone`)
  const { entriesFrom, ...verdict } = await verifyTiles(fs, path, vkey === undefined ? {} : { vkey })
  const prunedBelow = entriesFrom !== undefined && entriesFrom > 0n ? { prunedBelow: entriesFrom } : {}
  return { instance: basename(path), ...nothing, ...verdict, ...prunedBelow }
}

/** A pin of a trail that is not here: it may have been taken away whole. */
function unmatched({ notes }: Given, verdicts: readonly InstanceVerdict[]): readonly InstanceVerdict[] {
  const here = new Set(verdicts.map(({ origin }) => origin))
  const away = notes.filter(({ kind, checkpoint }) => kind === 'pin' && !here.has(checkpoint.origin))
  const note = 'the trail is somewhere else, or it was taken away'
  return [...new Set(away.map(({ checkpoint }) => checkpoint.origin))].map((origin) => {
    return {
      instance: origin,
      origin,
      ...nothing,
      ...unverifiable(`there is no trail ${origin} here, but a pin`, note),
    }
  })
}
