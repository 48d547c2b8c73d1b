/** A delivery into a file: one finding a line. */
import { utf8 } from '../../../crypto/bytes.ts'
import { findingLine } from '../../../detect/finding-line.ts'
import { KmsError } from '../../../model/errors.ts'
import { type AppendFile, openAppend } from '../../../storage/append.ts'
import { type FileSystem, fileError, nodeFileSystem, statusOf } from '../../../storage/filesystem.ts'
import type { Delivery } from '../delivery.ts'

export interface JsonLinesOptions {
  /** `json-lines` by default. */
  readonly name?: string
}

/**
 * Appends each finding to the file at `path` as a line of JSON (`keytrail-finding/1`), on the disk before it counts as delivered. For
 * the record: findings that a suppression holds back are there too, with `suppressed`. The file is made (0600) if it is not there;
 * its folder must be. When it is moved away, as log rotation does, the next finding begins a new one.
 *
 * A finding for which that fails counts as lost; the next one tries anew.
 *
 * @example
 * ```ts
 * createAlerts({ deliveries: [jsonLinesDelivery('/var/log/keytrail/findings.jsonl')] })
 * ```
 */
export function jsonLinesDelivery(path: string, options: JsonLinesOptions = {}): Delivery {
  return jsonLinesOver(nodeFileSystem, path, options)
}

/** The same over any file system. */
export function jsonLinesOver(fs: FileSystem, path: string, { name = 'json-lines' }: JsonLinesOptions = {}): Delivery {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new KmsError('INVALID_INPUT', "path of jsonLinesDelivery must be a file's name")
  let file: AppendFile | undefined
  /** Before the first line, where the file ends in the midst of one. */
  let start = ''

  return {
    name,
    hears: 'all',
    async deliver(alert) {
      const line = `${findingLine(alert.finding, alert)}\n`
      if (file !== undefined && (await appended(file, line))) return
      file = await opened()
      await file.append(utf8(start + line)).catch(async (error: unknown) => {
        await dropped()
        throw error
      })
    },
    async close() {
      await dropped()
    },
  }

  /** False when the file is not what it was any more: moved, replaced, written by others. */
  async function appended(to: AppendFile, line: string): Promise<boolean> {
    try {
      await to.append(utf8(line))
      return true
    } catch (error) {
      await dropped()
      // Nothing of the line was written if another file has its name; otherwise the next one begins on a line of its own.
      if (error instanceof KmsError) return false
      throw error
    }
  }

  async function dropped(): Promise<void> {
    const last = file
    file = undefined
    await last?.close()
  }

  async function opened(): Promise<AppendFile> {
    const there = statusOf(fs, path)
    start = there === undefined || (await endsLine(there.size)) ? '' : '\n'
    return openAppend(fs, path, { create: there === undefined })
  }

  async function endsLine(size: number): Promise<boolean> {
    if (size === 0) return true
    try {
      const reader = await fs.open(path, 'read')
      const last = new Uint8Array(1)
      await reader.read(last, size - 1).finally(() => reader.close())
      return last[0] === 0x0a
    } catch (error) {
      throw fileError('read', path, error)
    }
  }
}
