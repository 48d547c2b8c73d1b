/** @node The page's script and style, built as `npm run build` does it, for tests that run from source. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type PageParts, readParts } from '../../src/report/html/parts.ts'
import { root, run } from '../packed.ts'

/** Lays them into `folder`, where the code that reads them looks if it is `report/page` beside it. */
export async function buildPage(folder: string): Promise<void> {
  await run(process.execPath, [join(root, 'src/report/page/build.mjs'), folder])
}

/** A folder that is removed after the file's tests. */
export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-report-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export async function builtParts(): Promise<PageParts> {
  const folder = temporary()
  await buildPage(folder)
  return readParts(pathToFileURL(`${folder}/`))
}
