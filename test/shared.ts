/** @node Where the tests find the shared vectors; absent in a user's clone, required in CI. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'shared')

/** For `test(name, { skip: noShared }, …)`: false when the vectors are there or must be, else the one line that says so. */
export const noShared: string | false =
  existsSync(folder) || process.env['CI'] === 'true' ? false : '../shared is not beside this clone: vectors not run'

export function sharedPath(path: string): string {
  return join(folder, path)
}

export function sharedFile(path: string): Uint8Array {
  return readFileSync(sharedPath(path))
}

/** A JSON file of `../shared`; the caller says what it holds. */
export function sharedJson<T>(path: string): T {
  return JSON.parse(readFileSync(sharedPath(path), 'utf8')) as T
}
