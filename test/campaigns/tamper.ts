/**
 * @node Everything that can be done to the files of a trail without its key, and what with it only an anchor shows: found each
 * time, and where; and what is not found changes no entry.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Verdict, VerifyOptions } from '../../src/trail/index.ts'
import type { Campaign, CampaignOptions, Violation } from './campaign.ts'
import { chance } from './chance.ts'
import { type Files, heldAt, heldFiles } from './held-files.ts'
import { withFolder } from './house.ts'
import { loadProduct, type Product } from './product.ts'
import { misplaced } from './tamper-places.ts'
import { entryOf, type MadePruned, type MadeTrail, makePlain, makePruned, openAt, signerOf } from './tamper-trails.ts'
import { cuts, fileWork, flips, lineWork, splices, type Tampering } from './tamperings.ts'

export const tamper: Campaign = async (options) => {
  const product = await loadProduct(options.product)
  const trails = await makeTrails(product)
  const whole = await untouched(product, trails)
  const found: Violation[] = []
  for (const [name, { verdict, problem }] of whole)
    if (verdict !== 'valid') found.push({ case: name, what: `P4: nobody touched it, and it is ${verdict}: ${problem}` })
  // Of trails that are not valid to begin with, everything would look caught.
  if (found.length > 0) return found
  let tried = 0
  const luck = chance(options.seed + 1)
  for (const one of await tamperingsFor(product, trails, options)) {
    const wrong = [...(await judged(product, one, whole))]
    if (luck.next() < writtenTo || options.only !== undefined) wrong.push(...(await laundered(product, one)))
    for (const what of wrong) {
      found.push({ case: one.name, what: `P4: ${what}` })
      options.say?.(`${one.name}: ${what}`)
    }
    tried++
    if (options.first && found.length > 0) break
    if (tried % 5000 === 0) options.say?.(`${tried} tried, ${found.length} violations`)
  }
  options.say?.(`${tried} tried`)
  return found
}

interface Trails extends MadePruned {
  readonly plain: MadeTrail
  readonly packed: MadeTrail
}

async function makeTrails(product: Product): Promise<Trails> {
  const plain = await makePlain(product, 'plain')
  const packed = await makePlain(product, 'packed', { compressSealed: true })
  return { plain, packed, ...(await makePruned(product)) }
}

/** Lines and files in every way; of bits and bytes, which are many, `count` by chance. */
async function tamperingsFor(
  product: Product,
  trails: Trails,
  { seed, count, only }: CampaignOptions,
): Promise<readonly Tampering[]> {
  const { plain, packed, pruned, tiled } = trails
  const others = await Promise.all(
    [0, 5, 11, 13, 16].map((otherFrom) => makePlain(product, `one that differs from ${otherFrom} on`, { otherFrom })),
  )
  const foreign = await makePlain(product, 'one of other keys', { key: 31 })
  const few = [
    ...[plain, pruned, tiled].flatMap((trail) => [...lineWork(trail), ...fileWork(trail)]),
    ...fileWork(packed),
    ...others.flatMap((other) => [...splices(plain, other, true)]),
    ...splices(plain, foreign, false),
  ]
  const many = [...Object.values(trails).flatMap((trail) => [...flips(trail)]), ...cuts(plain)]
  if (only !== undefined) return [...few, ...many].filter(({ name }) => name === only)
  const luck = chance(seed)
  const ranked = many.map((one) => ({ one, rank: luck.next() })).sort((a, b) => a.rank - b.rank)
  return [...few, ...ranked.slice(0, count).map(({ one }) => one)]
}

async function untouched(product: Product, trails: Trails): Promise<ReadonlyMap<string, Verdict>> {
  const verdicts = new Map<string, Verdict>()
  for (const trail of Object.values(trails)) verdicts.set(trail.name, await verdictOn(product, trail, trail.files, {}))
  return verdicts
}

function verdictOn(
  product: Product,
  { path, known }: MadeTrail,
  files: Files,
  anchors: VerifyOptions,
): Promise<Verdict> {
  const { vkey } = known
  return product.verifyTrail(`${heldAt}/${path}`, { fs: heldFiles(files), ...(vkey && { vkey }), ...anchors })
}

async function judged(
  product: Product,
  tampering: Tampering,
  whole: ReadonlyMap<string, Verdict>,
): Promise<readonly string[]> {
  const { trail, outcome, anchor } = tampering
  const files = tampering.files()
  const anchors =
    anchor === 'pin' ? { pin: trail.pin } : anchor === 'witness' ? { witness: trail.known.witness ?? [] } : {}
  let verdict: Verdict
  try {
    verdict = await verdictOn(product, trail, files, anchors)
  } catch (error) {
    // What is no archive any more is none to verify.
    const isRefused = error instanceof product.KmsError && error.code === 'INVALID_INPUT' && trail.name === 'archive'
    return isRefused && outcome === 'not valid' ? [] : [`verifying it ends in ${error}`]
  }
  const kind = verdict.verdict
  if (tampering.verdict !== undefined && kind !== tampering.verdict)
    return [`it is called ${kind}, not ${tampering.verdict}: ${verdict.problem}`]
  if (kind === 'valid')
    return outcome === 'harmless' ? differences(verdict, whole.get(trail.name)) : ['it is called valid']
  if (kind === 'unverifiable') return outcome === 'caught' ? [`it is called unverifiable: ${verdict.problem}`] : []
  if (kind !== 'tampered') return anchor === undefined ? [`it is called ${kind}, and no anchor was given`] : []
  return tampering.place === undefined || tampering.place === 'any' ? [] : misplaced(tampering, files, verdict)
}

/** Valid and harmless: all entries are there, as they were. */
function differences(verdict: Verdict, whole: Verdict | undefined): readonly string[] {
  const same =
    verdict.size === whole?.size && Buffer.from(verdict.root).equals(whole.root) && verdict.vkey === whole.vkey
  return same ? [] : [`it is called valid with ${verdict.size} entries, or others than there were`]
}

/** So many of the tamperings meet a writer, which takes files and time. */
const writtenTo = 0.02

/** A writer that opens what was tampered with refuses it, or leaves it as wrong as it was. */
async function laundered(product: Product, { trail, outcome, anchor, files }: Tampering): Promise<readonly string[]> {
  if (trail.name === 'archive') return []
  return withFolder(async (folder) => {
    for (const [path, bytes] of files()) {
      mkdirSync(dirname(join(folder, path)), { recursive: true, mode: 0o700 })
      writeFileSync(join(folder, path), bytes, { mode: 0o600 })
    }
    try {
      const opened = await openAt(product, folder, { signer: signerOf(8), segmentBytes: 5200 })
      await opened.write([entryOf(20)])
      await opened.close()
    } catch (error) {
      if (!(error instanceof product.KmsError)) return [`opening it ends in ${error}`]
    }
    try {
      const { verdict } = await product.verifyTrail(join(folder, 'main'), { vkey: trail.known.vkey ?? [] })
      const isFound = verdict !== 'valid' || outcome === 'harmless' || anchor !== undefined
      return isFound ? [] : ['after a writer opened it, it is called valid']
    } catch (error) {
      return [`after a writer opened it, verifying ends in ${error}`]
    }
  })
}
