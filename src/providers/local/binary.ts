/** Length-prefixed binary, so that no secret ever is a string. Integers are big-endian. */
import { fromUtf8, utf8 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'

export interface Writer {
  byte(value: number): void
  /** A safe integer ≥ 0, as eight bytes. */
  integer(value: number): void
  big(value: bigint): void
  bytes(value: Uint8Array): void
  text(value: string): void
  flag(value: boolean): void
  /** A flag, then the value if there is one. */
  optional<T>(value: T | undefined, write: (value: T) => void): void
  list<T>(values: readonly T[], write: (value: T) => void): void
  /** What was written, in an array of its own; the writer's copy is wiped. */
  finish(): Uint8Array
}

export function binaryWriter(): Writer {
  let out = new Uint8Array(1024)
  let used = 0

  /** Room for `length` more bytes, from the position returned. */
  function reserve(length: number): number {
    const at = used
    used += length
    if (used <= out.length) return at
    const larger = new Uint8Array(Math.max(used, 2 * out.length))
    larger.set(out)
    out.fill(0)
    out = larger
    return at
  }

  function big(value: bigint): void {
    const at = reserve(8)
    new DataView(out.buffer).setBigUint64(at, value)
  }

  function bytes(value: Uint8Array): void {
    integer(value.length)
    const at = reserve(value.length)
    out.set(value, at)
  }

  function byte(value: number): void {
    const at = reserve(1)
    out[at] = value
  }

  function integer(value: number): void {
    big(BigInt(value))
  }

  return {
    byte,
    integer,
    big,
    bytes,
    text: (value) => bytes(utf8(value)),
    flag: (value) => byte(value ? 1 : 0),
    optional(value, write) {
      byte(value === undefined ? 0 : 1)
      if (value !== undefined) write(value)
    },
    list(values, write) {
      integer(values.length)
      for (const value of values) write(value)
    },
    finish() {
      const written = out.slice(0, used)
      out.fill(0)
      return written
    },
  }
}

/** Reads what a writer wrote, in the same order. Anything else is `INTERNAL`; never reads beyond the end. */
export interface Reader {
  byte(): number
  integer(): number
  big(): bigint
  bytes(): Uint8Array
  text(): string
  flag(): boolean
  optional<T>(read: () => T): T | undefined
  list<T>(read: () => T): T[]
  /** Refuses bytes that nobody asked for. */
  end(): void
}

export function binaryReader(from: Uint8Array): Reader {
  const view = new DataView(from.buffer, from.byteOffset, from.length)
  let used = 0

  function take(length: number): number {
    const at = used
    if (length > from.length - at) throw malformed()
    used += length
    return at
  }

  function byte(): number {
    return view.getUint8(take(1))
  }

  function big(): bigint {
    return view.getBigUint64(take(8))
  }

  function integer(): number {
    const value = Number(big())
    if (!Number.isSafeInteger(value)) throw malformed()
    return value
  }

  function flag(): boolean {
    const value = byte()
    if (value > 1) throw malformed()
    return value === 1
  }

  function bytes(): Uint8Array {
    const length = integer()
    const at = take(length)
    return from.slice(at, at + length)
  }

  return {
    byte,
    integer,
    big,
    bytes,
    text() {
      const text = fromUtf8(bytes())
      if (text === undefined) throw malformed()
      return text
    },
    flag,
    optional: (read) => (flag() ? read() : undefined),
    list(read) {
      const count = integer()
      // Every item has at least one byte: a length that lies cannot make us allocate.
      if (count > from.length - used) throw malformed()
      return Array.from({ length: count }, read)
    },
    end() {
      if (used !== from.length) throw malformed()
    },
  }
}

export function malformed(): KmsError {
  return new KmsError('INTERNAL', 'keystore is damaged: its content makes no sense')
}
