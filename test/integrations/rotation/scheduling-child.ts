/**
 * @node One of several processes with a scheduler, a line for what becomes of it. Arguments: what to be, and the folder.
 * `writer`: opens keystore and trail, however long another holds them, and rotates when its standard input says so. `reader`: the
 * same keystore, read-only. `idle`: starts a scheduler and has nothing else to do.
 */
import { once } from 'node:events'
import { KmsClient } from '../../../src/client.ts'
import { startRotationScheduler } from '../../../src/integrations/rotation/index.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { type LocalKms, openLocalKms } from '../../../src/providers/local/index.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { openTrail } from '../../../src/trail/index.ts'

const [what = '', folder = ''] = process.argv.slice(2)
const rootKey = new Uint8Array(32).fill(9)
const allowFilesystem = ['tmpfs']

const roles: Readonly<Record<string, () => Promise<void>>> = {
  async writer() {
    const local = await whenUnlocked()
    const signer = local.auditSigner()
    const trail = await openTrail({ path: `${folder}/audit`, signer, allowFilesystem })
    const kms = new KmsClient({ provider: local, audit: { required: [trail] } })
    say('open')
    await once(process.stdin, 'data')
    const scheduler = startRotationScheduler(kms, { jitter: 0 })
    const { rotated, overtaken, failed, error } = await scheduler.run()
    await scheduler.stop()
    await kms.close()
    say(`rotated ${rotated.length} overtaken ${overtaken.length} failed ${failed.length} ${error?.code ?? 'fine'}`)
    process.stdin.destroy()
  },
  async reader() {
    const local = await openLocalKms({ path: `${folder}/keys`, rootKey, allowFilesystem, readOnly: true })
    const kms = new KmsClient({ provider: local, audit: { required: [memorySink()] } })
    const { leftOut, rotated } = await startRotationScheduler(kms).run()
    await kms.close()
    say(`${leftOut[0]?.because} rotated ${rotated.length}`)
  },
  async idle() {
    const kms = new KmsClient({ provider: memoryKms(), audit: { required: [memorySink()] } })
    startRotationScheduler(kms, { every: '1s', jitter: 0 })
    say('started')
  },
}

async function whenUnlocked(): Promise<LocalKms> {
  for (let round = 0; ; round++) {
    try {
      return await openLocalKms({ path: `${folder}/keys`, rootKey, allowFilesystem })
    } catch (error) {
      if (!(error instanceof KmsError && error.code === 'LOCKED')) throw error
      if (round === 0) say('LOCKED')
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

await roles[what]?.()
