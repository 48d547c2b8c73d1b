/** Comma-separated values (RFC 4180) that a spreadsheet opens as what they are: nothing in them is run as a formula. */
import { visible } from '../sinks/render.ts'
import type { FieldValue } from '../trail/reading/fields.ts'

/** One record, with its line end. */
export function csvLine(values: readonly FieldValue[]): string {
  return `${values.map(cellOf).join(',')}\r\n`
}

/**
 * A number or a truth value is written bare, and nothing that is not there. A text is written as JSON spells it, without the
 * quotes around it, so that a record is a line; where a spreadsheet could take it for a formula, an apostrophe stands before
 * that place, by which spreadsheets know a text. They differ in what they skip before a formula and in which character parts
 * cells, so blanks, quotes and a semicolon before it do not hide it.
 */
function cellOf(value: FieldValue): string {
  if (value === undefined) return ''
  if (typeof value !== 'string') return String(value)
  const told = visible(value.replace(formula, "$1'"))
  return /^[\w.:/*+ -]*$/.test(told) ? told : `"${told.replaceAll('"', '""')}"`
}

// OWASP, CSV Injection: = + - @ tab CR, and their full-width forms, which some spreadsheets read as the same.
const formula = /((?:^|;)[\s"'`]*)(?=[=+\-@\t\r\n＝＋－＠])/gu
