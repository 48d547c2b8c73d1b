/** The entries of findings and suppressions. Each field is named here, one by one. */
import type { Audit } from '../../audit/audit.ts'
import { prepareContext } from '../../audit/context.ts'
import { type Draft, draftOf } from '../../audit/draft.ts'
import { mostEvidence } from '../../detect/finding.ts'
import { subjectWords } from '../../detect/finding-line.ts'
import { actorOf, type Suppression } from '../../detect/suppression.ts'
import type { EntryActor } from '../../model/entry.ts'
import { capText } from '../../model/text.ts'
import type { Alert } from './delivery.ts'

const itself: EntryActor = { type: 'system', id: 'keytrail' }
const longestSubject = 512
const longestName = 64

/** `finding.raised`, or `finding.suppressed` with which suppression (its id as `reason.ticket`) and until when. */
export function recordFinding({ finding, suppressed }: Alert): Draft {
  const { id, rule, level, count, evidence, subject } = finding
  const about = subjectWords(subject)
  return draftOf({
    action: suppressed === undefined ? 'finding.raised' : 'finding.suppressed',
    phase: 'result',
    resourceType: 'finding',
    resourceIdentity: id,
    outcome: 'success',
    actor: itself,
    reason: suppressed && { code: suppressed.reason, ticket: suppressed.id },
    details: {
      count,
      rule: capText(rule, longestName),
      level,
      evidence: evidence.slice(0, mostEvidence).map((each) => capText(each, 56)),
      ...(about !== '' && { subject: capText(about, longestSubject) }),
      ...(suppressed && { until: suppressed.until }),
    },
  })
}

export interface SuppressionChange {
  readonly action: 'finding.suppression_added' | 'finding.suppression_removed'
  /** Type and id of who did it; `keytrail` itself: it expired; undefined: nobody said. */
  readonly by: string | undefined
  readonly reason: string | undefined
}

export function recordSuppression({ fields }: Audit, suppression: Suppression, change: SuppressionChange): Draft {
  const { id, rule, subject, until } = suppression
  const { by, reason } = change
  const actor = by === undefined ? undefined : actorOf(by)
  const prepared = prepareContext(fields, {}, { ...(actor && { actor }), ...(reason && { reason: { code: reason } }) })
  return draftOf({
    action: change.action,
    phase: 'result',
    resourceType: 'finding',
    resourceIdentity: id,
    outcome: 'success',
    actor: by === keytrail ? itself : prepared.actor,
    reason: prepared.reason,
    details: {
      rule: capText(rule, longestName),
      ...(subject && { subject: capText(subjectWords(subject), longestSubject) }),
      until,
    },
  })
}

export const keytrail = 'system:keytrail'
