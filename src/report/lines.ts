/** Lines of a page in words: wrapped, aligned, and with nothing in them that a terminal might act upon. */
import { visible } from '../sinks/render.ts'

/**
 * Text as it may be shown: what could hide, or act upon a terminal, is escaped. Quotes and backslashes stay, since sentences
 * hold names that are quoted and escaped already.
 */
export function printable(text: string): string {
  return text.replace(/[^"\\]+/g, (part) => visible(part))
}

export interface Wrapping {
  readonly width: number
  /** What the first line begins with; the others begin as many blanks further in. */
  readonly lead: string
}

/** Words in lines of at most `width` columns; a word that is longer has a line of its own. */
export function wrapped(text: string, { width, lead }: Wrapping): readonly string[] {
  const indent = ' '.repeat(lead.length)
  const lines: string[] = []
  let line = lead
  for (const word of printable(text).split(' ')) {
    const isFirst = line === lead || line === indent
    if (!isFirst && lengthOf(line) + 1 + lengthOf(word) > width) {
      lines.push(line)
      line = indent + word
    } else line += isFirst ? word : ` ${word}`
  }
  return [...lines, line]
}

export type Cell = string | number

/** Rows in columns, numbers to the right; the last column is not padded. */
export function columns(rows: readonly (readonly Cell[])[], indent: string): readonly string[] {
  const texts = rows.map((cells) => cells.map(textOf))
  const widths = (texts[0] ?? []).map((_, at) => Math.max(...texts.map((cells) => lengthOf(cells[at] ?? ''))))
  return rows.map((cells, row) => {
    const padded = cells.map((cell, at) => {
      const text = texts[row]?.[at] ?? ''
      const blanks = ' '.repeat((widths[at] ?? 0) - lengthOf(text))
      return typeof cell === 'number' ? blanks + text : text + blanks
    })
    return `${indent}${padded.join('  ')}`.trimEnd()
  })
}

function textOf(cell: Cell): string {
  return typeof cell === 'number' ? cell.toLocaleString('en-US') : printable(cell)
}

/** Code points, as most terminals show them: one column each. */
function lengthOf(text: string): number {
  return [...text].length
}
