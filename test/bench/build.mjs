// Compiles src and this folder into a temporary folder, as `npm run build` would, so that what users run is measured and
// dist stays untouched. Types are not checked here.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** The compiled bench: `main` is what node runs; `remove` takes the folder away again. */
export function build() {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-bench-'))
  try {
    for (const file of [...sources('src'), ...sources('test/bench')]) compile(file, folder)
    const engine = { '#engine': './src/crypto/node.js' }
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', imports: engine }))
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    cpSync(join(root, 'src/model/schema.json'), join(folder, 'src/model/schema.json'))
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return {
    folder,
    main: join(folder, 'test/bench/main.js'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function sources(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
}

const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root)
// One file at a time there is no package.json to see that it is an ES module, and no types to declare.
const withoutLooking = {
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  declaration: false,
  declarationMap: false,
  isolatedDeclarations: false,
}

function compile(file, folder) {
  const { outputText, sourceMapText } = ts.transpileModule(readFileSync(join(root, file), 'utf8'), {
    fileName: join(root, file),
    compilerOptions: { ...options, ...withoutLooking },
  })
  const out = join(folder, file.replace(/\.ts$/, '.js'))
  mkdirSync(dirname(out), { recursive: true })
  writeFileSync(out, outputText)
  writeFileSync(`${out}.map`, sourceMapText ?? '')
}
