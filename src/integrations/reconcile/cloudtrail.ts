/** @node `readCloudTrail`: the records of an export, as files, folders and streams hold them. */
import { Buffer } from 'node:buffer'
import { createReadStream, readdirSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { KmsError } from '../../model/errors.ts'
import { fileError, systemCode } from '../../storage/filesystem.ts'
import { scanRecords } from './json-records.ts'

/** A file, a folder, or the bytes themselves, such as standard input. */
export type CloudTrailSource = string | AsyncIterable<Uint8Array>

/**
 * The records of CloudTrail in `sources`, one after another, of AWS KMS only. Each source is a log file as CloudTrail delivers it
 * (`{"Records":[…]}`), the answer of `aws cloudtrail lookup-events` (`{"Events":[…]}`), a list of records, or JSON Lines; plain or with
 * gzip; or a folder of such files, with all that is below it: `.json`, `.jsonl` and their `.gz`, without digests and insights. One record
 * is held at a time, and files may be of any length.
 *
 * Errors: `INVALID_INPUT` for what is no such file or no such folder, or a folder without one; `PROVIDER_UNAVAILABLE` (disk). Neither
 * quotes what a file holds.
 *
 * @example
 * ```ts
 * const records = readCloudTrail(['./AWSLogs/111122223333/CloudTrail', 'lookup.json'])
 * ```
 */
export async function* readCloudTrail(sources: readonly CloudTrailSource[]): AsyncGenerator<unknown, void, undefined> {
  if (!Array.isArray(sources) || sources.length === 0)
    throw new KmsError('INVALID_INPUT', 'an export is a list of files, folders or streams')
  for (const source of sources) {
    if (typeof source !== 'string') yield* recordsOf(source, 'the stream')
    else
      for (const path of filesOf(source)) yield* recordsOf(createReadStream(path, { highWaterMark: chunkBytes }), path)
  }
}

const chunkBytes = 1024 * 1024

async function* recordsOf(bytes: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<unknown, void, undefined> {
  const scanner = scanRecords(name)
  let count = 0
  try {
    for await (const chunk of unpacked(bytes)) {
      for (const record of scanner.push(chunk)) {
        count += 1
        // Most of an account's record is of other services, and need not be parsed.
        if (isOfKms(record)) yield parsed(record, `record ${count} of ${name}`)
      }
    }
    scanner.end()
  } catch (error) {
    // The only errors of zlib: the file is damaged or cut off.
    if (systemCode(error)?.startsWith('Z_') === true)
      throw new KmsError('INVALID_INPUT', `${name} is no whole gzip file`)
    throw fileError('read', name, error)
  }
}

/** Told by its first bytes, whatever it is called. */
async function* unpacked(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = bytes[Symbol.asyncIterator]()
  const head = await iterator.next()
  if (head.done === true) return
  async function* whole() {
    yield head.value
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value
  }
  try {
    const [first, second] = head.value
    if (first !== 0x1f || second !== 0x8b) yield* whole()
    else yield* gunzipped(whole())
  } finally {
    await iterator.return?.()
  }
}

function gunzipped(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: chunkBytes })
  // Whoever reads it meets its failure there.
  pipeline(Readable.from(bytes, { objectMode: false }), gunzip, () => undefined)
  return gunzip
}

const ofKms = Buffer.from('kms.amazonaws.com')

function isOfKms(record: Uint8Array): boolean {
  return Buffer.from(record.buffer, record.byteOffset, record.length).includes(ofKms)
}

function parsed(record: Uint8Array, where: string): unknown {
  try {
    return JSON.parse(Buffer.from(record.buffer, record.byteOffset, record.length).toString('utf8'))
  } catch {
    // The parser's message would quote the record.
    throw new KmsError('INVALID_INPUT', `${where} is no JSON`)
  }
}

const isLogFile = /\.jsonl?(?:\.gz)?$/
/** Beside the logs of a trail in its bucket: hashes of them, and what CloudTrail found unusual. */
const asideFolders: ReadonlySet<string> = new Set(['CloudTrail-Digest', 'CloudTrail-Insight'])

/** In the order of their names, which begin with account, region and time. */
function filesOf(path: string): readonly string[] {
  try {
    if (!statSync(path).isDirectory()) return [path]
    const names = readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && isLogFile.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .filter(
        (name) =>
          !name
            .slice(path.length)
            .split(sep)
            .some((part) => asideFolders.has(part)),
      )
    if (names.length > 0) return names.sort()
  } catch (error) {
    if (systemCode(error) === 'ENOENT') throw new KmsError('INVALID_INPUT', `there is no file or folder ${path}`)
    throw fileError('read', path, error)
  }
  throw new KmsError(
    'INVALID_INPUT',
    `${path} holds no log file of CloudTrail: .json, .jsonl, or one of these with .gz`,
  )
}
