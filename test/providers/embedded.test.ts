import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { mlDsa } from '../../src/crypto/ml-dsa.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import type { EmbeddedKms } from '../../src/providers/local/provider.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { freshFolder } from '../storage/folder.ts'
import { type HandClock, handClock } from './calls.ts'
import { cases } from './cases.ts'

const providers: Record<string, (t: TestContext, clock: HandClock) => EmbeddedKms | Promise<EmbeddedKms>> = {
  local: (t, clock) => openLocalKms({ path: freshFolder(t), rootKey: randomBytes(32), clock, mlDsa }),
  memory: (_t, clock) => memoryKms({ clock, mlDsa }),
}

for (const [provider, open] of Object.entries(providers)) {
  for (const { name, run } of cases) {
    test(`${provider}: ${name}`, async (t) => {
      const clock = handClock()
      const kms = await open(t, clock)
      await run(kms, clock)
      await kms.close()
    })
  }
}
