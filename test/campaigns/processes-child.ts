/**
 * @node One of several processes on one folder. It does what its standard input says (`open`, `work`, `rest`, `close`), and
 * tells what became of it, a JSON line each. Argument: the folder.
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { KmsClient } from '../../src/client.ts'
import { KmsError } from '../../src/model/errors.ts'
import { type LocalKms, openLocalKms } from '../../src/providers/local/index.ts'
import { fileSigner, openTrail, type Trail } from '../../src/trail/index.ts'
import { plaintextOf, type Seen } from './seen.ts'

/** What a child tells. */
export type Told =
  | { readonly opened: true }
  | { readonly refused: string }
  | { readonly seen: Seen }
  | { readonly failed: string }
  | { readonly resting: true }
  | { readonly closed: true }
  | { readonly unexpected: string }

const [folder = ''] = process.argv.slice(2)
const allowFilesystem = ['tmpfs']
let working = false
let work: Promise<void> = Promise.resolve()
let house: { readonly kms: KmsClient; readonly local: LocalKms } | undefined

const verbs: Readonly<Record<string, () => Promise<void>>> = {
  async open() {
    const signer = await fileSigner(`${folder}/signer`)
    let trail: Trail | undefined
    try {
      trail = await openTrail({ path: `${folder}/audit`, signer, segmentBytes: 64 * 1024, allowFilesystem })
      const rootKey = new Uint8Array(32).fill(9)
      const local = await openLocalKms({ path: `${folder}/keys`, rootKey, allowFilesystem })
      house = { local, kms: new KmsClient({ provider: local, audit: { required: [trail] } }) }
      await house.kms.ready()
      tell({ opened: true })
    } catch (error) {
      await trail?.close().catch(() => undefined)
      if (!(error instanceof KmsError)) throw error
      tell({ refused: error.code })
    }
  },
  async work() {
    working = true
    work = keepWorking()
  },
  async rest() {
    working = false
    await work
    tell({ resting: true })
  },
  async close() {
    working = false
    await work
    await house?.kms.close()
    await house?.local.close?.()
    house = undefined
    tell({ closed: true })
  },
}

createInterface({ input: process.stdin }).on('line', (line) => {
  verbs[line]?.().catch((error) => tell({ unexpected: String(error) }))
})

async function keepWorking(): Promise<void> {
  await Promise.all(
    [one, one, one, one].map(async (call) => {
      while (working) await call()
    }),
  )
}

const key = 'seal'

async function one(): Promise<void> {
  const { kms } = house ?? {}
  if (kms === undefined) return
  try {
    const { eventID, keyVersion: version, ciphertext } = await kms.encrypt({ key, plaintext: plaintextOf(key) })
    const bytes = Buffer.from(ciphertext).toString('base64')
    tell({ seen: { eventID, operation: 'encrypt', key, version, bytes } })
    if (Math.random() < 0.05) {
      const rotated = await kms.rotate({ key })
      tell({ seen: { eventID: rotated.eventID, operation: 'rotate', key, version: rotated.keyVersion } })
    }
  } catch (error) {
    if (!(error instanceof KmsError)) throw error
    if (error.code === 'KEY_NOT_FOUND')
      await kms.createKey({ slug: key, keyType: 'aes256-gcm96' }).catch(() => undefined)
    else {
      tell({ failed: error.code })
      // A holder no more: it would be refused as fast as it can ask.
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

/** One write, so that a kill leaves it whole or not at all. */
function tell(told: Told): void {
  writeSync(1, `${JSON.stringify(told)}\n`)
}
