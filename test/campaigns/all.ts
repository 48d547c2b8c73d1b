/** The campaigns by name, with how many cases a long run has. */
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

export const campaigns: Readonly<Record<string, { readonly run: Campaign; readonly long: number }>> = {
  clock: { run: clock, long: 2000 },
  faults: { run: faults, long: 100_000 },
  following: { run: following, long: 5000 },
  fsync: { run: fsync, long: 100_000 },
  hostile: { run: hostile, long: 100_000 },
  kill: { run: kill, long: 2000 },
  meddling: { run: meddling, long: 1000 },
  power: { run: power, long: 20_000 },
  processes: { run: processes, long: 200 },
  tamper: { run: tamper, long: 1_000_000 },
  torn: { run: torn, long: 20_000 },
}
