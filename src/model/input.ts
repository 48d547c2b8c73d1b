/**
 * The door: every input is checked against its row of the operation table and copied once, so that nothing the caller
 * does afterwards changes what is encrypted, signed or recorded.
 */
import { KmsError } from './errors.ts'
import {
  type EncryptionContext,
  type FieldRule,
  type Input,
  type Limits,
  type Operation,
  type OperationRow,
  operations,
} from './operation.ts'
import { utf8Length } from './text.ts'

const slugPattern = /^[a-z0-9][a-z0-9-]{0,62}$/
const timestampPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/

const rootKeyLength = 32
const maxPassphrase = 1024
const maxPairs = 32
const maxContextBytes = 8192

/** The intrinsic getters, so that an object that only claims to be a `Uint8Array` is told apart. */
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object
const tagOf = getterOf(typedArray, Symbol.toStringTag)
const bufferOf = getterOf(typedArray, 'buffer')
const lengthOf = getterOf(typedArray, 'byteLength')
const offsetOf = getterOf(typedArray, 'byteOffset')

const rules: { readonly [O in Operation]: readonly (readonly [string, FieldRule])[] } = Object.fromEntries(
  Object.entries(operations).map(([operation, row]) => [operation, Object.entries(row.fields)]),
  // Object.fromEntries forgets which names it was given; they are those of `operations`.
) as never

/**
 * A checked copy of `raw` with only the fields of `operation`'s row. With `bytes: 'borrow'` its bytes are views of the
 * caller's: for who is done with them before the caller can run again.
 *
 * @throws KmsError `INVALID_INPUT` that names the field, what it must be, and never its value.
 */
export function checkInput<O extends Operation>(
  operation: O,
  raw: unknown,
  limits: Limits,
  bytes: 'copy' | 'borrow' = 'copy',
): Input<O> {
  if (typeof raw !== 'object' || raw === null) refuse(`${operation} takes one object`)
  // Narrowed above; a caller's object may hold anything.
  const given = raw as Readonly<Record<string, unknown>>
  const { fields, oneOf }: OperationRow = operations[operation]
  for (const name in given) {
    if (!Object.hasOwn(fields, name)) refuse(`${operation} has no field ${quoted(name)}`)
  }
  const input: Record<string, unknown> = {}
  for (const [name, rule] of rules[operation]) {
    const value = given[name]
    const checked = value === undefined ? undefined : checkField(name, rule, value, limits, bytes)
    if (checked !== undefined) input[name] = checked
    else if (rule.required) refuse(`${operation} needs '${name}'`)
  }
  if (oneOf !== undefined && oneOf.filter((name) => input[name] !== undefined).length !== 1)
    refuse(`${operation} takes exactly one of ${oneOf.join(', ')}`)
  // Each field has been held to the row that also gives the type.
  return input as unknown as Input<O>
}

/**
 * What an entry may tell of an input that did not pass: the key asked for, the version, and the bytes, which are only
 * measured. Never throws, whatever it is given.
 */
export function salvageInput(operation: Operation, raw: unknown): Readonly<Record<string, unknown>> {
  const salvaged: Record<string, unknown> = {}
  if (typeof raw !== 'object' || raw === null) return salvaged
  for (const [name, rule] of rules[operation]) {
    const value = readField(raw, name)
    if (rule.is === 'bytes' ? tagOf.call(value) === 'Uint8Array' : isSimple(rule, value)) salvaged[name] = value
  }
  return salvaged
}

function isSimple(rule: FieldRule, value: unknown): boolean {
  if (rule.is === 'key' || rule.is === 'slug')
    return typeof value === 'string' && value.length > 0 && value.length <= 256
  // Entries know no day 0 and no version 0.
  return rule.is === 'integer' && Number.isSafeInteger(value) && (value as number) >= rule.min
}

/** A caller's getter or proxy may throw; the input has been refused already. */
function readField(raw: object, name: string): unknown {
  try {
    return (raw as Readonly<Record<string, unknown>>)[name]
  } catch {
    return undefined
  }
}

function checkField(name: string, rule: FieldRule, value: unknown, limits: Limits, bytes: 'copy' | 'borrow'): unknown {
  switch (rule.is) {
    case 'bytes':
      return bytes === 'copy'
        ? copyBytes(name, value, rule.min, limits[rule.max])
        : viewOf(name, value, rule.min, limits[rule.max])
    case 'key':
      if (typeof value !== 'string' || value.length === 0 || value.length > 256)
        refuse(`'${name}' must be a key's identity or slug: a string of 1–256 characters`)
      return value
    case 'encryptionContext':
      return copyContext(name, value)
    case 'integer':
      if (!Number.isInteger(value) || (value as number) < rule.min || (value as number) > rule.max)
        refuse(`'${name}' must be an integer from ${rule.min} to ${rule.max}`)
      return value
    case 'flag':
      if (typeof value !== 'boolean') refuse(`'${name}' must be true or false`)
      return value
    case 'oneOf':
      if (!rule.values.includes(value as string)) refuse(`'${name}' must be one of ${rule.values.join(', ')}`)
      return value
    case 'text':
      if (typeof value !== 'string' || value.length === 0 || value.length > rule.max)
        refuse(`'${name}' must be a string of 1–${rule.max} characters`)
      return value
    case 'slug':
      if (typeof value !== 'string' || !slugPattern.test(value) || value.startsWith('kms-'))
        refuse(`'${name}' must match ${slugPattern.source} and not start with kms-`)
      return value
    case 'timestamp':
      if (typeof value !== 'string' || !timestampPattern.test(value) || Number.isNaN(Date.parse(value)))
        refuse(`'${name}' must be an RFC 3339 time in UTC, such as 2026-01-31T12:00:00Z`)
      return value
    case 'texts':
      return copyTexts(name, value)
    case 'rootKey':
      return copyBytes(name, value, rootKeyLength, rootKeyLength)
    case 'passphrase':
      return copyPassphrase(name, value)
  }
}

/** A plain `Uint8Array` of our own with the same content. */
function copyBytes(name: string, value: unknown, min: number, max: number): Uint8Array {
  const view = viewOf(name, value, min, max)
  const copy = new Uint8Array(view.length)
  copy.set(view)
  return copy
}

/** A plain view of the caller's bytes: no subclass, no property of the caller's between them and us. */
export function viewOf(name: string, value: unknown, min: number, max: number): Uint8Array {
  if (tagOf.call(value) !== 'Uint8Array')
    refuse(`'${name}' must be a Uint8Array; for text, use new TextEncoder().encode(text)`)
  const buffer = bufferOf.call(value)
  if (!(buffer instanceof ArrayBuffer) && Object.prototype.toString.call(buffer) !== '[object ArrayBuffer]')
    refuse(`'${name}' must not be on a SharedArrayBuffer: another thread could change it`)
  const length = lengthOf.call(value) as number
  if (length === 0 && isDetached(buffer as ArrayBuffer)) refuse(`'${name}' is on a detached ArrayBuffer`)
  if (length < min || length > max)
    refuse(`'${name}' must be ${min === max ? min : `${min}–${max}`} bytes long; this is ${length}`)
  return new Uint8Array(buffer as ArrayBuffer, offsetOf.call(value) as number, length)
}

/** Text stays text: its UTF-8 bytes count, so it must have some. */
function copyPassphrase(name: string, value: unknown): string | Uint8Array {
  if (typeof value !== 'string') return copyBytes(name, value, 1, maxPassphrase)
  const length = utf8Length(value)
  if (length < 1 || length > maxPassphrase)
    refuse(`'${name}' must be 1–${maxPassphrase} bytes of well-formed Unicode, or such a Uint8Array`)
  return value
}

function isDetached(buffer: ArrayBuffer): boolean {
  try {
    return new Uint8Array(buffer).length < 0
  } catch (error) {
    // ECMA-262 InitializeTypedArrayFromArrayBuffer: a detached buffer is a TypeError.
    return error instanceof TypeError
  }
}

/** The pairs, or undefined when there are none: absent and empty mean the same. */
function copyContext(name: string, value: unknown): EncryptionContext | undefined {
  const pairs = plainPairs(name, value)
  if (pairs.length === 0) return undefined
  if (pairs.length > maxPairs) refuse(`'${name}' must have at most ${maxPairs} pairs; this has ${pairs.length}`)
  let bytes = 0
  for (const [left, right] of pairs) {
    const size = [utf8Length(left), utf8Length(right)]
    if (size.includes(-1)) refuse(`'${name}' must be well-formed Unicode: it holds a lone surrogate`)
    bytes += (size[0] ?? 0) + (size[1] ?? 0)
  }
  if (bytes > maxContextBytes) refuse(`'${name}' must be at most ${maxContextBytes} bytes of UTF-8; this is ${bytes}`)
  return Object.fromEntries(pairs)
}

function copyTexts(name: string, value: unknown): Readonly<Record<string, string>> {
  const pairs = plainPairs(name, value)
  if (pairs.length > 64 || pairs.some(([left, right]) => left.length > 128 || right.length > 1024))
    refuse(`'${name}' must be at most 64 pairs of a name of 128 and a text of 1024 characters`)
  return Object.fromEntries(pairs)
}

function plainPairs(name: string, value: unknown): [string, string][] {
  const prototype: unknown = typeof value === 'object' && value !== null ? Object.getPrototypeOf(value) : undefined
  const isPlain = prototype === null || (typeof prototype === 'object' && Object.getPrototypeOf(prototype) === null)
  if (!isPlain) refuse(`'${name}' must be a plain object of strings`)
  const pairs = Object.entries(value as object) as [string, unknown][]
  if (pairs.some(([, text]) => typeof text !== 'string')) refuse(`'${name}' must hold only strings`)
  return pairs as [string, string][]
}

/** A slip may put a secret where a name belongs: only what looks like one is repeated. */
function quoted(name: string): string {
  return /^[a-z]\w{0,23}$/i.test(name) ? `'${name}'` : 'of such a name'
}

function getterOf(target: object, name: PropertyKey): (this: unknown) => unknown {
  const getter = Object.getOwnPropertyDescriptor(target, name)?.get
  if (getter === undefined) throw new KmsError('INTERNAL', `this runtime has no getter for ${String(name)}`)
  return getter
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
