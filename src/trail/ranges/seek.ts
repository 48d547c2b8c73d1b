/** @node Where in a finished segment what is sought can stand. */
import { KmsError } from '../../model/errors.ts'
import type { FileSystem } from '../../storage/filesystem.ts'
import type { Layout, Segment } from '../layout.ts'
import type { Sought } from '../reading/filter.ts'
import { believedRanges, type Range, type Ranges } from './ranges.ts'

/** Whole batches of a segment. */
export interface Span {
  /** Index of the first entry. */
  readonly from: bigint
  /** Index after the last. */
  readonly size: bigint
  /** Where its bytes begin, and where they end. */
  readonly offset: number
  readonly end: number
}

export interface Places {
  /** In order; none when nothing that is sought is in the segment. */
  readonly spans: readonly Span[]
  /** Index after the segment's last entry, and how many bytes were written to it. */
  readonly size: bigint
  readonly bytes: number
}

/**
 * Undefined when the whole segment must be read: it has no ranges that fit, or it is compressed and may hold some of what is
 * sought. `next`: the segment that follows; the last one still grows.
 */
export async function placesIn(
  fs: FileSystem,
  layout: Layout,
  { segment, next, sought }: { readonly segment: Segment; readonly next: Segment | undefined; readonly sought: Sought },
): Promise<Places | undefined> {
  const ranges = next && (await unlessUnreadable(believedRanges(fs, layout, { segment, end: next.first })))
  if (ranges === undefined) return undefined
  const { size, bytes } = ranges
  if (!meets(ranges, sought)) return { spans: [], size, bytes }
  return segment.compressed ? undefined : { spans: spansOf(ranges, sought), size, bytes }
}

/** Of the segment at this place in the list, as {@link placesIn} tells. */
export type Seeker = (at: number) => Promise<Places | undefined>

/** Asks about some segments before they are reached: for one id in a hundred of them, waiting for files is most of the work. */
export function seekerOf(
  fs: FileSystem,
  layout: Layout,
  { segments, sought }: { readonly segments: readonly Segment[]; readonly sought: Sought },
): Seeker {
  const asked = new Map<number, Promise<Places | undefined>>()

  function ask(at: number): void {
    const segment = segments[at]
    if (segment === undefined || asked.has(at)) return
    const asking = placesIn(fs, layout, { segment, next: segments[at + 1], sought })
    // Who reaches the segment hears of a failure; who has found enough by then does not ask.
    asking.catch(heard)
    asked.set(at, asking)
  }

  return (at) => {
    for (let ahead = at; ahead < at + askedAhead; ahead++) ask(ahead)
    const asking = asked.get(at)
    asked.delete(at)
    return asking ?? Promise.resolve(undefined)
  }
}

const askedAhead = 8

function heard(): void {}

/** A file that only saves time must not take an entry away from whoever can read the segment. */
async function unlessUnreadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof KmsError) return undefined
    throw error
  }
}

function spansOf({ first, chunks }: Ranges, sought: Sought): readonly Span[] {
  const spans: Span[] = []
  let [from, offset] = [first, 0]
  for (const chunk of chunks) {
    const last = spans.at(-1)
    const span = { from, size: chunk.size, offset, end: chunk.bytes }
    if (meets(chunk, sought)) {
      if (last?.end === offset) spans[spans.length - 1] = { ...last, size: span.size, end: span.end }
      else spans.push(span)
    }
    from = chunk.size
    offset = chunk.bytes
  }
  return spans
}

function meets({ createdAt, eventID }: Range, { from, to, eventIDs }: Sought): boolean {
  if (createdAt !== undefined && (createdAt[1] < from || (to !== undefined && createdAt[0] >= to))) return false
  return eventID === undefined || eventIDs === undefined || eventIDs.some((id) => id >= eventID[0] && id <= eventID[1])
}

/** Files of which only the bytes from `offset` up to `end` are there. */
export function windowed(
  fs: FileSystem,
  { offset, end }: { readonly offset: number; readonly end: number },
): FileSystem {
  return {
    ...fs,
    async open(path, how, mode) {
      const file = await fs.open(path, how, mode)
      return {
        ...file,
        read(into, position) {
          const left = Math.max(0, end - offset - position)
          return file.read(into.length > left ? into.subarray(0, left) : into, offset + position)
        },
      }
    },
  }
}
