/** A list or a table that can be searched, narrowed down, sorted and cut short. Works on what the page was made with. */
import { brief, counted, make } from './make.ts'
import { startSorting } from './sorting.ts'

/** A choice of more is a search. */
const mostChoices = 300
const levels = ['critical', 'high', 'medium', 'low', 'informational']
/** Below it nobody needs to search. */
const fewest = 6

export function startListing(listing: HTMLElement): void {
  const what = listing.dataset['listing'] ?? 'row'
  const body = listing.querySelector('tbody') ?? listing.querySelector('ul')
  if (body === null) return
  let items = [...body.children].filter((child) => child instanceof HTMLElement)
  const status = make('p', { role: 'status', class: 'shown' })
  const more = make('button', { type: 'button', class: 'show-all' })
  const controls = make('div', { class: 'controls', role: 'group', 'aria-label': `Filter: ${what}` })
  const texts = new Map<Element, string>()
  const wanted: ((item: HTMLElement) => boolean)[] = []
  const atFirst = Number(listing.dataset['first'] ?? Number.POSITIVE_INFINITY)
  let isWhole = false

  const textOf = (item: Element): string => {
    const known = texts.get(item)
    if (known !== undefined) return known
    const text = (item.textContent ?? '').toLowerCase()
    texts.set(item, text)
    return text
  }

  const apply = (said = ''): void => {
    let matching = 0
    for (const item of items) {
      const matches = wanted.every((wants) => wants(item))
      item.classList.toggle('out', !matches)
      item.classList.toggle('more', matches && !isWhole && matching >= atFirst)
      if (matches) matching += 1
    }
    const shown = isWhole ? matching : Math.min(matching, atFirst)
    const all = items.length === matching ? '' : ` (of ${counted(items.length)})`
    const names = matching === 1 ? what : `${what}s`
    status.textContent = `${shown === matching ? '' : `The first ${counted(shown)} of `}${counted(matching)} ${names}${all}${said}`
    more.hidden = shown === matching
    more.textContent = `Show all ${counted(matching)}`
  }

  if (items.length >= fewest) {
    wanted.push(searchBox(controls, { what, textOf, changed: apply }))
    for (const facet of (listing.dataset['facets'] ?? '').split(',').filter((name) => name !== ''))
      wanted.push(choice(controls, items, { facet, changed: apply }))
    listing.prepend(controls, status)
  } else if (items.length > 1) listing.prepend(status)
  listing.append(more)
  more.addEventListener('click', () => {
    const first = items.find((item) => item.classList.contains('more'))
    isWhole = true
    apply()
    // Where the button was there is nothing any more: whoever came by keyboard goes on at the first of what is new.
    first?.setAttribute('tabindex', '-1')
    first?.focus()
  })
  if (body.tagName === 'TBODY')
    startSorting(listing, items, (sorted, said) => {
      items = [...sorted]
      body.append(...items)
      apply(`, ${said}`)
    })
  apply()
}

interface Searching {
  readonly what: string
  readonly textOf: (item: Element) => string
  readonly changed: () => void
}

/** All words must occur. */
function searchBox(controls: HTMLElement, { what, textOf, changed }: Searching): (item: Element) => boolean {
  const input = make('input', { type: 'search', autocomplete: 'off', spellcheck: 'false' })
  controls.append(make('label', {}, make('span', {}, `Search ${what}s`), input))
  let words: readonly string[] = []
  input.addEventListener('input', () => {
    words = input.value
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== '')
    changed()
  })
  return (item) => words.every((word) => textOf(item).includes(word))
}

interface Choosing {
  /** `level:Level`: which `data-…` of the items, and what it is called. */
  readonly facet: string
  readonly changed: () => void
}

function choice(
  controls: HTMLElement,
  items: readonly HTMLElement[],
  { facet, changed }: Choosing,
): (item: HTMLElement) => boolean {
  const [name = '', title = ''] = facet.split(':')
  const counts = new Map<string, number>()
  for (const item of items) {
    const value = item.dataset[name] ?? ''
    if (value !== '') counts.set(value, (counts.get(value) ?? 0) + 1)
  }
  if (counts.size < 2) return () => true
  const rank = (value: string) => (name === 'level' ? levels.indexOf(value) : -(counts.get(value) ?? 0))
  const values = [...counts.keys()].sort((a, b) => rank(a) - rank(b)).slice(0, mostChoices)
  // A place in the list, not the value itself: an actor may be called anything.
  const options = values.map((value, at) =>
    make('option', { value: String(at) }, `${brief(value)} (${counted(counts.get(value) ?? 0)})`),
  )
  const select = make('select', { 'data-facet': name }, make('option', { value: '' }, 'all'), ...options)
  controls.append(make('label', {}, make('span', {}, title), select))
  select.addEventListener('change', () => changed())
  return (item) => select.value === '' || item.dataset[name] === values[Number(select.value)]
}
