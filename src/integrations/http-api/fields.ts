/** The fields of a request, each asked for by its name and type. What nobody asks for must not be there. */
import { fromBase64 } from '../../crypto/bytes.ts'
import { invalid } from './failure.ts'

/** Names never repeat what a caller sent, which may be a secret in the wrong place. */
export interface Fields {
  has(name: string): boolean
  /** Standard base64 with padding, in its one spelling. */
  bytes(name: string): Uint8Array
  optionalBytes(name: string): Uint8Array | undefined
  text(name: string): string
  optionalText(name: string): string | undefined
  /** A version as the wire has it: a string of digits. */
  version(name: string): number | undefined
  flag(name: string): boolean | undefined
  integer(name: string): number | undefined
  /** An object of strings. Its size is checked where it is used. */
  texts(name: string): Readonly<Record<string, string>> | undefined
}

const largestVersion = 0xffff_ffff

/** @throws KmsError `INVALID_INPUT` for a field that is not in `names`. */
export function fieldsOf(given: object, names: readonly string[]): Fields {
  const values = new Map<string, unknown>(Object.entries(given))
  for (const name of values.keys()) {
    if (!names.includes(name)) throw invalid(`there is a field that is none of ${names.join(', ') || 'those known'}`)
  }
  return {
    has: (name) => values.has(name),
    bytes: (name) => bytesOf(name, needed(name)),
    optionalBytes: (name) => (values.has(name) ? bytesOf(name, values.get(name)) : undefined),
    text: (name) => textOf(name, needed(name)),
    optionalText: (name) => (values.has(name) ? textOf(name, values.get(name)) : undefined),
    version: (name) => (values.has(name) ? versionOf(name, values.get(name)) : undefined),
    flag: (name) => (values.has(name) ? flagOf(name, values.get(name)) : undefined),
    integer: (name) => (values.has(name) ? integerOf(name, values.get(name)) : undefined),
    texts: (name) => (values.has(name) ? textsOf(name, values.get(name)) : undefined),
  }

  function needed(name: string): unknown {
    if (!values.has(name)) throw invalid(`'${name}' is missing`)
    return values.get(name)
  }
}

function bytesOf(name: string, value: unknown): Uint8Array {
  const bytes = typeof value === 'string' ? fromBase64(value) : undefined
  if (bytes === undefined) throw invalid(`'${name}' must be a string of standard base64 with padding`)
  return bytes
}

function textOf(name: string, value: unknown): string {
  if (typeof value !== 'string') throw invalid(`'${name}' must be a string`)
  return value
}

/** The number that `value` spells. */
export function versionOf(name: string, value: unknown): number {
  const version = typeof value === 'string' && /^[1-9]\d{0,9}$/.test(value) ? Number(value) : 0
  if (version < 1 || version > largestVersion) throw invalid(`'${name}' must be a version as a string, such as "1"`)
  return version
}

function flagOf(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid(`'${name}' must be true or false`)
  return value
}

function integerOf(name: string, value: unknown): number {
  if (!Number.isSafeInteger(value)) throw invalid(`'${name}' must be a whole number`)
  return Number(value)
}

function textsOf(name: string, value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`'${name}' must be an object of strings`)
  if (Object.values(value).some((text) => typeof text !== 'string')) throw invalid(`'${name}' must hold only strings`)
  // Just looked at, one by one.
  return value as Readonly<Record<string, string>>
}
