/** The figures as lines of a table, each printed as soon as it is measured. */
import type { Aim, Figure, Measured } from './figure.ts'

export interface Row {
  readonly figure: Figure
  readonly measured: Measured
}

export interface Table {
  readonly head: string
  readonly line: (row: Row) => string
}

const measuredWidth = 30

export function tableOf(figures: readonly Figure[]): Table {
  const width = Math.max(...figures.map(({ text }) => text.length))
  const cells = (text: string, measured: string, aim: string, met: string) =>
    `${text.padEnd(width)}  ${measured.padEnd(measuredWidth)}  ${aim.padEnd(7)}  ${met}`.trimEnd()
  return {
    head: cells('figure', 'measured (median, min–max)', 'aim', 'met?'),
    line: ({ figure, measured }) =>
      cells(figure.text, measuredText(figure, measured), aimText(figure.aim), metText(figure.aim, measured)),
  }
}

export function isMet(aim: Aim, { median }: Measured): boolean {
  return 'atMost' in aim ? median <= aim.atMost : median >= aim.atLeast
}

function measuredText(figure: Figure, { median, least, most }: Measured): string {
  const unit = 'unit' in figure ? ` ${figure.unit}` : ''
  return `${short(median)}${unit} (${short(least)}–${short(most)})`
}

function aimText(aim: Aim | undefined): string {
  if (aim === undefined) return ''
  return 'atMost' in aim ? `≤ ${aim.atMost}` : `≥ ${aim.atLeast}`
}

function metText(aim: Aim | undefined, measured: Measured): string {
  if (aim === undefined) return ''
  return isMet(aim, measured) ? 'yes' : 'no'
}

function short(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(value >= 10 ? 1 : 2)
}
