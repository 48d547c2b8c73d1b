/** @node One process on a disk that fails it once. */
import { join } from 'node:path'
import { type House, openHouse, type Place } from './house.ts'
import type { Product } from './product.ts'
import type { QuickClock } from './quick-clock.ts'
import type { Work } from './work.ts'

export interface Life {
  readonly product: Product
  readonly place: Place
  readonly clock: QuickClock
  readonly begun: Work
}

/**
 * A process opens the house, works, goes on after whatever hit it, and closes. What is wrong with that, a sentence each:
 * a call that does not settle, an error that is not ours, a process that does not go on by itself.
 */
export async function oneLife({ product, place, clock, begun }: Life): Promise<readonly string[]> {
  const wrong: string[] = []
  const ours = (error: unknown, when: string) => {
    if (!(error instanceof product.KmsError)) wrong.push(`${when} a foreign error came out: ${error}`)
  }
  let house: House | undefined
  for (let attempt = 1; house === undefined && attempt <= 3; attempt++) {
    try {
      house = await clock.until(openHouse(product, place))
    } catch (error) {
      ours(error, `at opening,`)
      // The fault comes once: the second opening meets none.
      if (attempt === 3) return [...wrong, `it does not open again: ${error}`]
    }
  }
  if (house === undefined) return wrong
  const { kms, local } = house
  try {
    await clock.until(liveThrough({ house, place, begun, clock }))
    for (const error of begun.errors) ours(error, 'from a call')
    await clock.until(goesOn(begun, house, clock))
  } catch (error) {
    wrong.push(`P6: the calls after the fault: ${error}`)
  }
  await clock.until(kms.close()).catch((error) => ours(error, 'at closing'))
  await clock.until(Promise.resolve(local.close?.())).catch((error) => ours(error, 'at closing the keystore'))
  return wrong
}

export interface Living {
  readonly house: House
  readonly place: Place
  readonly begun: Work
  readonly clock: QuickClock
}

/** The calls; then, a year later, another signer, and what is old goes into an archive; then some calls more. */
export async function liveThrough({ house, place, begun, clock }: Living): Promise<void> {
  const { kms, trail, local } = house
  const rest = () => clock.pass(100)
  await begun.run(kms, rest)
  clock.step(400 * 24 * 3600 * 1000)
  const upkeep = [
    () => kms.rotateAuditSigner(),
    () => trail.rotateSigner(local.auditSigner()),
    () => trail.prune({ olderThan: 30, archive: join(place.folder, `archive-${trail.size}.jsonl`) }),
  ]
  for (const step of upkeep) {
    await begun.attempt(step())
    await rest()
  }
  await begun.probe(kms)
}

/** The process itself answers again within a minute. */
async function goesOn(begun: Work, { kms }: House, clock: QuickClock): Promise<void> {
  for (let waited = 0; waited < 60_000; waited += 1000) {
    if (await begun.probe(kms)) return
    await new Promise<void>((resolve) => clock.after(1000, resolve))
  }
  throw new Error('still refused after a minute')
}
