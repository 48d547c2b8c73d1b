/** @node A client over an embedded KMS and its trail, on a clock turned by hand. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KmsClient } from '../../src/client.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import { type FakeClock, fakeClock } from '../../src/testing/clock.ts'
import { openTrail, type Trail } from '../../src/trail/index.ts'
import { hastyFileSystem } from '../trail/entries.ts'

export interface Rig {
  readonly clock: FakeClock
  readonly kms: KmsClient
  readonly trail: Trail
  /** Of the trail. */
  readonly path: string
  readonly folder: string
  /** Another client on the same keys and trail, after the one before was closed. */
  again(): Promise<Rig>
}

interface Cleaning {
  after(run: () => void | Promise<void>): void
}

export async function rig(t: Cleaning, segmentBytes = 64 * 1024 * 1024): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-review-'))
  const opened: KmsClient[] = []
  t.after(async () => {
    // What is closed writes: only then may the folder go.
    for (const kms of opened) await kms.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return open(opened, { folder, clock: fakeClock(), segmentBytes })
}

interface Where {
  readonly folder: string
  readonly clock: FakeClock
  readonly segmentBytes: number
}

async function open(opened: KmsClient[], where: Where): Promise<Rig> {
  const { folder, clock, segmentBytes } = where
  const rootKey = new Uint8Array(32).fill(9)
  const local = await openLocalKms({ path: join(folder, 'keys'), rootKey, clock })
  const path = join(folder, 'audit')
  const trail = await openTrail({ path, signer: local.auditSigner(), clock, fs: hastyFileSystem, segmentBytes })
  const kms = new KmsClient({ provider: local, audit: { required: [trail], clock }, region: 'nl-01' })
  opened.push(kms)
  const again = async () => {
    await kms.close()
    return open(opened, where)
  }
  return { clock, kms, trail, path, folder, again }
}
