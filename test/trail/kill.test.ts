/** @node SIGKILL at random moments: every receipt that another process saw stands, and the trail goes on. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { engine } from '#engine'
import { lineOf } from '../../src/model/line.ts'
import { verifyTrail } from '../../src/trail/index.ts'
import { emptyTree, leafHash } from '../../src/trail/tree/tree.ts'
import { fromSource } from '../from-source.mjs'
import { collect, entriesFrom, folderFor } from './entries.ts'

const child = fileURLToPath(new URL('child-writer.ts', import.meta.url))
const kills = 12

/** Runs a writer, kills it after so many receipts and a moment more, and resolves to the receipts it told. */
async function writeUntilKilled(
  path: string,
  key: string,
  receipts: number,
): Promise<{ size: number; root: string }[]> {
  const writer = spawn(process.execPath, [...fromSource, child, path, key], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let errors = ''
  writer.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
    // From here it is killed in the middle of whatever it does.
    if (out.split('\nwritten ').length > receipts) writer.kill('SIGKILL')
  })
  writer.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const [, signal] = await once(writer, 'close')
  strictEqual(signal, 'SIGKILL', errors)
  return [...out.matchAll(/^written (\d+) ([0-9a-f]{64})$/gm)].map(([, size = '', root = '']) => ({
    size: Number(size),
    root,
  }))
}

test(`${kills} writers killed one after another lose nothing that they acknowledged`, async (t) => {
  const folder = folderFor(t)
  const path = join(folder, 'audit')
  const key = join(folder, 'signer.key')
  const acknowledged: { size: number; root: string }[] = []
  for (let kill = 0; kill < kills; kill++) {
    const receipts = await writeUntilKilled(path, key, (kill * 7) % 40)
    acknowledged.push(...receipts)
    const verdict = await verifyTrail(path)
    strictEqual(verdict.verdict, 'valid', verdict.problem)
    ok(verdict.size >= BigInt(acknowledged.at(-1)?.size ?? 0))
  }
  ok(acknowledged.length > 100)

  const found = await collect(path)
  deepStrictEqual(
    found.map(({ entry }) => entry),
    entriesFrom(0, found.length),
  )
  const roots = new Map<number, string>()
  const tree = emptyTree(engine)
  for (const { entry } of found) {
    tree.append(leafHash(engine, Buffer.from(lineOf(entry))))
    roots.set(Number(tree.size), Buffer.from(tree.root()).toString('hex'))
  }
  for (const { size, root } of acknowledged) strictEqual(roots.get(size), root, `size ${size}`)
})
