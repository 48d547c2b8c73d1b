/** @node A keystore and its trail, as an application has them. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { KmsClient, type KmsClientOptions } from '../../src/client.ts'
import { type Clock, systemClock } from '../../src/model/clock.ts'
import { type LocalKms, openLocalKms } from '../../src/providers/local/index.ts'
import { openTrail, type Trail, type TrailOptions } from '../../src/trail/index.ts'

export interface House {
  /** Holds both. */
  readonly folder: string
  readonly keys: string
  readonly audit: string
  readonly rootKey: Uint8Array
  /** Where the next backup goes. */
  out(name?: string): string
  open(over?: Opening): Promise<OpenedHouse>
}

export interface Opening extends Partial<Omit<KmsClientOptions, 'provider' | 'audit'>> {
  readonly trail?: Partial<TrailOptions>
  readonly clock?: Clock
}

export interface OpenedHouse {
  readonly kms: KmsClient
  readonly local: LocalKms
  readonly trail: Trail
}

export function house(t: TestContext): House {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-'))
  const clients: KmsClient[] = []
  t.after(async () => {
    for (const client of clients) await client.close().catch(() => undefined)
    rmSync(folder, { recursive: true, force: true })
  })
  const rootKey = new Uint8Array(randomBytes(32))
  const keys = join(folder, 'home', 'keys')
  const audit = join(folder, 'home', 'audit')
  return {
    folder,
    keys,
    audit,
    rootKey,
    out: (name = 'backup') => join(folder, name),
    async open({ trail: trailOptions, clock = systemClock, ...over } = {}) {
      const local = await openLocalKms({ path: keys, rootKey, clock })
      const opening = openTrail({ path: audit, signer: local.auditSigner(), clock, ...trailOptions })
      const trail = await opening.catch(async (error) => {
        await local.close()
        throw error
      })
      const kms = new KmsClient({ provider: local, audit: { required: [trail], clock }, ...over })
      clients.push(kms)
      return { kms, local, trail }
    },
  }
}

export const plaintext: Uint8Array = new TextEncoder().encode('kept')
