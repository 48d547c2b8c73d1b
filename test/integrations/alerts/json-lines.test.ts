/** @node Findings in a file: each on a line of its own, whatever happened to the file. */
import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { findingLine } from '../../../src/detect/finding-line.ts'
import { jsonLinesDelivery, jsonLinesOver } from '../../../src/integrations/alerts/files/json-lines.ts'
import { nodeFileSystem } from '../../../src/storage/filesystem.ts'
import { findingOf } from './findings.ts'

function fileFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-alerts-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return join(folder, 'findings.jsonl')
}

const idsIn = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => Number.parseInt(JSON.parse(line).id, 16))

test('appends a line a finding, for its owner only, those that are suppressed marked', async (t) => {
  const path = fileFor(t)
  const first = jsonLinesDelivery(path)
  const suppressed = { id: 's', rule: 'export', until: '2026-02-01T00:00:00.000Z', reason: 'T', by: 'user:a' }
  await first.deliver({ finding: findingOf(1) })
  await first.deliver({ finding: findingOf(2), suppressed })
  await first.close?.()
  const second = jsonLinesDelivery(path)
  await second.deliver({ finding: findingOf(3) })
  await second.close?.()
  const lines = [findingLine(findingOf(1)), findingLine(findingOf(2), { suppressed }), findingLine(findingOf(3))]
  assert.equal(readFileSync(path, 'utf8'), `${lines.join('\n')}\n`)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal(first.hears, 'all')
})

test('goes on in a new file when the old one was moved away', async (t) => {
  const path = fileFor(t)
  const delivery = jsonLinesDelivery(path)
  await delivery.deliver({ finding: findingOf(1) })
  renameSync(path, `${path}.1`)
  await delivery.deliver({ finding: findingOf(2) })
  await delivery.deliver({ finding: findingOf(3) })
  await delivery.close?.()
  assert.deepEqual([idsIn(`${path}.1`), idsIn(path)], [[1], [2, 3]])
})

test('goes on behind what others wrote, on a line of its own', async (t) => {
  const path = fileFor(t)
  writeFileSync(path, 'torn')
  const delivery = jsonLinesDelivery(path)
  await delivery.deliver({ finding: findingOf(1) })
  appendFileSync(path, '{"half')
  await delivery.deliver({ finding: findingOf(2) })
  await delivery.close?.()
  assert.deepEqual(idsIn(path), [1, 2])
  assert.equal(readFileSync(path, 'utf8').split('\n').length, 5)
})

test('a disk that fails loses a finding, and says so; the next one is tried anew', async (t) => {
  const path = fileFor(t)
  let broken = false
  const delivery = jsonLinesOver(
    {
      ...nodeFileSystem,
      async open(name, how, mode) {
        const file = await nodeFileSystem.open(name, how, mode)
        const write: typeof file.write = async (bytes) => {
          if (!broken) return file.write(bytes)
          await file.write(bytes.subarray(0, 10))
          throw Object.assign(new Error('full'), { code: 'ENOSPC' })
        }
        return { ...file, write }
      },
    },
    path,
  )
  await delivery.deliver({ finding: findingOf(1) })
  broken = true
  await assert.rejects(async () => delivery.deliver({ finding: findingOf(2) }), {
    code: 'PROVIDER_UNAVAILABLE',
    message: /ENOSPC/,
  })
  broken = false
  await delivery.deliver({ finding: findingOf(3) })
  await delivery.close?.()
  assert.deepEqual(idsIn(path), [1, 3])
})

test('a folder that is not there, and what is no name, are refused', async (t) => {
  const path = fileFor(t)
  await assert.rejects(async () => jsonLinesDelivery(join(path, 'x')).deliver({ finding: findingOf(1) }), {
    code: 'PROVIDER_UNAVAILABLE',
  })
  assert.throws(() => jsonLinesDelivery(''), { code: 'INVALID_INPUT' })
})
