/** @node The package as a user gets it: built and packed apart from this folder, and installed in an empty project. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export const run = promisify(execFile)
export const root: string = dirname(dirname(fileURLToPath(import.meta.url)))

export interface Packed {
  /** Where it was built: a copy, so that no other test sees dist/ come and go. */
  readonly copy: string
  readonly tarball: string
  /** Has the tarball installed, and nothing else. */
  readonly project: string
  dispose(): void
}

const parts = [
  'package.json',
  'tsconfig.json',
  'src',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'SECURITY.md',
  'examples',
] as const

export async function packed(): Promise<Packed> {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-packed-'))
  const copy = join(folder, 'copy')
  const project = join(folder, 'project')
  mkdirSync(copy)
  for (const name of parts) cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  const { stdout } = await run('npm', ['pack', '--json', '--silent'], { cwd: copy })
  const [file] = JSON.parse(stdout.slice(stdout.indexOf('['))) as { filename: string }[]
  const tarball = join(copy, file?.filename ?? assert.fail('npm pack names its file'))

  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }')
  await run('npm', ['install', '--no-fund', '--no-audit', tarball], { cwd: project })
  return { copy, tarball, project, dispose: () => rmSync(folder, { recursive: true, force: true }) }
}
