/**
 * `node src/report/page/build.mjs FOLDER`: bundles what the report's page runs and wears, with the charting library in it, and lays the
 * library's licence beside them. report/html/parts.ts reads the three.
 */
import { cpSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('which folder?')

const shared = { bundle: true, minify: true, legalComments: 'none', logLevel: 'warning' }
// Of the last years' browsers: those that know `@media (scripting)`, by which a page without its script shows everything.
const target = ['chrome120', 'firefox115', 'safari17']
mkdirSync(folder, { recursive: true })
// A tsconfig's settings are the compiler's business.
const script = { entryPoints: [join(here, 'main.ts')], format: 'iife', tsconfigRaw: '{}' }
await build({ ...shared, ...script, target, outfile: join(folder, 'page.js') })
await build({ ...shared, entryPoints: [join(here, 'page.css')], target, outfile: join(folder, 'page.css') })
const uplot = dirname(createRequire(import.meta.url).resolve('uplot/package.json'))
cpSync(join(uplot, 'LICENSE'), join(folder, 'uplot-LICENSE.txt'))
