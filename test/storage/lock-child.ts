/** @node A child process of the lock tests: tries for the lock of a folder and says what it got. */
import { createInterface } from 'node:readline'
import { KmsError } from '../../src/model/errors.ts'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { acquireLock } from '../../src/storage/lock.ts'

const [folder = '', mode = 'hold'] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })
const say = (word: string) => process.stdout.write(`${word}\n`)

say('ready')
lines.once('line', async () => {
  try {
    const lock = await acquireLock(nodeFileSystem, folder)
    say(`holds ${lock.epoch}`)
    if (mode === 'exit') return lines.close()
    lines.once('line', async () => {
      await lock.release()
      say('released')
      lines.close()
    })
  } catch (error) {
    say(error instanceof KmsError ? error.code : String(error))
    lines.close()
  }
})
