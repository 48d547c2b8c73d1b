import { mkdtempSync, existsSync } from 'node:fs'
import { openTrail } from '../../src/trail/index.ts'
import { entriesFrom, signerOf, hastyFileSystem } from './entries.ts'
const signer = signerOf(7)
const path = '/tmp/perf/one'
if (!existsSync(path)) {
  const fs = { ...hastyFileSystem, open: (p: string, how: 'read'|'create'|'append', m?: number) => hastyFileSystem.open(p, how, m) }
  const t = await openTrail({ path, signer, fs })
  for (let n = 0; n < 30000; n += 1) await t.write(entriesFrom(n, 1))
  await t.close()
} else {
  for (let i = 0; i < 3; i++) {
  const s = performance.now(); const t = await openTrail({ path, signer, fs: hastyFileSystem }); console.log(30000 / (performance.now() - s), 'k/s'); await t.close() }
}
