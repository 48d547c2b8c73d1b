/** @node What may be done to a trail's files, and what a verifier must make of each. */
import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import type { Files } from './held-files.ts'
import { bytesOf, type MadeTrail, read, segmentNames, textOf } from './tamper-trails.ts'

/**
 * `caught`: the verdict is tampered, rolled-back or forked. `not valid`: or unverifiable, as what is gone is what tells.
 * `harmless`: it may be valid, and then it is the very same trail: size and root say so.
 */
export type Outcome = 'caught' | 'not valid' | 'harmless'

/**
 * How near the verdict must point, for segments: at or before the first changed entry and within its batch (`batch`). Where a
 * piece was signed by the same keys, only the place where it meets the rest tells (`junction`): between the first changed
 * entry and the first one behind the piece.
 */
export type Place = 'batch' | 'junction' | 'any'

export interface Tampering {
  readonly name: string
  readonly trail: MadeTrail
  readonly outcome: Outcome
  /** 'any' by default. */
  readonly place?: Place
  /** What the verdict must be, where one word fits. */
  readonly verdict?: 'rolled-back' | 'forked'
  /** Anchors that it takes to see it; none by default. */
  readonly anchor?: 'pin' | 'witness'
  /** Made when it is its turn: there are many. */
  readonly files: () => Files
}

/** Every bit of every file. */
export function* flips(trail: MadeTrail): Generator<Tampering> {
  for (const [path, bytes] of trail.files) {
    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const files = () => {
          const flipped = bytes.slice()
          flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
          return changed(trail, path, flipped)
        }
        yield { name: `${trail.name}: bit ${bit} of byte ${at} of ${path}`, trail, files, ...flipIn(trail, path, at) }
      }
    }
  }
}

/** Everything that a flip may do without being caught is named here. */
function flipIn(trail: MadeTrail, path: string, at: number): Pick<Tampering, 'outcome' | 'place' | 'anchor'> {
  if (path.endsWith('.jsonl.gz')) return { outcome: outcomeInPacked(read(trail.files, path), at) }
  if (path.includes('/segments/')) return { outcome: 'caught', place: 'batch' }
  if (path === 'main/witnessed') return { outcome: outcomeInWitnessed(trail, at), anchor: 'witness' }
  // A cache while the segments are there.
  if (path.includes('/tile/')) return { outcome: trail.name === 'tiled' ? 'harmless' : 'caught' }
  if (isRanges(path)) return { outcome: 'harmless' }
  if (path === 'main/trail.json') return { outcome: outcomeInAbout(trail, at) }
  // What is no archive any more is refused, not judged.
  if (path === 'old.jsonl' && isInHeader(trail, at)) return { outcome: 'not valid' }
  if (path === 'old.jsonl') return { outcome: 'caught', place: 'batch' }
  return { outcome: 'caught' }
}

/** No entry stands there. Ranges that no reader believes say nothing; those that would hide an entry from a search are told, which search.test.ts holds. */
function isRanges(path: string): boolean {
  return path.includes('/ranges/')
}

/**
 * trail.json: when it was made is for people; which version of the format it is of and whose trail, is what a verifier must
 * know before it can say anything; and of the keys before the pruned entries nothing is left to hold them against.
 */
function outcomeInAbout(trail: MadeTrail, at: number): Outcome {
  const text = Buffer.from(read(trail.files, 'main/trail.json')).toString('latin1')
  const within = (pattern: RegExp) =>
    [...text.matchAll(pattern)].some(({ index, 0: found }) => at >= index && at < index + found.length)
  if (within(/"createdAt": "[^"]*"/g)) return 'harmless'
  if (within(/"format": "[^"]*"/g) || within(/"origin": "[^"]*"/g)) return 'not valid'
  if (trail.name === 'pruned' && within(/"fromIndex": \d+/g)) return 'harmless'
  return 'caught'
}

/**
 * RFC 1952 §2.3.1: ten bytes with the date and the system it was packed on; and before the last eight, bits behind the end of
 * what is packed. What it unpacks to is the same.
 */
function outcomeInPacked({ length }: Uint8Array, at: number): Outcome {
  return at < 10 || at === length - 9 ? 'harmless' : 'caught'
}

/** A cosignature that does not hold says nothing; the trail's own signature before it is not what it is asked for. */
function outcomeInWitnessed({ files }: MadeTrail, at: number): Outcome {
  const note = Buffer.from(read(files, 'main/witnessed'))
  const own = note.indexOf('\n\n— ') + 2
  return at >= own && at < note.indexOf('\n— ', own) ? 'harmless' : 'not valid'
}

function isInHeader(trail: MadeTrail, at: number): boolean {
  return at <= read(trail.files, trail.path).indexOf(10)
}

/** The end of the last segment cut off at every byte, with the checkpoint as it is or as it was then. */
export function* cuts(trail: MadeTrail): Generator<Tampering> {
  for (const path of segmentNames(trail.files)) {
    const bytes = read(trail.files, path)
    for (let at = 0; at < bytes.length; at++) {
      const files = () => cutAt(trail, path, at)
      yield { name: `${trail.name}: ${path} cut at ${at}`, trail, outcome: 'caught', place: 'batch', files }
      const back = () => rolledBack(trail, path, at)
      // The pin tells; without it this is what the trail was once.
      yield {
        name: `${trail.name}: taken back to ${at} of ${path}`,
        trail,
        outcome: 'caught',
        verdict: 'rolled-back',
        anchor: 'pin',
        files: back,
      }
    }
  }
}

/** The segment ends there, and those behind it are as they were. */
function cutAt(trail: MadeTrail, path: string, at: number): Files {
  return changed(trail, path, read(trail.files, path).slice(0, at))
}

/** All that came after is gone, and what stands beside the segments is what its writer had put there then. */
function rolledBack(trail: MadeTrail, path: string, at: number): Files {
  const files = new Map(cutAt(trail, path, at))
  const paths = segmentNames(trail.files)
  for (const later of paths.slice(paths.indexOf(path) + 1)) files.delete(later)
  const note = notesIn(files).at(-1)
  if (note === undefined) for (const gone of ['main/checkpoint', path]) files.delete(gone)
  else files.set('main/checkpoint', bytesOf(note))
  files.delete('main/witnessed')
  const about = JSON.parse(textOf(files, 'main/trail.json'))
  const size = Number(note?.split('\n')[1] ?? 0)
  about.vkeys = about.vkeys.filter(({ fromIndex }: { fromIndex: number }, of: number) => of === 0 || fromIndex <= size)
  files.set('main/trail.json', bytesOf(`${JSON.stringify(about, null, 2)}\n`))
  return files
}

/** Lines deleted, doubled, swapped, moved; edited by someone who knows JSON; commit lines among them. */
export function* lineWork(trail: MadeTrail): Generator<Tampering> {
  const lines = linesOf(trail)
  const make = (what: string, change: (lines: Line[]) => void, outcome: Outcome = 'caught'): Tampering => ({
    name: `${trail.name}: ${what}`,
    trail,
    outcome,
    place: 'batch',
    files: () => {
      const copy = lines.map((line) => ({ ...line }))
      change(copy)
      return withLines(trail, copy)
    },
  })
  for (const [at, one] of lines.entries()) {
    yield make(`line ${at} deleted`, (copy) => copy.splice(at, 1))
    yield make(`line ${at} doubled`, (copy) => copy.splice(at, 0, one))
    yield make(`line ${at} emptied`, (copy) => copy.splice(at, 1, { ...one, text: '' }))
    for (const [to, other] of lines.entries()) {
      if (to <= at) continue
      yield make(`lines ${at} and ${to} swapped`, (copy) => {
        copy[at] = { path: one.path, text: other.text }
        copy[to] = { path: other.path, text: one.text }
      })
    }
    for (const [what, edit] of edits)
      if (edit(one.text) !== one.text)
        yield make(`line ${at}, ${what}`, (copy) => copy.splice(at, 1, { ...one, text: edit(one.text) }))
    yield* mergedCommits(trail, make, at)
  }
}

const edits: readonly (readonly [string, (line: string) => string])[] = [
  ['another outcome', (line) => line.replace('"success"', '"failure"')],
  ['another actor', (line) => line.replace('zoë', 'eve')],
  ['the same JSON with a space', (line) => line.replace(',"', ', "')],
  ['the same JSON in escapes', (line) => line.replace('ë', '\\u00eb')],
  ['the same text in another Unicode form', (line) => line.replace('ë', 'e\u0308')],
  ['a field more', (line) => line.replace(/\}$/, ',"x":1}')],
  ['a field twice', (line) => line.replace('"statusCode":200', '"statusCode":200,"statusCode":200')],
  ['an end as on Windows', (line) => `${line}\r`],
  ['a commit from elsewhere', (line) => line.replace(/"from":(\d+)/, (_, from) => `"from":${Number(from) + 1}`)],
  ['a commit of another size', (line) => line.replace(/"size":(\d+)/, (_, size) => `"size":${Number(size) + 1}`)],
  ['a commit without its last signature', (line) => line.replace(/— [^—]*\\n"\}$/, '"}')],
  ['a commit with a signature twice', (line) => line.replace(/(— [^—]*\\n)"\}$/, '$1$1"}')],
]

/**
 * A commit line removed, and the next one told to begin where it began: no entry changes, and each root that is left covers
 * the same entries as before. Only a handover cannot be hidden so.
 */
function* mergedCommits(
  trail: MadeTrail,
  make: (what: string, change: (lines: Line[]) => void, outcome: Outcome) => Tampering,
  at: number,
): Generator<Tampering> {
  const lines = linesOf(trail)
  const from = /^\{"commit":\{"from":(\d+)/.exec(lines[at]?.text ?? '')?.[1]
  const next = lines.findIndex(({ text }, later) => later > at && text.startsWith('{"commit"'))
  const [one, other] = [lines[at], lines[next]]
  if (from === undefined || one === undefined || other?.path !== one.path) return
  const isHandover = one.text.split('— ').length > 2
  const merged = { ...other, text: other.text.replace(/"from":\d+/, `"from":${from}`) }
  yield make(
    `the batches of lines ${at} and ${next} made one`,
    (copy) => {
      copy[next] = merged
      copy.splice(at, 1)
    },
    isHandover ? 'caught' : 'harmless',
  )
}

/** Pieces of another trail in this one's place: its lines, its batches, its files, the whole of it. */
export function* splices(trail: MadeTrail, other: MadeTrail, sameKeys: boolean): Generator<Tampering> {
  const [lines, others] = [linesOf(trail), linesOf(other)]
  const name = `${trail.name}: of ${other.name}`
  for (const [at, one] of lines.entries()) {
    const foreign = others[at]
    if (foreign === undefined || foreign.text === one.text) continue
    // A commit line of the same entries by the same keys is the same line.
    const files = () => withLines(trail, lines.with(at, { ...one, text: foreign.text }))
    yield { name: `${name} line ${at}`, trail, outcome: 'caught', place: 'batch', files }
    const inserted = () => withLines(trail, lines.toSpliced(at, 0, { ...one, text: foreign.text }))
    yield { name: `${name} line ${at} more`, trail, outcome: 'caught', place: 'batch', files: inserted }
  }
  const place: Place = sameKeys ? 'junction' : 'batch'
  for (const [from, to] of batchesIn(lines)) {
    const piece = lines.map((line, at) => (at >= from && at < to ? (others[at] ?? line) : line))
    if (piece.every(({ text }, at) => text === lines[at]?.text)) continue
    yield {
      name: `${name} lines ${from} to ${to}`,
      trail,
      outcome: 'caught',
      place,
      files: () => withLines(trail, piece),
    }
    const grown = lines.toSpliced(
      to,
      0,
      ...others.slice(from, to).map((line) => ({ ...line, path: lines[to - 1]?.path ?? line.path })),
    )
    yield {
      name: `${name} lines ${from} to ${to} more`,
      trail,
      outcome: 'caught',
      files: () => withLines(trail, grown),
    }
  }
  for (const path of trail.files.keys()) {
    const foreign = other.files.get(path)
    if (foreign === undefined || Buffer.from(foreign).equals(read(trail.files, path))) continue
    const isJson = path === 'main/trail.json'
    if (path === 'main/witnessed' || (isJson && sameKeys)) continue
    const at = path.includes('/segments/') ? { place } : {}
    const outcome: Outcome = isRanges(path) ? 'harmless' : 'caught'
    yield { name: `${name} ${path}`, trail, outcome, ...at, files: () => changed(trail, path, foreign) }
  }
  // Of keys of its own it is another trail altogether.
  const verdict: Partial<Tampering> = sameKeys ? { verdict: 'forked' } : {}
  yield { name: `${name} all`, trail, outcome: 'caught', anchor: 'pin', ...verdict, files: () => other.files }
}

/** Whole files taken away, put in each other's place, renamed, doubled, emptied; checkpoints and keys of other times. */
export function* fileWork(trail: MadeTrail): Generator<Tampering> {
  const make = (
    what: string,
    change: (files: Map<string, Uint8Array>) => void,
    more: Partial<Tampering> = {},
  ): Tampering => ({
    name: `${trail.name}: ${what}`,
    trail,
    outcome: 'caught',
    ...more,
    files: () => {
      const files = new Map(trail.files)
      change(files)
      return files
    },
  })
  const paths = segmentNames(trail.files)
  for (const [at, path] of paths.entries()) {
    const bytes = read(trail.files, path)
    // Where the hashes before a segment are gone as well, nothing can be said but that.
    const isPlaced = trail.name === 'plain' || trail.name === 'tiled'
    const placed: Partial<Tampering> = isPlaced ? { place: 'batch' } : {}
    // An entry says that all of these are dropped but the last: that a crash came in between shows in the verdict.
    const isPrunedNow = trail.name === 'tiled' && at === 0
    yield make(`${path} removed`, (files) => files.delete(path), isPrunedNow ? { outcome: 'harmless' } : placed)
    yield make(`${path} emptied`, (files) => files.set(path, new Uint8Array()), placed)
    yield make(`${path} twice as long`, (files) => files.set(path, Buffer.concat([bytes, bytes])), placed)
    for (const first of [0, 1, 5, 11, 12, 20, 99999]) {
      const name = `main/segments/${String(first).padStart(20, '0')}.jsonl`
      if (trail.files.has(name) || trail.files.has(`${name}.gz`)) continue
      // Behind the end, what is compressed is no line: a torn tail, and told as one.
      const isTail = first === 20 && path.endsWith('.gz')
      const tail: Partial<Tampering> = isTail ? { outcome: 'harmless' } : {}
      yield make(`${path} a second time as ${first}`, (files) => files.set(name, bytes), tail)
      yield make(`${path} renamed to ${first}`, (files) => files.delete(path) && files.set(name, bytes))
      yield make(`an empty segment ${first} more`, (files) => files.set(name, new Uint8Array()), {
        // An attempt to go on leaves one, at the end of the trail and nowhere else.
        outcome: first === 20 ? 'harmless' : 'caught',
      })
    }
    for (const other of paths.slice(at + 1))
      yield make(`${path} and ${other} swapped`, (files) => files.set(path, read(trail.files, other)).set(other, bytes))
  }
  yield make('all segments removed', (files) => {
    for (const path of paths) files.delete(path)
  })
  if (trail.name === 'plain') {
    const [first = ''] = paths
    const leaves = linesOf(trail).filter(({ path, text }) => path === first && !text.startsWith('{"commit"'))
    // Anybody can make the tiles that stand for what is gone; that it was to go, only an entry says.
    yield make('the first segment replaced by its tiles', (files) => {
      files.delete(first)
      files.set(`main/tile/0/000.p/${leaves.length}`, Buffer.concat(leaves.map(({ text }) => leafHash(text))))
    })
  }
  const published = textOf(trail.files, 'main/checkpoint')
  yield make('the checkpoint removed', (files) => files.delete('main/checkpoint'))
  yield make('the checkpoint emptied', (files) => files.set('main/checkpoint', new Uint8Array()))
  yield make('the checkpoint twice', (files) => files.set('main/checkpoint', bytesOf(published + published)))
  yield make('the checkpoint without its signature', (files) =>
    files.set('main/checkpoint', bytesOf(published.slice(0, published.indexOf('\n\n') + 2))),
  )
  // A writer publishes behind its entries: with all of them there it hides nothing.
  for (const [at, note] of notesIn(trail.files).entries())
    yield make(`the checkpoint of commit ${at}`, (files) => files.set('main/checkpoint', bytesOf(note)), {
      outcome: 'harmless',
    })
  yield* aboutWork(trail, make)
  for (const path of trail.files.keys()) {
    if (!path.includes('/tile/') && !isRanges(path)) continue
    const outcome: Outcome = trail.name === 'tiled' || isRanges(path) ? 'harmless' : 'caught'
    yield make(`${path} removed`, (files) => files.delete(path), { outcome })
    yield make(`${path} shorter`, (files) => files.set(path, read(trail.files, path).slice(0, -32)), { outcome })
    yield make(`${path} of nothing`, (files) => files.set(path, new Uint8Array(read(trail.files, path).length)), {
      outcome,
    })
  }
}

interface About {
  origin: string
  vkeys: { vkey: string; fromIndex: number }[]
  minRetentionDays?: number
}

function* aboutWork(
  trail: MadeTrail,
  make: (what: string, change: (files: Map<string, Uint8Array>) => void, more?: Partial<Tampering>) => Tampering,
): Generator<Tampering> {
  const path = 'main/trail.json'
  const told = (what: string, change: (about: About) => void, more?: Partial<Tampering>) =>
    make(
      `trail.json with ${what}`,
      (files) => {
        const about: About = JSON.parse(textOf(trail.files, path))
        change(about)
        files.set(path, bytesOf(JSON.stringify(about)))
      },
      more,
    )
  // What the handover says that is gone with the pruned entries, nobody can tell.
  const forgotten: Partial<Tampering> = trail.name === 'pruned' ? { outcome: 'harmless' } : {}
  yield make('trail.json removed', (files) => files.delete(path))
  yield make('trail.json emptied', (files) => files.set(path, new Uint8Array()))
  yield told('one key only', (about) => about.vkeys.pop())
  yield told('the later key alone', (about) => about.vkeys.splice(0, 1))
  yield told(
    'the later key from the start',
    (about) => about.vkeys.splice(0, 2, { vkey: about.vkeys[1]?.vkey ?? '', fromIndex: 0 }),
    forgotten,
  )
  yield told('the keys in the other order', (about) => about.vkeys.reverse())
  yield told(
    'a later handover',
    (about) => about.vkeys.splice(1, 1, { vkey: about.vkeys[1]?.vkey ?? '', fromIndex: 9 }),
    forgotten,
  )
  yield told('a third key', (about) => about.vkeys.push({ vkey: about.vkeys[0]?.vkey ?? '', fromIndex: 15 }), forgotten)
  yield told('no key', (about) => about.vkeys.splice(0))
  yield told('another minimum', (about) => Object.assign(about, { minRetentionDays: 900 }))
}

export interface Line {
  readonly path: string
  readonly text: string
}

/** Of all segments, without their newlines. */
export function linesOf({ files }: Pick<MadeTrail, 'files'>): readonly Line[] {
  return segmentNames(files).flatMap((path) =>
    rawText(files, path)
      .split('\n')
      .slice(0, -1)
      .map((text) => ({ path, text })),
  )
}

function withLines(trail: MadeTrail, lines: readonly Line[]): Files {
  const files = new Map(trail.files)
  for (const path of segmentNames(files)) {
    const text = lines.filter((line) => line.path === path).map((line) => `${line.text}\n`)
    files.set(path, bytesOf(text.join('')))
  }
  return files
}

/** First line and the one behind the last, commit lines included. */
function batchesIn(lines: readonly Line[]): readonly (readonly [number, number])[] {
  const ends = lines.flatMap(({ text }, at) => (text.startsWith('{"commit"') ? [at + 1] : []))
  return ends.map((end, at) => [ends[at - 1] ?? 0, end])
}

/** The signed note of each commit line that is whole. */
function notesIn(files: Files): readonly string[] {
  const commits = linesOf({ files }).filter(({ text }) => text.startsWith('{"commit"') && text.endsWith('"}'))
  return commits.map(({ text }) => JSON.parse(text).checkpoint)
}

function changed(trail: MadeTrail, path: string, bytes: Uint8Array): Files {
  return new Map(trail.files).set(path, bytes)
}

export function rawText(files: Files, path: string): string {
  const bytes = read(files, path)
  return Buffer.from(path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
}

/** RFC 6962 §2.1. */
function leafHash(line: string): Uint8Array {
  return createHash('sha256').update(Buffer.of(0)).update(line).digest()
}
