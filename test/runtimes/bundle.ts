/** @node esbuild over the installed package, as an application's own bundler would run. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../packed.ts'
import { type Bundled, esbuild } from './installed.ts'

/** Bundles `code`, a module of the project, and returns what esbuild says of it. */
export function bundled(
  project: string,
  code: string,
  options: Readonly<Record<string, unknown>> = {},
): Promise<Bundled> {
  return esbuild().build({
    stdin: { contents: code, resolveDir: project, sourcefile: 'entry.mjs' },
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    logLevel: 'silent',
    ...options,
  })
}

/**
 * Writes the portable suite into the project, as JavaScript that imports the installed package: what Node, Bun and Deno run,
 * and what the bundles for the others are made of.
 */
export async function writeSuite(project: string): Promise<void> {
  const { outputFiles } = await esbuild().build({
    entryPoints: [join(root, 'test/runtimes/portable/suite.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2023',
    external: ['keytrail', 'keytrail/*'],
    tsconfigRaw: '{}',
    logLevel: 'silent',
  })
  writeFileSync(join(project, 'suite.mjs'), outputFiles[0]?.contents ?? '')
}
