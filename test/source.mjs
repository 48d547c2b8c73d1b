// Runs TypeScript from source by blanking its types, and keeps what it made: the tests start hundreds of processes, and
// loading the compiler takes the short ones four times as long as the rest.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import * as module from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = join(dirname(fileURLToPath(import.meta.url)), '../node_modules/.cache/keytrail-source')

// Node 20 knows hooks on another thread only, and runs them from this very file there, under the name that it is given; Node 26
// warns of those. Workers of ours have hooks of their own.
const asHooks = '?hooks'
if (module.registerHooks !== undefined) module.registerHooks({ load: loadNow })
else if (!import.meta.url.endsWith(asHooks)) module.register(`${import.meta.url}${asHooks}`)

export async function load(url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context)
  const { source } = await nextLoad(url, { ...context, format: 'module' })
  const text = kept(source) ?? keep(source, (await import('ts-blank-space')).default)
  return { format: 'module', shortCircuit: true, source: text }
}

function loadNow(url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context)
  const { source } = nextLoad(url, { ...context, format: 'module' })
  const text = kept(source) ?? keep(source, module.createRequire(import.meta.url)('ts-blank-space').default)
  return { format: 'module', shortCircuit: true, source: text }
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
