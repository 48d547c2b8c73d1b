/** Where a trail was changed first, and whether a verdict points there. */
import { basename } from 'node:path'
import type { Verdict } from '../../src/trail/index.ts'
import type { Files } from './held-files.ts'
import { type MadeTrail, segmentNames } from './tamper-trails.ts'
import { rawText, type Tampering } from './tamperings.ts'

/** What is wrong with where `verdict` points; nothing, if it points at the change or before, within its batch. */
export function misplaced({ trail, place }: Tampering, files: Files, verdict: Verdict): readonly string[] {
  const { index, segment, line } = verdict
  const change = firstChange(trail, files)
  const first = place === 'junction' ? firstAfter(trail, files) : change.index
  // A piece up to the end meets nothing but the checkpoint.
  if (index === undefined && place === 'junction' && first === entriesIn(piecesOf(trail, trail.files))) return []
  if (index === undefined) return ['it is not said which entry']
  const told = `it is said to be at entry ${index}, ${segment} line ${line}`
  if (index < change.from || index > first)
    return [`${told}, but the change is at entry ${change.index} of the batch from ${change.from} on`]
  if (place === 'junction') return []
  if (segment === undefined || !change.segments.includes(segment))
    return [`${told}, but it is in ${change.segments[0]}`]
  if (segment !== change.segments[0] || line === undefined) return []
  const [from, to] = change.lines
  return line < from || line > to ? [`${told}, but it is in lines ${from} to ${to}`] : []
}

interface Change {
  /** Of the first entry that is not what it was; behind a batch where that is true of its commit line. */
  readonly index: bigint
  /** Of the first entry of its batch. */
  readonly from: bigint
  /** File names: where it is, then where it may show, because it is at a file's end. */
  readonly segments: readonly string[]
  /** From the first line of its batch to where the next commit line stands now. */
  readonly lines: readonly [number, number]
}

interface Piece {
  readonly name: string
  readonly lines: readonly string[]
}

function firstChange(trail: MadeTrail, files: Files): Change {
  const [before, now] = [piecesOf(trail, trail.files), piecesOf(trail, files)]
  const at = before.findIndex(
    (piece, of) => piece.name !== now[of]?.name || piece.lines.join('') !== now[of]?.lines.join(''),
  )
  const of = at < 0 ? before.length : at
  const [piece, other] = [before[of], now[of]]
  const segments = [piece, other, now[of - 1], now[of + 1]].flatMap((one) => (one === undefined ? [] : [one.name]))
  let index = piece === undefined ? entriesIn(before) : beginOf(piece)
  let [from, lineFrom, line] = [index, 1, 0]
  const same = piece?.name === other?.name ? (other?.lines ?? []) : []
  for (const text of piece?.lines ?? []) {
    if (text !== same[line]) break
    line++
    if (isCommit(text)) [from, lineFrom] = [index, line + 1]
    else if (!isHeader(text)) index++
  }
  const commit = same.findIndex((text, later) => later >= line && isCommit(text))
  return { index, from, segments, lines: [lineFrom, commit < 0 ? same.length + 1 : commit + 1] }
}

/** The first entry from which on all is as it was. */
function firstAfter(trail: MadeTrail, files: Files): bigint {
  const [before, now] = [piecesOf(trail, trail.files), piecesOf(trail, files)].map((pieces) =>
    pieces.flatMap(({ lines }) => lines),
  )
  let same = 0n
  for (let at = 1; before?.at(-at) !== undefined && before.at(-at) === now?.at(-at); at++)
    if (isEntry(before.at(-at) ?? '')) same++
  return entriesIn(piecesOf(trail, trail.files)) - same
}

function piecesOf({ path }: MadeTrail, files: Files): readonly Piece[] {
  const paths = files.has(path) ? [path] : segmentNames(files)
  // With their newlines, which may be what is missing.
  return paths.map((one) => ({ name: basename(one), lines: rawText(files, one).split(/(?<=\n)/) }))
}

function beginOf({ name }: Piece): bigint {
  return BigInt(/^\d{20}/.exec(name)?.[0] ?? 0)
}

function entriesIn(pieces: readonly Piece[]): bigint {
  const [first] = pieces
  if (first === undefined) return 0n
  return beginOf(first) + BigInt(pieces.flatMap(({ lines }) => lines).filter(isEntry).length)
}

const isCommit = (line: string): boolean => line.startsWith('{"commit":')
const isHeader = (line: string): boolean => line.startsWith('{"archive":')
const isEntry = (line: string): boolean => line !== '' && !isCommit(line) && !isHeader(line)
