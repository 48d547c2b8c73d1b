/** The campaigns by name, with how many cases the test of each has, and a long run. */
import type { Campaign } from './campaign.ts'
import { clock } from './clock.ts'
import { faults } from './faults.ts'
import { following } from './following.ts'
import { fsync } from './fsync.ts'
import { hostile } from './hostile.ts'
import { kill } from './kill.ts'
import { meddling } from './meddling.ts'
import { power } from './power.ts'
import { processes } from './processes.ts'
import { tamper } from './tamper.ts'
import { torn } from './torn.ts'

interface Runs {
  readonly run: Campaign
  readonly short: number
  readonly long: number
}

export const campaigns = {
  clock: { run: clock, short: 30, long: 2000 },
  faults: { run: faults, short: 120, long: 100_000 },
  following: { run: following, short: 40, long: 5000 },
  fsync: { run: fsync, short: 100, long: 100_000 },
  hostile: { run: hostile, short: 10_000, long: 100_000 },
  kill: { run: kill, short: 200, long: 2000 },
  meddling: { run: meddling, short: 40, long: 1000 },
  power: { run: power, short: 250, long: 20_000 },
  processes: { run: processes, short: 8, long: 200 },
  tamper: { run: tamper, short: 4000, long: 1_000_000 },
  torn: { run: torn, short: 250, long: 20_000 },
} as const satisfies Readonly<Record<string, Runs>>

export type CampaignName = keyof typeof campaigns
