/** A client over a KMS in memory on a clock turned by hand, and a scheduler on it. */
import type { TestContext } from 'node:test'
import { KmsClient, type KmsClientOptions } from '../../../src/client.ts'
import {
  type RotationRun,
  type RotationScheduler,
  type RotationSchedulerOptions,
  startRotationScheduler,
} from '../../../src/integrations/rotation/index.ts'
import { memoryKms } from '../../../src/providers/memory.ts'
import { type FakeClock, fakeClock } from '../../../src/testing/clock.ts'
import { type FakeProvider, fakeProvider } from '../../../src/testing/provider.ts'
import { summary } from '../../../src/testing/summary.ts'
import { type Puppet, puppet, turn } from '../../audit/puppet.ts'
import { validEntries } from '../../validate.ts'

export const minute = 60_000
export const hour = 60 * minute
export const day = 24 * hour

export interface Stage {
  readonly clock: FakeClock
  readonly sink: Puppet
  readonly provider: FakeProvider
  readonly kms: KmsClient
  /** Every run so far. */
  readonly runs: RotationRun[]
  /** Starts at once unless `options` say otherwise, and is stopped after the test. */
  start(options?: RotationSchedulerOptions): RotationScheduler
  /** Lets `ms` pass in steps of at most `stepMs`, and what that begins come to its end. */
  pass(ms: number, stepMs?: number): Promise<void>
  /** What was written about changes since it was asked last. */
  changes(): readonly string[]
}

/** Keys with their rotation periods in days. */
export async function stage(
  t: TestContext,
  keys: Readonly<Record<string, number>>,
  options: Partial<KmsClientOptions> = {},
): Promise<Stage> {
  const clock = fakeClock()
  const sink = puppet()
  const provider = fakeProvider({ inner: memoryKms({ clock }) })
  const audit = { required: [sink], clock, heartbeatMs: 0 }
  const kms = new KmsClient({ provider, audit, region: 'nl-01', project: 'billing', ...options })
  for (const [slug, rotationPeriodInDays] of Object.entries(keys)) await kms.createKey({ slug, rotationPeriodInDays })
  const runs: RotationRun[] = []
  sink.accepted.length = 0
  let seen = 0
  return {
    clock,
    sink,
    provider,
    kms,
    runs,
    start(more = {}) {
      const scheduler = startRotationScheduler(kms, { jitter: 0, onRun: (run) => runs.push(run), ...more })
      t.after(() => scheduler.stop())
      return scheduler
    },
    async pass(ms, stepMs = ms) {
      for (let left = ms; left > 0 || ms === 0; left -= stepMs) {
        clock.advance(Math.min(left, stepMs))
        await settled()
        if (ms === 0) return
      }
    },
    changes() {
      const entries = sink.accepted.slice(seen)
      seen = sink.accepted.length
      const changes = entries.filter(({ action }) => /^kms\.|^kms_key\.(?!list|describe)/.test(action))
      return changes.length === 0 ? [] : summary(validEntries(changes))
    },
  }
}

/** Lets what goes on in the background come to its end. */
export async function settled(): Promise<void> {
  for (let count = 0; count < 8; count++) await turn()
}

/** What a provider waits for, until it is opened. */
export function gated(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}
