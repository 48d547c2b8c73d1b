// Runs TypeScript from source as `ts-blank-space/register` does, and keeps what it made: these tests start a hundred
// processes, and loading the compiler takes each four times as long as the rest.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../node_modules/.cache/keytrail-source')

// Node runs the hooks of this very file on another thread.
if (isMainThread) register(import.meta.url)

export async function load(url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context)
  const { source } = await nextLoad(url, { ...context, format: 'module' })
  return { format: 'module', shortCircuit: true, source: await blanked(source) }
}

async function blanked(source) {
  const kept = join(folder, createHash('sha256').update(source).digest('hex'))
  try {
    return readFileSync(kept, 'utf8')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  const { default: blank } = await import('ts-blank-space')
  const text = blank(source.toString())
  mkdirSync(folder, { recursive: true })
  // Other processes read: the name must never stand for a part of the text.
  writeFileSync(`${kept}.${process.pid}`, text)
  renameSync(`${kept}.${process.pid}`, kept)
  return text
}
