/** @node Plants a defect in a copy of `src`, and turns campaigns on it, each in a process of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Edit, Run } from './defects.ts'

/** Throws where a text does not stand in its file exactly once. */
export function plant(product: string, edits: readonly Edit[]): void {
  for (const { file, text, becomes } of edits) {
    const path = join(product, file)
    const [before, after, ...more] = readFileSync(path, 'utf8').split(text)
    if (before === undefined || after === undefined || more.length > 0)
      throw new Error(`${file} must hold this exactly once, or its defect be planted elsewhere: ${text}`)
    writeFileSync(path, `${before}${becomes}${after}`)
  }
}

export interface Ran {
  readonly violations: number
  /** The first violation, as the campaign tells it. */
  readonly such: string
}

const run = join(dirname(fileURLToPath(import.meta.url)), 'run.mjs')

/** A defect may leave anything behind in its process, so it gets one. Throws when the campaign did not come to its end. */
export async function runOn(
  product: string,
  [name, count]: Run,
  { seed, stop }: { readonly seed: number; readonly stop: 'at the first' | 'at the end' },
): Promise<Ran> {
  const args = [
    run,
    name,
    '--seed',
    String(seed),
    '--count',
    String(count),
    '--product',
    product,
    ...(stop === 'at the first' ? ['--first'] : []),
  ]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let told = ''
  const tell = (text: string) => {
    told += text
  }
  child.stdout.setEncoding('utf8').on('data', tell)
  child.stderr.setEncoding('utf8').on('data', tell)
  await once(child, 'close')
  const lines = told.trimEnd().split('\n')
  const violations = /: (\d+) violations in /.exec(lines.at(-1) ?? '')?.[1]
  if (violations === undefined) throw new Error(`${name} did not come to its end: ${told.slice(-2000)}`)
  return { violations: Number(violations), such: lines[1] ?? '' }
}
