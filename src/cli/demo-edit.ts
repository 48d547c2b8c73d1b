/** @node The demo's attacker: changes one byte of a copy of the trail. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KmsError } from '../model/errors.ts'
import { fileError } from '../storage/filesystem.ts'

export interface Edit {
  readonly action: string
  /** The actor's id before and after. */
  readonly before: string
  readonly after: string
}

/** Makes the export's entry in the trail at `path` name another actor. */
export async function changeOneByte(path: string): Promise<Edit> {
  try {
    return await edit(join(path, 'main', 'segments'))
  } catch (error) {
    throw fileError('edit', path, error)
  }
}

const entryStart = '"action":"kms.export","phase":"result"'
const actorStart = '"actor":{"type":"user","id":"'

async function edit(segments: string): Promise<Edit> {
  const [name = ''] = await readdir(segments)
  const file = join(segments, name)
  const bytes = await readFile(file)
  const at = bytes.indexOf(actorStart, bytes.indexOf(entryStart)) + actorStart.length
  const end = bytes.indexOf('"', at)
  if (at < actorStart.length || end <= at) throw new KmsError('INTERNAL', 'demo: there is no export in the trail')
  const before = bytes.toString('utf8', at, end)
  bytes[at] = before.startsWith('x') ? 0x79 : 0x78
  await writeFile(file, bytes)
  return { action: 'kms.export', before, after: bytes.toString('utf8', at, end) }
}
