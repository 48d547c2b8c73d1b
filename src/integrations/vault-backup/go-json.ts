/**
 * JSON as Go writes it: whole numbers of any length, which `JSON.parse` would round. Read strictly, one field after another, and
 * refused by its path: a message never holds a value.
 */
import { fromBase64 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'

// A string, or a whole number longer than a double can hold.
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d{16,}(?![\d.eE])/g
const mark = '\u0000'

/** Whole numbers of 16 digits and more are `bigint`s. `INVALID_INPUT` for what is no JSON; `what` names it. */
export function parseGoJson(text: string, what: string): Fields {
  // Strings are matched to be passed over; no string of Go's own begins with the mark.
  const marked = text.replace(tokens, (token) => (token.startsWith('"') ? token : `"\\u0000${token}"`))
  let parsed: unknown
  try {
    parsed = JSON.parse(marked, (_name, value: unknown) =>
      typeof value === 'string' && value.startsWith(mark) ? toBigInt(value.slice(1)) : value,
    )
  } catch {
    // Its message would quote the text, which holds keys.
    throw new KmsError('INVALID_INPUT', `${what} is no JSON`)
  }
  return fieldsOf(parsed, what)
}

/** Only what the mark was put before. */
function toBigInt(digits: string): bigint {
  if (!/^-?\d+$/.test(digits)) throw new SyntaxError('a string begins with U+0000')
  return BigInt(digits)
}

/** An object whose fields are asked for by name; what nobody asked for must be empty. */
export interface Fields {
  readonly path: string
  has(name: string): boolean
  names(): readonly string[]
  /** Undefined for null too. */
  raw(name: string): unknown
  text(name: string): string
  /** False if absent or null. */
  flag(name: string): boolean
  /** A whole number of at most 2³² − 1 and at least −1; 0 if absent or null. */
  count(name: string): number
  /** Positive, of any length. */
  number(name: string): bigint
  /** Base64, as Go writes bytes; empty if absent or null. */
  bytes(name: string): Uint8Array
  fields(name: string): Fields
  /** Empty if absent or null. */
  list(name: string): readonly unknown[]
  /** Known, and of no account here. */
  ignore(...names: readonly string[]): void
  /** Refuses fields that were not asked for, unless they are empty: they may change what a key means. */
  end(): void
}

export function fieldsOf(value: unknown, path: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refusal(path, 'is no object')
  const all = new Map<string, unknown>(Object.entries(value))
  const asked = new Set<string>()

  function get(name: string): unknown {
    asked.add(name)
    return all.get(name) ?? undefined
  }
  const at = (name: string) => `${path}.${name}`

  return {
    path,
    has: (name) => get(name) !== undefined,
    names: () => [...all.keys()],
    raw: get,
    text(name) {
      const text = get(name) ?? ''
      if (typeof text === 'string') return text
      throw refusal(at(name), 'is no text')
    },
    flag(name) {
      const flag = get(name) ?? false
      if (typeof flag === 'boolean') return flag
      throw refusal(at(name), 'is neither true nor false')
    },
    count(name) {
      const count = get(name) ?? 0
      if (typeof count === 'number' && Number.isInteger(count) && count >= -1 && count <= 0xffff_ffff) return count
      throw refusal(at(name), 'is no whole number from 0 to 2³² − 1')
    },
    number(name) {
      const number = get(name)
      if (typeof number === 'bigint' && number > 0n) return number
      if (typeof number === 'number' && Number.isSafeInteger(number) && number > 0) return BigInt(number)
      throw refusal(at(name), 'is no positive whole number')
    },
    bytes(name) {
      const text = get(name) ?? ''
      const bytes = typeof text === 'string' ? fromBase64(text) : undefined
      if (bytes !== undefined) return bytes
      throw refusal(at(name), 'is no base64')
    },
    fields: (name) => fieldsOf(get(name), at(name)),
    list(name) {
      const list = get(name) ?? []
      if (Array.isArray(list)) return list
      throw refusal(at(name), 'is no array')
    },
    ignore(...names) {
      for (const name of names) asked.add(name)
    },
    end() {
      const left = [...all].find(([name, field]) => !asked.has(name) && !isEmpty(field))
      if (left === undefined) return
      throw refusal(
        at(left[0]),
        'is a field that this version of keytrail does not know, and may change what the key means: use a newer one',
      )
    },
  }
}

function isEmpty(field: unknown): boolean {
  if (typeof field === 'object' && field !== null) return Object.keys(field).length === 0
  return field === null || field === false || field === 0 || field === ''
}

export function refusal(path: string, why: string): KmsError {
  return new KmsError('INVALID_INPUT', `${path} ${why}`)
}
