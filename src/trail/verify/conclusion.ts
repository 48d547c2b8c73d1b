/** What a trail whose entries are as they were signed amounts to: by whom, and held against what. */
import { engine } from '#engine'
import type { NoteVerifier } from '../note.ts'
import { emptyTree } from '../tree/tree.ts'
import { believed, type Claims, nameOf, type Weighed, weigh } from './anchors.ts'
import type { ChainKey } from './keys.ts'
import { leadsTo, type Start } from './start.ts'
import { type Conclusion, tampered, unverifiable } from './verdict.ts'
import type { Walk } from './walk.ts'

export interface Judging {
  /** The keys given. */
  readonly keys: readonly NoteVerifier[]
  readonly claims: Claims
  /** The keys that the trail says it has, and where it says so. */
  readonly named: readonly ChainKey[]
  readonly namedIn: string
  readonly start: Start
  readonly walked: Walk
}

const emptyRoot = emptyTree(engine).root()

export function signsNow({ keys }: Walk): string {
  return keys.at(-1)?.verifier.vkey ?? ''
}

/** Each anchor that is to be believed, held against the entries. */
export async function weighAll({ claims, keys, named, start, walked }: Judging): Promise<readonly Weighed[]> {
  const weighed: Weighed[] = []
  for (const claim of claims.claims) {
    const isBefore = claim.size < start.tree.size
    // Nothing that was read shows who signed what was not; for the rest trail.json's word is not enough.
    const signers = [...walked.keys, ...(isBefore ? named : [])].map(({ verifier }) => verifier)
    if (!believed(claim, [...keys, ...signers])) continue
    if (claim.size === 0n) weighed.push(weigh(claim, emptyRoot))
    else if (isBefore) weighed.push({ claim, outcome: (await leadsTo(start, claim)) ? 'agrees' : 'differs' })
    else weighed.push(weigh(claim, walked.rootAt(claim.size)))
  }
  return weighed
}

/** The verdict on entries that are as they were signed, and agree with the files beside them. */
export function conclude(judging: Judging, weighed: readonly Weighed[]): Conclusion {
  const { keys, claims, walked } = judging
  const contradicting =
    weighed.find(({ outcome }) => outcome === 'differs') ?? weighed.find(({ outcome }) => outcome === 'ahead')
  const signers = new Set(walked.keys.map(({ verifier }) => verifier.vkey))
  if (keys.length > 0 && !keys.some(({ vkey }) => signers.has(vkey))) return byAnother(judging)
  if (contradicting !== undefined) return disagreement(contradicting, walked)
  const unbelieved = claims.claims.find((claim) => weighed.every((one) => one.claim !== claim))
  const unsigned = unbelieved && `${nameOf(unbelieved)} is not signed by a key of this trail, or one that was given`
  const missing = unsigned ?? claims.missing
  const advice = unsigned === undefined ? '' : '; if the trail had another key since, give that one, too'
  if (missing !== undefined)
    return unverifiable(missing, `the entries are as they were signed; the anchor says nothing of them${advice}`)
  return { verdict: 'valid', note: meaningOf(judging, weighed) }
}

/** None of the keys given is among those that signed what was read. */
function byAnother({ keys, named, namedIn, start, walked }: Judging): Conclusion {
  const given = new Set(keys.map(({ vkey }) => vkey))
  const elsewhere = named.find(({ verifier }) => given.has(verifier.vkey))
  if (elsewhere !== undefined && elsewhere.fromIndex < start.tree.size)
    return unverifiable(
      'the handover from the key that was given is not among the entries',
      'give the key that signs now',
    )
  if (elsewhere !== undefined && elsewhere.fromIndex > walked.tree.size)
    return unverifiable(
      'the key that was given signed only later entries',
      `give the key before it: ${signsNow(walked)}`,
    )
  return tampered({ problem: `${namedIn} names another key than the one given: ${signsNow(walked)}` })
}

function disagreement({ claim, outcome }: Weighed, { tree, story }: Walk): Conclusion {
  const restore = story.restoreBefore(claim.size, tree.size)
  const because = restore?.reason === undefined ? '' : ` (${restore.reason})`
  const explained =
    restore && `; entry ${restore.index} tells that the trail was restored at ${restore.size} entries${because}`
  if (outcome === 'ahead') {
    const problem = `${nameOf(claim)} covers ${claim.size} entries, the trail has ${tree.size}`
    return {
      verdict: 'rolled-back',
      problem,
      note: `consistent in itself, but entries are missing at its end${explained ?? ''}`,
    }
  }
  const problem = `${nameOf(claim)} covers other entries than the first ${claim.size} of the trail`
  return {
    verdict: 'forked',
    problem,
    note: `consistent in itself, but it is not the history that was anchored${explained ?? ''}`,
  }
}

function meaningOf({ keys, walked }: Judging, weighed: readonly Weighed[]): string {
  const whole = byWhom(keys, walked)
  return weighed.length === 0
    ? whole
    : `${whole}; agrees with ${weighed.map(({ claim }) => nameOf(claim)).join(' and ')}`
}

function byWhom(keys: readonly NoteVerifier[], walked: Walk): string {
  if (keys.length === 0) return 'self-consistent; key supplied by this directory'
  return walked.keys.length === 1
    ? 'signed throughout by the key that was given'
    : 'signed throughout by the key that was given and those it was handed over from and to'
}
