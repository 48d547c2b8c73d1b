/** Running numbers: which entry was here before, as in a second trail of one writer, and which are missing. */
import { type Fact, textOf } from './fact.ts'
import { boundedRows } from './rows.ts'

export interface Sequences {
  /** Whether the entry is seen for the first time. */
  take(fact: Pick<Fact, 'entry' | 'instance' | 'index' | 'within'>): boolean
  /** Missing in the time reviewed. */
  readonly missing: number
}

interface Writer {
  next: number
  /** What is missing so far: another trail of the same writer may bring it yet. */
  holes: Hole[]
}

interface Hole {
  readonly from: number
  readonly to: number
  readonly within: boolean
}

const mostHoles = 1000

export function collectSequences(): Sequences {
  const writers = boundedRows<Writer>(() => ({ next: -1, holes: [] }))
  const begun = new Set<string>()
  let closed = 0

  return {
    take({ entry, instance, index, within }) {
      const { sequence } = entry
      const writer = writers.of(textOf(entry.instance) ?? 'unknown')
      const isFirst = !begun.has(instance)
      if (isFirst) begun.add(instance)
      if (writer === undefined || !Number.isSafeInteger(sequence) || sequence < 0) return true
      // Who wrote when the rest was pruned has begun before.
      if (writer.next < 0) writer.next = isFirst && index > 0n ? sequence : 0
      if (sequence < writer.next) return fill(writer, sequence)
      if (sequence > writer.next) open(writer, { from: writer.next, to: sequence, within })
      writer.next = sequence + 1
      return true
    },
    get missing() {
      return writers.all().reduce((sum, [, { holes }]) => sum + holes.reduce(add, 0), closed)
    },
  }

  function open({ holes }: Writer, hole: Hole): void {
    if (holes.length < mostHoles) holes.push(hole)
    else closed = add(closed, hole)
  }
}

function add(sum: number, { from, to, within }: Hole): number {
  return within ? sum + to - from : sum
}

/** False when it was no hole. */
function fill(writer: Writer, sequence: number): boolean {
  const at = writer.holes.findIndex(({ from, to }) => sequence >= from && sequence < to)
  const hole = writer.holes[at]
  if (hole === undefined) return false
  const rest = [
    { ...hole, to: sequence },
    { ...hole, from: sequence + 1 },
  ].filter(({ from, to }) => from < to)
  writer.holes.splice(at, 1, ...rest)
  return true
}
