/** @node A writer to be killed: tells each receipt on standard output, as its caller would have heard it. */
import { fileSigner, openTrail } from '../../src/trail/index.ts'
import { entriesFrom } from './entries.ts'

const [path = '', key = ''] = process.argv.slice(2)
const trail = await openTrail({ path, signer: await fileSigner(key), segmentBytes: 20_000 })
process.stdout.write(`opened ${trail.size}\n`)
for (let next = Number(trail.size); ; ) {
  const count = 1 + (next % 7)
  const { size, root } = await trail.write(entriesFrom(next, count))
  process.stdout.write(`written ${size} ${Buffer.from(root).toString('hex')}\n`)
  next += count
}
