/** @node A private folder of its own for a test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export function freshFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
