/** @node Compiles a test program once, for tests that start it many times: loading TypeScript costs half a second a start. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/**
 * The path of `program` (below the repository, `.ts`) as JavaScript, in `folder`, with all that it imports; `src` from
 * `product` if given.
 */
export function compile(program: string, folder: string, product: string = join(root, 'src')): string {
  const out = join(folder, 'built')
  mkdirSync(out)
  const from = product === join(root, 'src') ? root : treeWith(product, join(folder, 'tree'))
  const { imports }: { imports: { '#engine': Record<string, string> } } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  )
  const engine = imports['#engine']['node']?.replace('dist', 'src')
  writeFileSync(join(out, 'package.json'), JSON.stringify({ type: 'module', imports: { '#engine': engine } }))
  symlinkSync(join(root, 'node_modules'), join(out, 'node_modules'))
  const off = { declaration: false, declarationMap: false, isolatedDeclarations: false, sourceMap: false }
  const project = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      ...off,
      noCheck: true,
      rootDir: from,
      outDir: out,
      typeRoots: [join(root, 'node_modules/@types')],
    },
    include: [],
    files: [join(from, program)],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`cannot compile ${program}: ${stdout}`)
  return join(out, program.replace(/\.ts$/, '.js'))
}

/** The repository's tests beside another `src`. */
function treeWith(product: string, tree: string): string {
  cpSync(product, join(tree, 'src'), { recursive: true })
  cpSync(join(root, 'test'), join(tree, 'test'), { recursive: true })
  cpSync(join(root, 'package.json'), join(tree, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
  return tree
}
