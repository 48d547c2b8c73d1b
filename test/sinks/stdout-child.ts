/** @node A program whose standard output is the sink: writes the number of entries it is told, then says how it went. */
import process from 'node:process'
import { KmsError } from '../../src/model/errors.ts'
import { stdoutSink } from '../../src/sinks/stdout.ts'
import { exampleEntries } from '../../src/testing/entries.ts'

const [batches = '1', size = '3'] = process.argv.slice(2)
const sink = stdoutSink()
let written = 0
try {
  for (let at = 0; at < Number(batches); at++) {
    await sink.write(exampleEntries(Number(size), written))
    written += Number(size)
  }
  await sink.close?.()
  process.stderr.write(`accepted ${written}\n`)
} catch (error) {
  const code = error instanceof KmsError ? `${error.code} ${String(error.cause)}` : 'a foreign error'
  process.stderr.write(`refused with ${code}\n`)
}
