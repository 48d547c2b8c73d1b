/**
 * @node Makes a program plain JavaScript once, for tests that start it many times: from source each start costs twice as much. What
 * tsc does to a program besides, the tests of the package see.
 */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { blanked } from './blanked.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** How a file of ours names another: the house spells all of them so, and what were missed would not be found at its start. */
const named = /(?<=\b(?:from|import) '|\bimport\(')\.{1,2}\/[^']+\.ts(?=')/g

/**
 * The path of `program` (below the repository, `.ts`) as JavaScript, in `folder`, with all that it imports; `src` from
 * `product` if given.
 */
export async function compile(program: string, folder: string, product: string = join(root, 'src')): Promise<string> {
  const out = join(folder, 'built')
  mkdirSync(out)
  const { imports }: { imports: { '#engine': Record<string, string> } } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  )
  const engine = imports['#engine']['node']?.replace('dist', 'src') ?? ''
  writeFileSync(join(out, 'package.json'), JSON.stringify({ type: 'module', imports: { '#engine': engine } }))
  for (const shared of ['node_modules', 'LICENSE']) symlinkSync(join(root, shared), join(out, shared))

  const waiting = new Set([program, normalize(engine.replace(/\.js$/, '.ts'))])
  for (const file of waiting) {
    const source = readFileSync(file.startsWith('src/') ? join(product, relative('src', file)) : join(root, file))
    const text: string = await blanked(source)
    for (const [path] of text.matchAll(named)) waiting.add(join(dirname(file), path))
    const made = javaScriptOf(join(out, file))
    mkdirSync(dirname(made), { recursive: true })
    writeFileSync(made, text.replaceAll(named, javaScriptOf))
  }
  return javaScriptOf(join(out, program))
}

function javaScriptOf(path: string): string {
  return path.replace(/\.ts$/, '.js')
}
