/** Records out of JSON of any length: found by their brackets as the bytes come, so that only one is held at a time. */
import { concat, copyOf } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'

/** A record of CloudTrail has at most 256 KiB. */
const largest = 4 * 1024 * 1024

const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket, comma] = [
  0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c,
] as const

/** What the lists of records are called: in a log file, and in the answer of `lookup-events`. */
const lists: ReadonlySet<string> = new Set(['Records', 'Events'])

/** One more than the longest of them: what is longer is none. */
const longestName = 8

/** Between records: what a file of JSON Lines or a list has, and a byte order mark. */
const between: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d, comma, 0xef, 0xbb, 0xbf])

export interface RecordScanner {
  /** The records that end in `chunk`, as bytes. */
  push(chunk: Uint8Array): readonly Uint8Array[]
  /** Throws if the last record is not whole. */
  end(): void
}

/**
 * Where it is: between records (`top`), in an object that is a record or holds a list of them (`object`), in such a list, or in what
 * follows it (`rest`).
 */
type Place = 'top' | 'object' | 'list' | 'rest'

/**
 * Takes `{"Records":[…]}`, `{"Events":[…]}`, a list of records, records one after another (JSON Lines), and any number of these in a
 * row. Errors: `INVALID_INPUT`, which names the file and never quotes it.
 */
export function scanRecords(name: string): RecordScanner {
  let place: Place = 'top'
  let depth = 0
  /** Depth of the list, in one. */
  let level = 0
  let inText = false
  let escaped = false
  /** What was read in former chunks of the record that is open. */
  let held: Uint8Array[] = []
  let heldLength = 0
  /** Where in this chunk the record that is open begins; -1: none is open. */
  let start = -1
  /** The last text directly in an object at the top, as far as a list's name goes. */
  let text = ''

  function opened(byte: number, at: number): void {
    depth += 1
    if (place === 'top') {
      place = byte === openBrace ? 'object' : 'list'
      level = 1
      start = place === 'object' ? at : -1
    } else if (place === 'list' && depth === level + 1) {
      if (byte !== openBrace) refuse('holds a list that is no list of records')
      start = at
    } else if (place === 'object' && depth === 2 && byte === openBracket && lists.has(text)) {
      place = 'list'
      level = 2
      drop()
    }
    text = ''
  }

  /** The record that ends with this bracket, if one does. */
  function closed(chunk: Uint8Array, at: number): Uint8Array | undefined {
    depth -= 1
    if (depth < 0) refuse('closes a bracket that it has not opened')
    const ends = start >= 0 && depth === (place === 'list' ? level : 0)
    const record = ends ? taken(chunk.subarray(start, at + 1)) : undefined
    if (depth === 0) place = 'top'
    else if (place === 'list' && depth < level) place = 'rest'
    return record
  }

  function taken(last: Uint8Array): Uint8Array {
    limit(heldLength + last.length)
    const record = heldLength === 0 ? last : concat([...held, last])
    drop()
    return record
  }

  function drop(): void {
    held = []
    heldLength = 0
    start = -1
  }

  function hold(chunk: Uint8Array): void {
    const rest = copyOf(chunk.subarray(start))
    held.push(rest)
    heldLength += rest.length
    limit(heldLength)
  }

  function limit(length: number): void {
    if (length > largest) refuse(`holds a record of more than ${largest} bytes`)
  }

  function refuse(why: string): never {
    throw new KmsError('INVALID_INPUT', `${name} ${why}`)
  }

  /** Where the text that begins at `from` ends: its quote, or the end of the chunk. */
  function endOfText(chunk: Uint8Array, from: number): number {
    let at = from
    if (escaped) at += 1
    escaped = false
    for (; at < chunk.length; at++) {
      const byte = chunk[at]
      if (byte === quote) break
      if (byte === backslash) at += 1
    }
    escaped = at > chunk.length
    const end = Math.min(at, chunk.length)
    inText = end === chunk.length
    if (place === 'object' && depth === 1 && text.length < longestName)
      text += String.fromCharCode(...chunk.subarray(from, Math.min(end, from + longestName)))
    return end
  }

  return {
    push(chunk) {
      const found: Uint8Array[] = []
      if (start >= 0) start = 0
      for (let at = inText ? endOfText(chunk, 0) + 1 : 0; at < chunk.length; at++) {
        const byte = chunk[at] ?? 0
        if (byte === quote) {
          if (place === 'top' || (place === 'list' && depth === level)) refuse('is no JSON of records')
          text = ''
          at = endOfText(chunk, at + 1)
        } else if (byte === openBrace || byte === openBracket) opened(byte, at)
        else if (byte === closeBrace || byte === closeBracket) {
          const record = closed(chunk, at)
          if (record !== undefined) found.push(record)
        } else if ((place === 'top' || (place === 'list' && depth === level)) && !between.has(byte))
          refuse('is no JSON of records')
      }
      if (start >= 0) hold(chunk)
      return found
    },
    end() {
      if (depth !== 0 || inText) refuse('ends in the middle of a record')
    },
  }
}
