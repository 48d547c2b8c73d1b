/** @node In the blocking thread: finding objects on the token, reading them, and seeing that they are still the same. */
import { equal, hex, utf8 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { cka, ckk, cko, ckr } from './constants.ts'
import { type Attribute, faultOf, type Handle, ulong } from './cryptoki.ts'
import type { Jobs, ObjectFacts, ObjectRef } from './protocol.ts'
import type { Connection } from './session.ts'

/** Objects asked for at a time. */
const batch = 256

/** What {@link check} throws. */
export const stale: KmsError = new KmsError('VERSION_NOT_FOUND', 'the object is not on the token any more')

export function attributes(values: Readonly<Record<number, Attribute['value']>>): readonly Attribute[] {
  return Object.entries(values).flatMap(([type, value]) => (value === undefined ? [] : [{ type: Number(type), value }]))
}

/** A view of the bytes, as the package wants them. */
export function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function find({ api, session }: Connection, template: readonly Attribute[]): readonly Handle[] {
  const found: Handle[] = []
  api.C_FindObjectsInit(session, template)
  try {
    for (;;) {
      const some = api.C_FindObjects(session, batch)
      found.push(...some)
      if (some.length < batch) return found
    }
  } finally {
    api.C_FindObjectsFinal(session)
  }
}

/** Attribute values by type; what the object has not, or does not tell, is left out. */
export function read(
  connection: Connection,
  object: Handle,
  types: readonly number[],
): ReadonlyMap<number, Uint8Array> {
  const values = new Map<number, Uint8Array>()
  const { api, session } = connection
  try {
    const answer = api.C_GetAttributeValue(
      session,
      object,
      types.map((type) => ({ type })),
    )
    for (const [type, value] of pairs(answer)) values.set(type, new Uint8Array(value))
  } catch (error) {
    const rv = faultOf(error)?.rv
    if (rv !== ckr.ATTRIBUTE_TYPE_INVALID && rv !== ckr.ATTRIBUTE_SENSITIVE) throw error
    if (types.length === 1) return values
    // One that is not told hides the others.
    for (const type of types) for (const [, value] of read(connection, object, [type])) values.set(type, value)
  }
  return values
}

function pairs(answer: unknown): readonly (readonly [number, Uint8Array])[] {
  if (!Array.isArray(answer)) return []
  return answer.flatMap((one: unknown) => {
    if (typeof one !== 'object' || one === null) return []
    const { type, value } = one as { readonly type?: unknown; readonly value?: unknown }
    return typeof type === 'number' && value instanceof Uint8Array ? [[type, value] as const] : []
  })
}

/** Handles may be given anew once an object is gone: before each use, what is under it must be what was found there. */
export function check(connection: Connection, { handle, label, id }: ObjectRef): Handle {
  const object = buffer(handle)
  let found: ReadonlyMap<number, Uint8Array>
  try {
    found = read(connection, object, [cka.LABEL, cka.ID])
  } catch (error) {
    const rv = faultOf(error)?.rv
    if (rv === ckr.OBJECT_HANDLE_INVALID || rv === ckr.KEY_HANDLE_INVALID) throw stale
    throw error
  }
  const same = equal(found.get(cka.LABEL) ?? nothing, utf8(label)) && equal(found.get(cka.ID) ?? nothing, id)
  if (!same) throw stale
  return object
}

const nothing = new Uint8Array(0)

/** All key objects that stay on the token; those whose handles are known are not read again. */
export function inventory(connection: Connection, { known }: Jobs['inventory']['input']): Jobs['inventory']['output'] {
  const seen = new Set(known)
  const present: string[] = []
  const fresh: ObjectFacts[] = []
  for (const objectClass of [cko.SECRET_KEY, cko.PRIVATE_KEY, cko.PUBLIC_KEY]) {
    for (const object of find(connection, attributes({ [cka.CLASS]: objectClass, [cka.TOKEN]: true }))) {
      const name = hex(object)
      present.push(name)
      if (seen.has(name)) continue
      const facts = describe(connection, object, objectClass)
      if (facts !== undefined) fresh.push(facts)
    }
  }
  return { present, fresh }
}

/** Undefined for an object that tells too little, or is gone since it was found. */
function describe(connection: Connection, object: Handle, objectClass: number): ObjectFacts | undefined {
  try {
    const shared = read(connection, object, [cka.LABEL, cka.ID, cka.KEY_TYPE])
    const keyType = ulong(shared.get(cka.KEY_TYPE))
    const label = textOf(shared.get(cka.LABEL))
    if (keyType === undefined || label === undefined) return undefined
    const own = read(connection, object, [...(ownTypes[keyType] ?? []), ...(classTypes[objectClass] ?? [])])
    const valueLength = ulong(own.get(cka.VALUE_LEN))
    const facts: { -readonly [F in keyof ObjectFacts]: ObjectFacts[F] } = {
      handle: new Uint8Array(object),
      objectClass,
      keyType,
      label,
      id: shared.get(cka.ID) ?? nothing,
    }
    const extractable = flagOf(own.get(cka.EXTRACTABLE))
    const sensitive = flagOf(own.get(cka.SENSITIVE))
    if (extractable !== undefined) facts.extractable = extractable
    if (sensitive !== undefined) facts.sensitive = sensitive
    if (valueLength !== undefined) facts.valueLength = valueLength
    for (const [field, type] of bytesFields) {
      const value = own.get(type)
      if (value !== undefined) facts[field] = value
    }
    return facts
  } catch (error) {
    if (faultOf(error)?.rv === ckr.OBJECT_HANDLE_INVALID) return undefined
    throw error
  }
}

const bytesFields = [
  ['modulus', cka.MODULUS],
  ['exponent', cka.PUBLIC_EXPONENT],
  ['ecParams', cka.EC_PARAMS],
  ['ecPoint', cka.EC_POINT],
] as const

const rsaTypes = [cka.MODULUS, cka.PUBLIC_EXPONENT]
const ecTypes = [cka.EC_PARAMS, cka.EC_POINT]
const secretTypes = [cka.VALUE_LEN]

const ownTypes: Readonly<Record<number, readonly number[]>> = {
  [ckk.RSA]: rsaTypes,
  [ckk.EC]: ecTypes,
  [ckk.EC_EDWARDS]: ecTypes,
  [ckk.AES]: secretTypes,
  [ckk.GENERIC_SECRET]: secretTypes,
  [ckk.SHA256_HMAC]: secretTypes,
  [ckk.SHA384_HMAC]: secretTypes,
  [ckk.SHA512_HMAC]: secretTypes,
}

const classTypes: Readonly<Record<number, readonly number[]>> = {
  [cko.SECRET_KEY]: [cka.SENSITIVE, cka.EXTRACTABLE],
  [cko.PRIVATE_KEY]: [cka.SENSITIVE, cka.EXTRACTABLE],
}

/** Undefined for what is no UTF-8: nobody can ask for such a key. */
function textOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined
  const text = Buffer.from(bytes).toString('utf8')
  return equal(utf8(text), bytes) ? text : undefined
}

function flagOf(bytes: Uint8Array | undefined): boolean | undefined {
  return bytes?.length === 1 ? bytes[0] !== 0 : undefined
}
