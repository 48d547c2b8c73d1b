/** @node Data to standard output or a file, words to standard error. */
import { createWriteStream, realpathSync } from 'node:fs'
import process from 'node:process'
import { pipeline } from 'node:stream/promises'
import { utf8 } from '../crypto/bytes.ts'
import { KmsError } from '../model/errors.ts'
import type { RenderOptions } from '../sinks/render.ts'
import { fileError, nodeFileSystem, systemCode } from '../storage/filesystem.ts'
import { replaceFile } from '../storage/replace.ts'

export function toTerminal(): boolean {
  return process.stdout.isTTY === true
}

/** Colours and width for standard output: none in a pipe, no colours with NO_COLOR (https://no-color.org). */
export function look(): RenderOptions {
  const { isTTY, columns = 0 } = process.stdout
  const { NO_COLOR = '', TERM } = process.env
  if (isTTY !== true) return {}
  const color = NO_COLOR === '' && TERM !== 'dumb'
  return columns > 0 ? { color, width: columns } : { color }
}

/** Writes to standard output. False: the reader has gone, and so has the reason to go on. */
export function print(data: string | Uint8Array): Promise<boolean> {
  return new Promise((resolve, reject) => {
    process.stdout.write(data, (error) => {
      if (error === null || error === undefined) return resolve(true)
      if (systemCode(error) === 'EPIPE') return resolve(false)
      reject(fileError('write to', 'standard output', error))
    })
  })
}

/** Words for people, on standard error. */
export function say(words: string): void {
  process.stderr.write(`${words}\n`)
}

/** A stream tells its failure twice: to the write that met it, and as an event that would end the process with a stack. */
export function ignoreBrokenPipes(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
}

export interface FileOutput {
  readonly bytes: Uint8Array | string
  /** `secret`: mode 0600. `shared`: as the umask says. */
  readonly for: 'secret' | 'shared'
}

/** Writes the file whole or not at all. A device or a pipe is written to, not replaced. Errors: `PROVIDER_UNAVAILABLE`. */
export async function writeFile(path: string, output: FileOutput): Promise<void> {
  const bytes = typeof output.bytes === 'string' ? utf8(output.bytes) : output.bytes
  const there = nodeFileSystem.status(path)
  if (there?.kind === 'folder') throw new KmsError('INVALID_INPUT', `cannot write ${path}: it is a folder`)
  if (there?.kind === 'other') return writeThrough(path, bytes)
  // Through a symbolic link to the file that it names.
  const target = there === undefined ? path : realpathSync(path)
  await replaceFile(nodeFileSystem, target, bytes, { mode: output.for === 'secret' ? 0o600 : 0o666 })
}

async function writeThrough(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await pipeline([bytes], createWriteStream(path, { flags: 'a' }))
  } catch (error) {
    throw fileError('write to', path, error)
  }
}
