/** trail.json on the disk: made with the trail, read at each opening. */
import { engine } from '#engine'
import { randomToken } from '../../crypto/random.ts'
import type { Clock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, readIfThere, statusOf } from '../../storage/filesystem.ts'
import { createFile, replaceFile } from '../../storage/replace.ts'
import { type About, formatAbout, parseAbout } from '../about.ts'
import { originRule } from '../commit.ts'
import { type Layout, listSegments } from '../layout.ts'
import { noteSigner } from '../note.ts'
import type { TrailOptions } from '../trail.ts'

/** What trail.json says, or what it is made to say. Errors: `INTERNAL` when it is damaged, or gone from beside its trail. */
export async function foundAbout(
  fs: FileSystem,
  layout: Layout,
  making: { readonly options: TrailOptions; readonly clock: Clock },
): Promise<About> {
  const about = (await readAbout(fs, layout)) ?? (await makeAbout(fs, layout, making))
  checkSame(making.options, about)
  return about
}

/** Errors: as replaceFile. */
export function replaceAbout(fs: FileSystem, layout: Layout, about: About): Promise<void> {
  return replaceFile(fs, layout.about, formatAbout(about))
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

async function makeAbout(
  fs: FileSystem,
  layout: Layout,
  { options, clock }: { readonly options: TrailOptions; readonly clock: Clock },
): Promise<About> {
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

function checkSame({ origin, minRetentionDays }: TrailOptions, about: About): void {
  if (origin !== undefined && origin !== about.origin)
    throw new KmsError('INVALID_INPUT', `the trail is called ${about.origin}, not ${origin}: leave origin out`)
  if (minRetentionDays !== undefined && minRetentionDays !== about.minRetentionDays)
    throw new KmsError('INVALID_INPUT', `minRetentionDays was set to ${about.minRetentionDays ?? 'nothing'} for good`)
}
