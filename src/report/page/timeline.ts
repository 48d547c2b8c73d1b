/** The chart of calls over time: stacked bars, split by outcome or by action. */
import uPlot from 'uplot'
import type { Facts } from './facts.ts'
import { type Group, groupsOf, type View, views } from './groups.ts'
import { brief, counted, make } from './make.ts'

type Paper = 'screen' | 'print'

const printWidth = 680

export function startTimeline(figure: HTMLElement, { timeline, timeZone }: Facts): void {
  const start = Date.parse(timeline.from) / 1000
  const step = timeline.bucketMs / 1000
  const buckets = timeline.series.reduce((most, { counts }) => Math.max(most, counts.length), 0)
  // One more than there are bars, so that the last of them has room.
  const xs = Array.from({ length: buckets + 1 }, (_, at) => start + at * step)
  const labels = labelsIn(timeZone)
  const place = make('div', {
    class: 'plot',
    tabindex: '0',
    role: 'img',
    'aria-label':
      'Chart of calls over time. Left and right arrow keys step through it; the table below has the same numbers.',
  })
  const readout = make('p', { class: 'readout', 'aria-hidden': 'true' })
  const spoken = make('p', { class: 'hidden-text', role: 'status' })
  const legend = make('ul', { class: 'legend', 'aria-label': 'Shown in the chart' })
  const whole = make('button', { type: 'button', class: 'whole' }, 'Show the whole time')
  let view: View = 'outcome'
  let groups = groupsOf(timeline, view)
  let off = new Set<string>()
  let plot: uPlot | undefined

  const shown = (): readonly Group[] => groups.filter(({ name }) => !off.has(name))

  const draw = (paper: Paper = 'screen'): void => {
    plot?.destroy()
    const width = paper === 'print' ? printWidth : Math.max(place.clientWidth, 200)
    const made = chartOf(shown(), { xs, width, paper, labels, timeZone })
    made.hooks = { setCursor: [(self) => tell(self.cursor.idx ?? undefined)], setScale: [(self) => zoomed(self)] }
    plot = new uPlot(made, stacked(xs, shown()), place)
  }

  const zoomed = ({ scales }: uPlot): void => {
    const { min = null, max = null } = scales['x'] ?? {}
    whole.hidden = min === null || max === null || (min <= start && max >= start + buckets * step)
  }

  const tell = (at: number | undefined): void => {
    readout.textContent = sentence(at)
  }

  const sentence = (at: number | undefined): string => {
    if (at === undefined || at >= buckets)
      return 'Point at a bar, or step through them with the arrow keys. Drag to look closer.'
    const told = shown()
      .map(({ name, counts }) => ({ name, count: counts[at] ?? 0 }))
      .filter(({ count }) => count > 0)
    const sum = told.reduce((all, { count }) => all + count, 0)
    const parts = told.map(({ name, count }) => `${brief(name)} ${counted(count)}`).join(', ')
    return `${labels.full((start + at * step) * 1000)}: ${counted(sum)}${told.length > 1 ? ` (${parts})` : parts === '' ? '' : ` ${brief(told[0]?.name ?? '')}`}`
  }

  const showLegend = (): void => {
    const items = groups.map(({ name, tone, total }) => {
      const button = make(
        'button',
        { type: 'button', 'aria-pressed': String(!off.has(name)) },
        make('span', { class: `swatch ${tone}`, 'aria-hidden': 'true' }),
        `${brief(name)} `,
        make('span', { class: 'quiet' }, counted(total)),
      )
      button.addEventListener('click', () => {
        off = new Set(off.has(name) ? [...off].filter((other) => other !== name) : [...off, name])
        button.setAttribute('aria-pressed', String(!off.has(name)))
        draw()
      })
      return make('li', {}, button)
    })
    legend.replaceChildren(...items)
  }

  const choose = (next: View): void => {
    view = next
    groups = groupsOf(timeline, view)
    off = new Set()
    showLegend()
    draw()
  }

  place.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (by === undefined || plot === undefined) return
    event.preventDefault()
    const at = Math.min(Math.max((plot.cursor.idx ?? (by > 0 ? -1 : buckets)) + by, 0), buckets - 1)
    plot.setCursor({ left: plot.valToPos((xs[at] ?? start) + step / 4, 'x'), top: 0 })
    spoken.textContent = sentence(at)
  })
  whole.addEventListener('click', () => draw())
  whole.hidden = true

  figure.prepend(choices(choose), legend, place, make('div', { class: 'under' }, readout, whole), spoken)
  figure.hidden = false
  choose('outcome')
  tell(undefined)
  new ResizeObserver(() => {
    const width = place.clientWidth
    if (plot !== undefined && width > 0 && width !== plot.width) plot.setSize({ width, height: plot.height })
  }).observe(place)
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => draw())
  addEventListener('beforeprint', () => draw('print'))
  addEventListener('afterprint', () => draw())
}

function choices(choose: (view: View) => void): HTMLElement {
  const radios = views.map(({ view, says }, at) => {
    const input = make('input', { type: 'radio', name: 'timeline-view', value: view, ...(at === 0 && { checked: '' }) })
    input.addEventListener('change', () => choose(view))
    return make('label', {}, input, make('span', {}, says))
  })
  return make('fieldset', { class: 'views' }, make('legend', {}, 'Split by'), ...radios)
}

/** Each group on top of those after it; the highest is drawn first, and covered by the others. */
function stacked(xs: readonly number[], groups: readonly Group[]): uPlot.AlignedData {
  const sums = xs.map(() => 0)
  const layers = groups.map(({ counts }) => {
    for (let at = 0; at < sums.length; at++) sums[at] = (sums[at] ?? 0) + (counts[at] ?? 0)
    return [...sums]
  })
  return [[...xs], ...layers.reverse()]
}

interface Look {
  readonly xs: readonly number[]
  readonly width: number
  readonly paper: Paper
  readonly labels: Labels
  readonly timeZone: string
}

function chartOf(groups: readonly Group[], { xs, width, paper, labels, timeZone }: Look): uPlot.Options {
  const styles = getComputedStyle(document.documentElement)
  const ink = (name: string) => styles.getPropertyValue(`--${paper === 'print' ? 'light-' : ''}${name}`).trim()
  const bars = uPlot.paths.bars?.({ size: [0.86, 60], align: 1 })
  const axis: uPlot.Axis = {
    stroke: ink('quiet'),
    grid: { stroke: ink('line'), width: 1 },
    ticks: { show: false },
    font: '12px system-ui, sans-serif',
  }
  return {
    width,
    height: width < 560 ? 220 : 300,
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), timeZone),
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false } },
    scales: { x: { time: true }, y: { range: (_self, _least, most) => [0, Math.max(most, 1) * 1.05] } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 34,
        space: 70,
        values: (self, at) => at.map((each) => labels.axis(each * 1000, spanOf(self, xs))),
      },
      {
        ...axis,
        size: 56,
        values: (_self, at) => at.map((each) => (Number.isInteger(each) ? compact.format(each) : '')),
      },
    ],
    series: [
      {},
      ...groups.toReversed().map(({ name, tone }) => ({
        label: name,
        fill: ink(tone),
        stroke: ink(tone),
        width: 0,
        points: { show: false },
        ...(bars !== undefined && { paths: bars }),
      })),
    ],
  }
}

const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 })

function spanOf({ scales }: uPlot, xs: readonly number[]): number {
  const { min, max } = scales['x'] ?? {}
  return (max ?? xs.at(-1) ?? 0) - (min ?? xs[0] ?? 0)
}

interface Labels {
  full(ms: number): string
  axis(ms: number, spanSeconds: number): string
}

function labelsIn(timeZone: string): Labels {
  const day = new Intl.DateTimeFormat('en-GB', { timeZone, day: 'numeric', month: 'short' })
  const hour = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' })
  const full = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
  })
  return {
    full: (ms) => full.format(ms),
    axis(ms, spanSeconds) {
      const clock = hour.format(ms)
      return spanSeconds > 3 * 86_400 || clock === '00:00' ? day.format(ms) : clock
    },
  }
}
