/** Text in columns. */

export interface Column<T> {
  readonly heading: string
  readonly cell: (row: T) => string
}

/** Rows below one another in aligned columns under a heading; no newline at the end. */
export function table<T>(columns: readonly Column<T>[], rows: readonly T[]): string {
  const lines = [columns.map(({ heading }) => heading), ...rows.map((row) => columns.map(({ cell }) => cell(row)))]
  return aligned(lines)
}

/** Cells of each line padded to the widest of their column. */
export function aligned(lines: readonly (readonly string[])[]): string {
  // Line by line: a call takes fewer arguments than a table may have lines.
  const widths: number[] = []
  for (const cells of lines)
    for (const [at, cell] of cells.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  return lines
    .map((cells) =>
      cells
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
