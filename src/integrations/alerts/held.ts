/** Findings that are held back from a webhook, and the one message that tells of them. */
import type { Finding, Level } from '../../detect/finding.ts'
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
  /** Findings for which there was no room, since the start. */
  readonly lost: number
  add(finding: Finding): void
  /** Takes what is held out, as a message; undefined when nothing is, nor was lost. */
  take(message: Pick<HeldFindings, 'id' | 'why'>): HeldMessage | undefined
}

export interface HeldMessage {
  readonly id: string
  readonly count: number
  readonly text: string
}

/** At most `most`: what comes then is counted. */
export function createHeld(most: number): Held {
  let findings: HeldFinding[] = []
  let lost = 0
  let told = 0
  return {
    get size() {
      return findings.length
    },
    get lost() {
      return lost
    },
    add({ id, rule, level, at }) {
      if (findings.length < most) findings.push({ id, rule, level, at })
      else lost += 1
    },
    take({ id, why }) {
      const untold = lost - told
      if (findings.length === 0 && untold === 0) return undefined
      const taken = findings
      findings = []
      told = lost
      return { id, count: taken.length, text: textOf({ id, why, findings: taken, lost: untold }) }
    },
  }
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
