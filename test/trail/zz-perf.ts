import { mkdtempSync, statSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { openTrail, readTrail, verifyTrail } from '../../src/trail/index.ts'
import { entriesFrom, signerOf, hastyFileSystem, entryAt } from './entries.ts'
const signer = signerOf(7)
for (const [total, per] of [[300_000, 100]] as const) {
  const path = mkdtempSync('/tmp/perf-')
  let trail = await openTrail({ path, signer, fs: hastyFileSystem })
  let s = performance.now()
  let made = 0
  for (let n = 0; n < total; n += per) { const m = performance.now(); const e = entriesFrom(n, per); made += performance.now() - m; if (per === 1 && n % 20000 === 5) await trail.flush(); await trail.write(e) }
  console.log(`batch ${per}: write ${(1000 * (performance.now() - s - made) / total).toFixed(2)} us/entry`)
  await trail.close()
  const bytes = readdirSync(join(path, 'main/segments')).reduce((a, f) => a + statSync(join(path, 'main/segments', f)).size, 0)
  for (let i = 0; i < 2; i++) {
    s = performance.now(); trail = await openTrail({ path, signer, fs: hastyFileSystem }); let ms = performance.now() - s
    console.log(`open ${(total / ms * 1000 / 1000).toFixed(0)}k entries/s, ${(bytes / ms / 1000).toFixed(0)} MB/s`); await trail.close()
  }
  s = performance.now(); const v = await verifyTrail(path); let ms = performance.now() - s
  console.log(v.verdict, `verify ${(total / ms).toFixed(0)}k entries/s`)
  for (const filter of [{}, { action: 'kms.export' }, { eventID: entryAt(total - 5).eventID }, { action: 'kms.*', outcome: 'failure' as const }]) {
    s = performance.now(); let n = 0; for await (const _ of readTrail(path, filter)) n++
    console.log(JSON.stringify(filter), n, `${((performance.now() - s) / total * 1e6).toFixed(0)} ms per 1M entries`)
  }
  rmSync(path, { recursive: true })
}
