/** @node The committed entries of a trail, by nothing but the lines in its files: a reader that shares no code with ours. */
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { AuditEntry } from '../../src/model/entry.ts'
import type { FileSystem } from '../../src/storage/filesystem.ts'

/** Of the instance in `folder`, in order. */
export async function committedEntries(fs: FileSystem, folder: string): Promise<readonly AuditEntry[]> {
  const segments = join(folder, 'segments')
  const names = await fs.list(segments)
  const entries: AuditEntry[] = []
  for (const name of [...names].filter((name) => /\.jsonl(\.gz)?$/.test(name)).sort()) {
    // A segment that is being compressed has two files; the plain one counts until it is gone.
    if (name.endsWith('.gz') && names.includes(name.slice(0, -3))) continue
    const bytes = await fs.readFile(join(segments, name))
    entries.push(...entriesIn(name.endsWith('.gz') ? gunzipSync(bytes) : bytes))
  }
  return entries
}

/** Of archives, which hold lines as segments do. */
export async function archivedEntries(fs: FileSystem, folder: string): Promise<readonly AuditEntry[]> {
  const names = (await fs.list(folder)).filter(isArchive).sort()
  const entries: AuditEntry[] = []
  for (const name of names) entries.push(...entriesIn(await fs.readFile(join(folder, name))))
  return entries
}

/** Whether a file of this name is one that {@link archivedEntries} reads. */
export function isArchive(name: string): boolean {
  return /^archive-\d+\.jsonl$/.test(name)
}

function entriesIn(bytes: Uint8Array): readonly AuditEntry[] {
  const entries: AuditEntry[] = []
  let waiting: AuditEntry[] = []
  // What follows the last newline is nothing, or torn; so is what no commit line follows.
  for (const line of new TextDecoder().decode(bytes).split('\n').slice(0, -1)) {
    if (line.startsWith('{"archive":')) continue
    if (!line.startsWith('{"commit":')) {
      waiting.push(entryIn(line))
      continue
    }
    entries.push(...waiting)
    waiting = []
  }
  return entries
}

/** A line that is no JSON was torn, and is not committed: then its event ID is that of no entry. */
function entryIn(line: string): AuditEntry {
  try {
    return JSON.parse(line)
  } catch (error) {
    if (error instanceof SyntaxError) return { eventID: `torn: ${line}` } as AuditEntry // never committed
    throw error
  }
}
