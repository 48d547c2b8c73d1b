/** What the chart stacks: the series of a timeline, joined by what they are split by. */
import type { Timeline } from './facts.ts'

export type View = 'outcome' | 'action' | 'failures'

export const views: readonly { readonly view: View; readonly says: string }[] = [
  { view: 'outcome', says: 'outcome' },
  { view: 'action', says: 'action' },
  { view: 'failures', says: 'failures only' },
]

export interface Group {
  readonly name: string
  /** Name of its colour. */
  readonly tone: string
  readonly counts: readonly number[]
  readonly total: number
}

/** More colours nobody can tell apart; the rest is one. */
const mostGroups = 8
const outcomeTones: Readonly<Record<string, string>> = {
  success: 'ok',
  failure: 'bad',
  unknown: 'odd',
  pending: 'wait',
}

/** The largest first. */
export function groupsOf({ series }: Timeline, view: View): readonly Group[] {
  const wanted = view === 'failures' ? series.filter(({ outcome }) => outcome === 'failure') : series
  const joined = new Map<string, number[]>()
  for (const { action, outcome, counts } of wanted) {
    const name = view === 'outcome' ? outcome : action
    const sums = joined.get(name) ?? []
    counts.forEach((count, at) => {
      sums[at] = (sums[at] ?? 0) + count
    })
    joined.set(name, sums)
  }
  const all = [...joined]
    .map(([name, counts]) => ({ name, counts, total: sum(counts) }))
    .filter(({ total }) => total > 0)
    .sort((a, b) => b.total - a.total)
  const groups = all.length <= mostGroups ? all : [...all.slice(0, mostGroups - 1), rest(all.slice(mostGroups - 1))]
  return groups.map((group, at) => ({
    ...group,
    tone: (view === 'outcome' && Object.hasOwn(outcomeTones, group.name) && outcomeTones[group.name]) || `c${at}`,
  }))
}

function rest(groups: readonly Omit<Group, 'tone'>[]): Omit<Group, 'tone'> {
  const counts: number[] = []
  for (const group of groups)
    group.counts.forEach((count, at) => {
      counts[at] = (counts[at] ?? 0) + count
    })
  return { name: `${groups.length} others`, counts, total: sum(counts) }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, count) => all + count, 0)
}
