/** Columns that sort their table: a button in each heading that can. */
import { make } from './make.ts'

type Direction = 'ascending' | 'descending'

const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' })

export function startSorting(
  listing: HTMLElement,
  rows: readonly HTMLElement[],
  show: (sorted: readonly HTMLElement[], said: string) => void,
): void {
  if (rows.length < 2) return
  const heads = [...listing.querySelectorAll<HTMLTableCellElement>('th[data-sort]')]
  for (const head of heads) {
    const title = head.textContent ?? ''
    const button = make('button', { type: 'button' }, title)
    head.replaceChildren(button)
    button.addEventListener('click', () => {
      const direction = nextOf(head)
      for (const other of heads) other.removeAttribute('aria-sort')
      head.setAttribute('aria-sort', direction)
      show(sortedBy(rows, head, direction), `sorted by ${title}, ${direction}`)
    })
  }
}

/** The most first, where it is about numbers. */
function nextOf(head: HTMLElement): Direction {
  const now = head.getAttribute('aria-sort')
  if (now === null) return head.dataset['sort'] === 'number' ? 'descending' : 'ascending'
  return now === 'ascending' ? 'descending' : 'ascending'
}

function sortedBy(
  rows: readonly HTMLElement[],
  head: HTMLTableCellElement,
  direction: Direction,
): readonly HTMLElement[] {
  const isNumber = head.dataset['sort'] === 'number'
  const sign = direction === 'ascending' ? 1 : -1
  const keyed = rows.map((row) => ({ row, value: sortKeyOf(row.children[head.cellIndex]) }))
  return keyed
    .sort((a, b) => {
      // What is not known comes last, either way.
      if (a.value === '' || b.value === '') return Number(a.value === '') - Number(b.value === '')
      return sign * (isNumber ? Number(a.value) - Number(b.value) : collator.compare(a.value, b.value))
    })
    .map(({ row }) => row)
}

function sortKeyOf(cell: Element | undefined): string {
  if (!(cell instanceof HTMLElement) || cell.classList.contains('none')) return ''
  return cell.dataset['v'] ?? cell.textContent ?? ''
}
