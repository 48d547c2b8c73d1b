// A sink of your own is a name, a durability and a write function, and keytrail/testing checks that it keeps its word.
// prints: written: kms_key.create
// prints: kept its word in every case
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KmsClient, lineOf } from 'keytrail'
import { memoryKms } from 'keytrail/providers/memory'
import { sinkConformance } from 'keytrail/testing'

function fileSink(path) {
  return {
    name: 'file',
    // What returning from write means: the operating system has the bytes. Not more: nothing was synced.
    durability: 'written',
    write(entries) {
      appendFileSync(path, entries.map((entry) => `${lineOf(entry)}\n`).join(''))
    },
  }
}

const folder = mkdtempSync(join(tmpdir(), 'own-sink-'))
const linesOf = (path) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))

const path = join(folder, 'entries.jsonl')
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [fileSink(path)] } })
await kms.createKey({ slug: 'orders' })
await kms.close()
for (const { action, phase } of linesOf(path)) if (phase === 'result') console.log(`written: ${action}`)

let cases = 0
for (const { name, run } of sinkConformance(() => {
  const file = join(folder, `case-${cases++}.jsonl`)
  writeFileSync(file, '')
  return { sink: fileSink(file), accepted: () => linesOf(file) }
})) {
  await run().catch((error) => {
    throw new Error(`${name}: ${error.message}`)
  })
}
console.log(`kept its word in every case (${cases})`)
rmSync(folder, { recursive: true })
