/** The portable suite: every case, run one after another in whatever runtime this is. */
import { authenticatingCases } from './authenticating.ts'
import { callCases } from './calls.ts'
import type { PortableCase, Runtime } from './case.ts'
import { describeError } from './check.ts'
import { encryptingCases } from './encrypting.ts'
import { envelopeCases } from './envelope.ts'
import { httpCases } from './http.ts'
import { kitCases } from './kits.ts'
import { rsaCases } from './rsa.ts'
import { signingCases } from './signing.ts'
import { transferCases } from './transfer.ts'

const cases: readonly PortableCase[] = [
  ...callCases,
  ...encryptingCases,
  ...signingCases,
  ...authenticatingCases,
  ...rsaCases,
  ...transferCases,
  ...envelopeCases,
  ...httpCases,
  ...kitCases,
]

/** How a case ended; `failure` is absent when it passed. */
export interface CaseReport {
  readonly name: string
  readonly failure?: string
}

export async function runAll(runtime: Runtime): Promise<readonly CaseReport[]> {
  const reports: CaseReport[] = []
  for (const { name, run } of cases) reports.push(await reportOf(name, () => run(runtime)))
  return reports
}

async function reportOf(name: string, run: () => Promise<void>): Promise<CaseReport> {
  const failure = await run().then(() => undefined, describeError)
  return { name, ...(failure !== undefined && { failure }) }
}
