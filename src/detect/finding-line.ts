/** A finding as one line of JSON: what files and webhooks get. */
import { jsonText } from '../model/line.ts'
import type { Finding, Subject } from './finding.ts'
import type { Suppression } from './suppression.ts'

export const findingFormat = 'keytrail-finding/1'

/** What is told beside a finding. */
export interface Told {
  /** It was held back from whoever would be called. */
  readonly suppressed?: Pick<Suppression, 'id' | 'until' | 'reason' | 'by'>
  /** So many findings of its rule about the same were held back before it, because they came soon after another. */
  readonly repeats?: number
}

/**
 * One line, without its newline: `format` and then the finding's fields in a fixed order, escaped as entries are (`lineOf`).
 */
export function findingLine(finding: Finding, { suppressed, repeats }: Told = {}): string {
  const { id, rule, title, level, attack, at, subject, window, count, evidence, says, whatToDo } = finding
  const list = (texts: readonly string[]) => `[${texts.map(jsonText).join(',')}]`
  let line = `{"format":"${findingFormat}","id":${jsonText(id)},"rule":${jsonText(rule)},"title":${jsonText(title)}`
  line += `,"level":${jsonText(level)},"attack":${list(attack)},"at":${jsonText(at)},"subject":${subjectOf(subject)}`
  line += `,"window":${fields({ from: window.from, to: window.to })},"count":${count},"evidence":${list(evidence)}`
  line += `,"says":${jsonText(says)},"whatToDo":${jsonText(whatToDo)}`
  if (repeats !== undefined && repeats > 0) line += `,"repeats":${repeats}`
  if (suppressed !== undefined) {
    const { id, until, reason, by } = suppressed
    line += `,"suppressed":${fields({ id, until, reason, by })}`
  }
  return `${line}}`
}

/** What a finding is about, as words: `key orders, actor user:alice`. Not escaped. */
export function subjectWords(subject: Subject): string {
  const { key, actor, source, secret, sink, instance } = subject
  const named = Object.entries({ key, actor, source, secret, sink, instance })
  return named.flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`])).join(', ')
}

function subjectOf({ key, actor, source, secret, sink, instance }: Subject): string {
  return fields({ key, actor, source, secret, sink, instance })
}

function fields(given: Readonly<Record<string, string | undefined>>): string {
  const told = Object.entries(given).flatMap(([name, text]) =>
    text === undefined ? [] : [`"${name}":${jsonText(text)}`],
  )
  return `{${told.join(',')}}`
}
