/** @node A child process that rotates a key until it is killed, and says each version that was acknowledged. */
import { openLocalKms } from '../../../src/providers/local/index.ts'
import { run } from '../calls.ts'

const [path = '', rootKey = ''] = process.argv.slice(2)
const kms = await openLocalKms({ path, rootKey: new Uint8Array(Buffer.from(rootKey, 'hex')) })
for (;;) {
  const { keyVersion } = await run(kms, 'rotate', { key: 'k' })
  process.stdout.write(`${keyVersion}\n`)
}
