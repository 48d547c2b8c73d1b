/**
 * DER (X.690 §10): one encoding for each value, written without copies in between, read without mercy. A reader does
 * what its caller asks for and no more, so hostile nesting costs nothing.
 */

/** One element: contents are bytes as they are, or elements. */
export interface Element {
  readonly tag: number
  readonly contents: readonly (Element | Uint8Array)[]
}

export const tags = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  sequence: 0x30,
} as const

const zero = Uint8Array.of(0)

export function sequence(...contents: readonly (Element | Uint8Array)[]): Element {
  return { tag: tags.sequence, contents }
}

export function octetString(...contents: readonly (Element | Uint8Array)[]): Element {
  return { tag: tags.octetString, contents }
}

/** Whole bytes. */
export function bitString(...contents: readonly (Element | Uint8Array)[]): Element {
  return { tag: tags.bitString, contents: [zero, ...contents] }
}

/** A number that is not negative, big-endian; leading zeros do not matter. */
export function integer(digits: Uint8Array): Element {
  const minimal = withoutLeadingZeros(digits)
  // X.690 §8.3.3: the top bit is the sign.
  return { tag: tags.integer, contents: (minimal[0] ?? 0x80) > 0x7f ? [zero, minimal] : [minimal] }
}

/** From the dotted form. */
export function objectIdentifier(dotted: string): Element {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return { tag: tags.objectIdentifier, contents: [Uint8Array.from([40 * first + second, ...rest].flatMap(base128))] }
}

/** X.690 §8.19.2: seven bits a byte, the top bit set in all but the last. */
function base128(value: number): readonly number[] {
  const digits = [value % 128]
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift(128 + (rest % 128))
  return digits
}

/** The bytes of an element, in one array that holds nothing else. */
export function encodeDer(element: Element): Uint8Array {
  const out = new Uint8Array(lengthOf(element))
  write(element, out, 0)
  return out
}

function lengthOf(part: Element | Uint8Array): number {
  if (part instanceof Uint8Array) return part.length
  const length = contentsLength(part)
  return 1 + lengthLength(length) + length
}

function contentsLength({ contents }: Element): number {
  return contents.reduce((sum, part) => sum + lengthOf(part), 0)
}

/** X.690 §10.1: the definite form, in as few bytes as can be. */
function lengthLength(length: number): number {
  if (length < 0x80) return 1
  let bytes = 1
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes++
  return bytes
}

/** Writes at `start`, returns where it ends. */
function write(part: Element | Uint8Array, out: Uint8Array, start: number): number {
  if (part instanceof Uint8Array) {
    out.set(part, start)
    return start + part.length
  }
  const length = contentsLength(part)
  const extra = lengthLength(length) - 1
  out[start] = part.tag
  out[start + 1] = extra === 0 ? length : 0x80 | extra
  for (let byte = extra, rest = length; byte > 0; byte--, rest = Math.floor(rest / 256)) {
    out[start + 1 + byte] = rest % 256
  }
  return part.contents.reduce((at, inner) => write(inner, out, at), start + 2 + extra)
}

/**
 * Reads elements one after another. The first that is not what was asked for makes the whole reading fail; until that
 * is told, what comes back is empty.
 */
export interface DerReader {
  /** Whether the next element has this tag: for what is optional. */
  has(tag: number): boolean
  /** The contents of the next element, a view; it must have this tag. */
  take(tag: number): Uint8Array
  /** The next element must have this tag, and `read` must read all of its contents. */
  within<T>(tag: number, read: () => T): T
  /** The next bytes must be these: an element that is known. */
  expect(element: Uint8Array): void
  /** A number that is not negative: big-endian, without leading zeros, a view. */
  integer(): Uint8Array
  /** A BIT STRING of whole bytes: `read` must read all of them. */
  withinBits<T>(read: () => T): T
  /** What is left of the element at hand, not read as elements; a view. */
  rest(): Uint8Array
}

/** What `read` makes of `bytes`, or undefined if they are not, from the first to the last, what it asks for. */
export function readDer<T>(bytes: Uint8Array, read: (from: DerReader) => T): T | undefined {
  const nothing = bytes.subarray(0, 0)
  let at = 0
  let end = bytes.length
  let failed = false

  function fail(): Uint8Array {
    failed = true
    at = end
    return nothing
  }

  /** The number of contents bytes that a header says, `at` then standing behind it. */
  function header(tag: number): number | undefined {
    if (failed || bytes[at] !== tag || at + 2 > end) return undefined
    const first = bytes[at + 1] ?? 0
    at += 2
    const length = first < 0x80 ? first : longLength(first & 0x7f)
    return length !== undefined && length <= end - at ? length : undefined
  }

  /** X.690 §10.1: no indefinite form, and none that is longer than it must be. Four bytes are enough for any array. */
  function longLength(count: number): number | undefined {
    if (count === 0 || count > 4 || count > end - at || bytes[at] === 0) return undefined
    let length = 0
    for (let byte = 0; byte < count; byte++) length = length * 256 + (bytes[at++] ?? 0)
    return length < 0x80 ? undefined : length
  }

  function take(tag: number): Uint8Array {
    const length = header(tag)
    if (length === undefined) return fail()
    at += length
    return bytes.subarray(at - length, at)
  }

  function within<T>(tag: number, inner: () => T): T {
    const length = header(tag)
    if (length === undefined) fail()
    const outer = end
    end = at + (length ?? 0)
    const made = inner()
    if (at !== end) fail()
    end = outer
    if (failed) at = end
    return made
  }

  function expect(element: Uint8Array): void {
    const found = bytes.subarray(at, Math.min(end, at + element.length))
    if (found.length === element.length && found.every((byte, index) => byte === element[index])) at += element.length
    else fail()
  }

  const reader: DerReader = {
    has: (tag) => at < end && bytes[at] === tag,
    take,
    within,
    expect,
    integer() {
      const contents = take(tags.integer)
      const first = contents[0] ?? 0x80
      if (first > 0x7f) return fail()
      if (first > 0 || contents.length === 1) return contents
      // X.690 §8.3.2: a leading zero stands only where the top bit would be read as a sign.
      return (contents[1] ?? 0) > 0x7f ? contents.subarray(1) : fail()
    },
    withinBits(inner) {
      return within(tags.bitString, () => {
        expect(zero)
        return inner()
      })
    },
    rest() {
      const found = bytes.subarray(at, end)
      at = end
      return found
    },
  }

  const made = read(reader)
  return failed || at !== bytes.length ? undefined : made
}

/** At least one digit is left, unless there was none. */
function withoutLeadingZeros(digits: Uint8Array): Uint8Array {
  let start = 0
  while (start < digits.length - 1 && digits[start] === 0) start++
  return digits.subarray(start)
}
