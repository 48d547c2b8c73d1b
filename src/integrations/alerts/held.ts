/** Findings that are held back from a webhook, and the one message that tells of them. */
import { type Finding, isAtLeast, type Level } from '../../detect/finding.ts'
import { jsonText } from '../../model/line.ts'

export const heldFormat = 'keytrail-findings-held/1'

/** The message: which findings were not posted one by one. They are in the trail, or found again in a review. */
export interface HeldFindings {
  readonly format: typeof heldFormat
  /** The same in each attempt to post it. */
  readonly id: string
  /** `rate`: there were more than the webhook's rate allows. `outage`: some could not be posted before. */
  readonly why: 'rate' | 'outage'
  readonly count: number
  /** How many of each rule. */
  readonly rules: Readonly<Record<string, number>>
  readonly findings: readonly HeldFinding[]
  /** Findings that could not even be held since the last such message. */
  readonly lost: number
}

export interface HeldFinding {
  readonly id: string
  readonly rule: string
  readonly level: Level
  readonly at: string
}

export interface Held {
  readonly size: number
  /** `giveUp` is called if there is no room for it, now or when a worse one comes. */
  add(finding: Finding, giveUp: GiveUp): void
  /** Takes the first of what is held out, as a message; undefined when nothing is, nor was given up on. */
  take(message: Pick<HeldFindings, 'id' | 'why'>): HeldMessage | undefined
  /** Gives up on all that is held. */
  drop(why: string): void
}

export type GiveUp = (why: string) => void

export interface HeldMessage {
  readonly id: string
  readonly count: number
  readonly text: string
  readonly giveUp: GiveUp
}

/** Many receivers take no more than 100 KiB. */
const mostInMessage = 500

/** At most `most`: then the first of the least bad ones is given up. */
export function createHeld(most: number): Held {
  const held: { readonly finding: HeldFinding; readonly giveUp: GiveUp }[] = []
  let untold = 0
  return {
    get size() {
      return held.length
    },
    add({ id, rule, level, at }, giveUp) {
      held.push({ finding: { id, rule, level, at }, giveUp })
      if (held.length <= most) return
      const least = held.reduce((one, other) => (isAtLeast(other.finding.level, one.finding.level) ? one : other))
      held.splice(held.indexOf(least), 1)
      untold += 1
      least.giveUp(`more than ${most} findings are held`)
    },
    take({ id, why }) {
      if (held.length === 0 && untold === 0) return undefined
      const taken = held.splice(0, mostInMessage)
      const text = textOf({ id, why, findings: taken.map(({ finding }) => finding), lost: untold })
      untold = 0
      return { id, count: taken.length, text, giveUp: (reason) => drop(taken, reason) }
    },
    drop: (why) => drop(held.splice(0), why),
  }
}

function drop(held: readonly { readonly giveUp: GiveUp }[], why: string): void {
  for (const { giveUp } of held) giveUp(why)
}

function textOf({ id, why, findings, lost }: Pick<HeldFindings, 'id' | 'why' | 'findings' | 'lost'>): string {
  const rules = new Map<string, number>()
  for (const { rule } of findings) rules.set(rule, (rules.get(rule) ?? 0) + 1)
  const counts = [...rules].map(([rule, count]) => `${jsonText(rule)}:${count}`)
  const each = findings.map(
    (one) =>
      `{"id":${jsonText(one.id)},"rule":${jsonText(one.rule)},"level":${jsonText(one.level)},"at":${jsonText(one.at)}}`,
  )
  const head = `{"format":"${heldFormat}","id":${jsonText(id)},"why":"${why}","count":${findings.length}`
  return `${head},"rules":{${counts.join(',')}},"findings":[${each.join(',')}],"lost":${lost}}`
}
