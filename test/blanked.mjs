// TypeScript with its types blanked, and kept: the tests start hundreds of processes, and loading the compiler takes the
// short ones four times as long as the rest.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = join(dirname(fileURLToPath(import.meta.url)), '../node_modules/.cache/keytrail-source')

export async function blanked(source) {
  return kept(source) ?? keep(source, (await import('ts-blank-space')).default)
}

/** The same at once. Node 20 warns of it: there it is `blanked`. */
export function blankedNow(source) {
  return kept(source) ?? keep(source, createRequire(import.meta.url)('ts-blank-space').default)
}

function kept(source) {
  try {
    return readFileSync(pathOf(source), 'utf8')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return undefined
  }
}

function keep(source, blank) {
  const text = blank(source.toString())
  mkdirSync(folder, { recursive: true })
  // Other processes read: the name must never stand for a part of the text.
  const path = pathOf(source)
  writeFileSync(`${path}.${process.pid}`, text)
  renameSync(`${path}.${process.pid}`, path)
  return text
}

function pathOf(source) {
  return join(folder, createHash('sha256').update(source).digest('hex'))
}
