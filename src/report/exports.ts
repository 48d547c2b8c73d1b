/** Every export, refused ones too: each is for somebody to look at. */
import { countOf, type Fact, momentText, textOf } from './fact.ts'
import type { ReviewedExport } from './review.ts'
import { newestOf } from './rows.ts'

export interface Exports {
  take(fact: Fact): void
  told(): { readonly rows: readonly ReviewedExport[]; readonly others: number }
}

export function collectExports(): Exports {
  const found = newestOf<ReviewedExport>()
  return {
    take(fact) {
      if (fact.action === 'kms.export' && fact.isResult && fact.within) found.add(exportOf(fact))
    },
    told: () => ({ rows: found.items, others: found.others }),
  }
}

function exportOf({ entry, at, asked, actor, outcome }: Fact): ReviewedExport {
  const { details, context, reason } = entry
  return defined({
    eventID: textOf(entry.eventID) ?? '',
    at: momentText(at),
    key: textOf(entry.keySlug) ?? asked ?? 'unknown',
    keyVersion: countOf(entry.keyVersion),
    outcome,
    error: textOf(entry.error),
    form: textOf(details?.form),
    recipient: textOf(details?.recipient),
    actor: actor === 'unknown' ? undefined : actor,
    clientIp: textOf(context?.clientIp),
    reason: textOf(reason?.code),
    ticket: textOf(reason?.ticket),
  })
}

type Defined<T> = { [N in keyof T as undefined extends T[N] ? never : N]: T[N] } & {
  [N in keyof T as undefined extends T[N] ? N : never]?: Exclude<T[N], undefined>
}

/** Without the fields that are undefined: what is absent is left out, as in an entry. */
export function defined<T extends object>(fields: T): Defined<T> {
  // Only fields whose type says that they may be absent are.
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
}
