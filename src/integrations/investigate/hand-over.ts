/** @node A story to hand over: what happened in words, each entry as it was written, and a receipt for each of them. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { engine } from '#engine'
import { hex, utf8 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { fileError, nodeFileSystem, statusOf, systemCode } from '../../storage/filesystem.ts'
import { replaceFile } from '../../storage/replace.ts'
import { lineOfRead } from '../../trail/reading/entry-line.ts'
import { type EntryProof, type PlacedLine, proveEntries } from '../../trail/receipts/prove.ts'
import type { Vkeys } from '../../trail/receipts/signed-checkpoint.ts'
import { handOverReadme } from './hand-over-readme.ts'
import { sentenceOf } from './sentence.ts'
import { entriesOfStory, type TimelineOptions } from './timeline.ts'

export interface HandOverOptions extends TimelineOptions {
  /** A folder that does not exist yet. */
  readonly out: string
  /** Who must have signed; whoever trail.json names, if it is left out. */
  readonly vkey?: Vkeys
  /** Most entries, 1,000 by default: each is a file. */
  readonly limit?: number
}

export interface HandedOver {
  readonly out: string
  readonly entries: number
  /** Entries with a receipt. */
  readonly proven: number
  /** Entries that no published checkpoint covers yet, by `eventID`: without a receipt. */
  readonly unproven: readonly string[]
  /** True when there are more entries than `limit`: the story ends early. */
  readonly cut: boolean
  /** Keys that check the receipts. */
  readonly vkeys: readonly string[]
}

/**
 * Writes the story of a key, an actor, or around an entry into a new folder: `timeline.txt` in words, `timeline.jsonl` with the
 * exact lines, `receipts/<number>-<eventID>.tlog-proof`, `README.txt` on how to check them, `SHA256SUMS` over all of it.
 * Each receipt was checked before it was written.
 *
 * Errors: `INVALID_INPUT` (wrong options, the folder exists, nothing to tell), `PROVIDER_UNAVAILABLE` (disk), `INTERNAL` (an
 * entry is not what was signed: verify the trail). What was written before an error stays there, without `SHA256SUMS`.
 */
export async function handOver(path: string, options: HandOverOptions): Promise<HandedOver> {
  const { out, vkey, limit = 1000, ...story } = options
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw new KmsError('INVALID_INPUT', "'limit' must be a whole number from 1")
  if (statusOf(nodeFileSystem, path)?.kind === 'file')
    throw new KmsError('INVALID_INPUT', 'an archive holds no checkpoint: prove from the trail it was made of')
  const found: Found[] = []
  let cut = false
  for await (const { instance, index, entry } of entriesOfStory(path, story)) {
    cut = found.length >= limit
    if (cut) break
    const { eventID, createdAt } = entry
    found.push({ instance, index, eventID, line: lineOfRead(entry), says: `${createdAt}  ${sentenceOf(entry)}` })
  }
  if (found.length === 0) throw new KmsError('INVALID_INPUT', 'there is nothing to tell: no entry was found')
  const folder = await newFolder(out)
  const { sums, unproven, vkeys } = await writeReceipts(
    folder,
    found,
    proveEntries(path, found, vkey === undefined ? {} : { vkey }),
  )
  const proven = found.length - unproven.length
  const written = [
    ['timeline.txt', `${found.map(({ says, eventID }) => `${says}  ${eventID}`).join('\n')}\n`],
    ['timeline.jsonl', `${found.map(({ line }) => line).join('\n')}\n`],
    ['README.txt', handOverReadme({ entries: found.length, proven, unproven, cut, vkeys })],
  ] as const
  for (const [name, text] of written) sums.push(await writeIn(folder, name, text))
  await writeIn(
    folder,
    'SHA256SUMS',
    `${sums
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ digest, name }) => `${digest}  ${name}`)
      .join('\n')}\n`,
  )
  return { out, entries: found.length, proven, unproven, cut, vkeys }
}

interface Found extends PlacedLine {
  readonly eventID: string
  readonly says: string
}

interface Written {
  readonly name: string
  /** Hexadecimal SHA-256. */
  readonly digest: string
}

async function writeReceipts(folder: string, found: readonly Found[], proofs: AsyncIterable<EntryProof | undefined>) {
  const sums: Written[] = []
  const unproven: string[] = []
  const vkeys = new Set<string>()
  const width = String(found.length).length
  let at = 0
  for await (const proof of proofs) {
    const { eventID = '' } = found[at] ?? {}
    at += 1
    if (proof === undefined) {
      unproven.push(eventID)
      continue
    }
    vkeys.add(proof.vkey)
    // An id comes from a file: only what is one may name another.
    const id = /^[0-9a-f-]{36}$/.test(eventID) ? eventID : 'entry'
    sums.push(
      await writeIn(folder, join('receipts', `${String(at).padStart(width, '0')}-${id}.tlog-proof`), proof.text),
    )
  }
  return { sums, unproven, vkeys: [...vkeys] }
}

async function newFolder(out: string): Promise<string> {
  if (typeof out !== 'string' || out === '' || out.includes('\0'))
    throw new KmsError('INVALID_INPUT', "'out' must be a folder's name")
  try {
    await mkdir(out)
    await mkdir(join(out, 'receipts'))
  } catch (error) {
    if (systemCode(error) === 'EEXIST')
      throw new KmsError('INVALID_INPUT', `${out} exists already: name a folder that does not`)
    throw fileError('create', out, error)
  }
  return out
}

async function writeIn(folder: string, name: string, text: string): Promise<Written> {
  const bytes = utf8(text)
  await replaceFile(nodeFileSystem, join(folder, name), bytes, { mode: 0o666 })
  return { name, digest: hex(engine.hash('sha256', bytes)) }
}
