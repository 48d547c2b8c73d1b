/** One entry as a sentence of a story: what was done, from where, why, and what is odd about it. */
import type { AuditEntry } from '../../model/entry.ts'
import { describeEntry, visible } from '../../sinks/render.ts'

/** Where a slug meets an identity, or leaves it: a slug may have been of several keys. */
const born: ReadonlySet<string> = new Set(['kms_key.create', 'kms_key.import', 'kms_key.destroy'])

/** Without a full stop; what it quotes of the entry is escaped as on a terminal. */
export function sentenceOf(entry: AuditEntry): string {
  const { context, origin, reason, latestVersion } = entry
  const details = entry.details ?? {}
  const extras = [
    born.has(entry.action) && entry.phase === 'result' && entry.resourceIdentity && visible(entry.resourceIdentity),
    context?.clientIp && `from ${visible(context.clientIp)}`,
    context?.userAgent && `with ${visible(context.userAgent)}`,
    origin && `for ${visible(origin.service)}${origin.resource === undefined ? '' : ` ${visible(origin.resource)}`}`,
    reason && `because of ${visible(reason.code)}${reason.ticket === undefined ? '' : ` (${visible(reason.ticket)})`}`,
    latestVersion === false && 'an old version',
    details.decryptFailure && visible(details.decryptFailure),
    details.form && `as ${visible(details.form)}`,
    details.previousVersion !== undefined && `after version ${visible(details.previousVersion)}`,
    details.deletionScheduledAt && `due ${visible(details.deletionScheduledAt)}`,
    details.rule && `rule ${visible(details.rule)}`,
    details.recovered === true && 'found open and closed by recovery',
    details.flags && visible(Array.isArray(details.flags) ? details.flags.join(' ') : details.flags),
  ]
  return [describeEntry(entry), ...extras.filter((extra) => typeof extra === 'string' && extra !== '')].join(', ')
}
