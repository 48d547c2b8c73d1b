/** One entry as a sentence of a story: what was done, from where, why, and what is odd about it. */
import type { AuditEntry } from '../../model/entry.ts'
import { describeEntry, visible } from '../../sinks/render.ts'

/** Without a full stop; what it quotes of the entry is escaped as on a terminal. */
export function sentenceOf(entry: AuditEntry): string {
  const { context, origin, reason, details = {}, latestVersion } = entry
  const extras = [
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
    details.flags && visible(details.flags.join(' ')),
  ]
  return [describeEntry(entry), ...extras.filter((extra) => typeof extra === 'string' && extra !== '')].join(', ')
}
