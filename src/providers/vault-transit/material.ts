/** Key material in and out: export in our forms, and import wrapped to the engine's own key. */
import { engine } from '#engine'
import { algorithms } from '../../crypto/algorithms.ts'
import { fromBase64, toBase64, wipe } from '../../crypto/bytes.ts'
import { curves } from '../../crypto/curves.ts'
import { readDer, tags } from '../../crypto/der.ts'
import { fingerprint } from '../../crypto/fingerprint.ts'
import { encodeJwk } from '../../crypto/jwk.ts'
import { wrapKeyMaterial } from '../../crypto/key-transport.ts'
import { encodeEcPkcs8, encodeRsaPkcs8, fromPem } from '../../crypto/pkcs8.ts'
import { KmsError } from '../../model/errors.ts'
import type { KeyType } from '../../model/key.ts'
import type { Input, KeyMaterialForm, Output } from '../../model/operation.ts'
import type { CallInfo } from '../../model/provider.ts'
import { isSuccess } from './answer.ts'
import { failureOf, malformed } from './failure.ts'
import type { TransitKey } from './key-description.ts'
import type { Keys } from './keys.ts'
import { checkType, exists, newName, transitTypes } from './lifecycle.ts'
import { evidenceOfTrace, newTrace, traceOf } from './trace.ts'
import type { Asking, Transport } from './transport.ts'

export type MaterialOperation = 'export' | 'importKey'

export type Material = { readonly [O in MaterialOperation]: (input: Input<O>, call: CallInfo) => Promise<Output<O>> }

export function transitMaterial({ ask }: Transport, keys: Keys): Material {
  return {
    async export(input, call) {
      const key = await keys.of(input, call)
      const form = exportForm(input, key)
      const trace = newTrace()
      const { material, keyVersion, keyType } = await exported(key, input.keyVersion, { trace, signal: call.signal })
      try {
        const keyMaterial = await inForm(keyType, material, { form, recipient: input.recipient })
        return { key: keys.used(key, keyVersion), keyVersion, keyMaterial, form, provider: traceOf(trace) }
      } finally {
        wipe(material)
      }
    },

    async importKey(input, call) {
      keys.requireScope(call.scope)
      const name = newName(input)
      const { exportAllowed = false, allowRotation = false, keyVersion = 1 } = input
      const keyType: string = input.keyType
      checkType(keyType, name)
      if (keyVersion !== 1) throw invalid('transit numbers the versions of an imported key from 1', name)
      const material = await importedMaterial(keyType, input, name)
      const asking = { trace: newTrace(), signal: call.signal }
      const { wrapped, wrappingKey } = await wrappedForImport(material, asking)
      const body = {
        type: keyType,
        hash_function: 'SHA256',
        ciphertext: toBase64(wrapped),
        exportable: exportAllowed,
        allow_rotation: allowRotation,
      }
      const asked = { method: 'POST', path: `keys/${name}/import`, body, change: true } as const
      const answer = await ask(asked, asking)
      if (!isSuccess(answer)) throw failureOf(answer, { key: name, change: true, trace: asking.trace })
      const key = await keys.afterChange(name, answer, asking)
      if (key.ref.keyType !== keyType) throw exists(name, asking.trace)
      return { key: key.shown, keyVersion: 1, form: 'wrapped', wrappingKey, provider: traceOf(asking.trace) }
    },
  }

  async function exported(key: TransitKey, version: number | undefined, { trace, signal }: Asking): Promise<Exported> {
    const path = `export/${kindOf(key)}/${key.name}/${version ?? 'latest'}`
    const answer = await ask({ method: 'GET', path }, { trace, signal })
    if (!isSuccess(answer)) throw failureOf(answer, { key: key.name, trace })
    const { type: keyType, keys: versions } = answer.data ?? {}
    const [entry, ...others] = typeof versions === 'object' && versions !== null ? Object.entries(versions) : []
    const [digits = '', text] = entry ?? []
    const keyVersion = /^[1-9][0-9]{0,9}$/.test(digits) ? Number(digits) : undefined
    const fits = keyType === key.ref.keyType && others.length === 0 && (version ?? keyVersion) === keyVersion
    if (keyVersion === undefined || typeof text !== 'string' || !fits)
      throw malformed('it holds no key of this type and version', trace)
    if (text === '')
      throw new KmsError('EXPORT_NOT_ALLOWED', 'transit holds no private key of that version', {
        key: key.name,
        evidence: { ...evidenceOfTrace(trace), keyVersion },
      })
    const type = ours(keyType, key.name)
    const material = await materialOf(type, text)
    if (material === undefined) throw malformed('it holds no key of this type', trace)
    return { material, keyVersion, keyType: type }
  }

  async function wrappedForImport(material: Uint8Array, asking: Asking): Promise<Wrapped> {
    const answer = await ask({ method: 'GET', path: 'wrapping_key' }, asking)
    try {
      if (!isSuccess(answer)) throw failureOf(answer, { trace: asking.trace })
      const text = answer.data?.['public_key']
      const spki = typeof text === 'string' ? fromPem('PUBLIC KEY', text) : undefined
      if (spki === undefined) throw malformed('it holds no wrapping key', asking.trace)
      return { wrapped: await wrapKeyMaterial(engine, spki, material), wrappingKey: fingerprint(engine, spki) }
    } finally {
      wipe(material)
    }
  }
}

interface Exported {
  readonly material: Uint8Array
  readonly keyVersion: number
  readonly keyType: KeyType
}

interface Wrapped {
  readonly wrapped: Uint8Array
  readonly wrappingKey: string
}

function exportForm({ form, recipient }: Input<'export'>, { ref }: TransitKey): KeyMaterialForm {
  const natural = algorithms[ours(ref.keyType, ref.slug)].form
  const chosen = form ?? (recipient === undefined ? natural : 'wrapped')
  if ((chosen === 'wrapped') !== (recipient !== undefined))
    throw invalid("'recipient' goes with form 'wrapped', and that one needs it", ref.slug)
  if (chosen === natural || chosen === 'jwk' || chosen === 'wrapped') return chosen
  throw invalid(`the form of ${ref.keyType} key material is ${natural}, jwk or wrapped, not ${chosen}`, ref.slug)
}

function kindOf({ ref }: TransitKey): 'encryption-key' | 'signing-key' | 'hmac-key' {
  if (ref.keyType === 'hmac') return 'hmac-key'
  return /^(?:ed25519|ecdsa-)/.test(ref.keyType) ? 'signing-key' : 'encryption-key'
}

/** What transit exports, as our algorithms keep it; undefined for what is none. The caller wipes it. */
async function materialOf(keyType: KeyType, text: string): Promise<Uint8Array | undefined> {
  if (keyType === 'ed25519') {
    // Go's form: the seed, then the public key.
    const both = fromBase64(text)
    const seed = both?.length === 64 ? both.slice(0, 32) : undefined
    if (both !== undefined) wipe(both)
    return seed
  }
  // transit's HMAC keys are of any length.
  if (keyType === 'hmac') return fromBase64(text)
  const { form, decode } = algorithms[keyType]
  const encoded =
    form === 'raw' ? fromBase64(text) : keyType.startsWith('rsa-') ? fromPkcs1(text) : fromSec1(keyType, text)
  if (encoded === undefined) return undefined
  try {
    return await decode(engine, encoded)
  } finally {
    wipe(encoded)
  }
}

/** RFC 8017 §A.1.2 without the envelope of PKCS#8, into it. */
function fromPkcs1(text: string): Uint8Array | undefined {
  const der = fromPem('RSA PRIVATE KEY', text.trim())
  if (der === undefined) return undefined
  const found = readDer(der, (from) =>
    from.within(tags.sequence, () => {
      from.expect(Uint8Array.of(tags.integer, 1, 0))
      const next = () => from.integer()
      return { n: next(), e: next(), d: next(), p: next(), q: next(), dp: next(), dq: next(), qi: next() }
    }),
  )
  const encoded = found === undefined ? undefined : encodeRsaPkcs8(found)
  wipe(der)
  return encoded
}

/** RFC 5915, into PKCS#8. */
function fromSec1(keyType: KeyType, text: string): Uint8Array | undefined {
  const der = fromPem('EC PRIVATE KEY', text.trim())
  if (der === undefined) return undefined
  const curve = keyType === 'ecdsa-p521' ? curves.p521 : keyType === 'ecdsa-p384' ? curves.p384 : curves.p256
  const scalar = readDer(der, (from) =>
    from.within(tags.sequence, () => {
      from.expect(Uint8Array.of(tags.integer, 1, 1))
      const secret = from.take(tags.octetString)
      from.rest()
      return secret
    }),
  )
  const encoded = scalar?.length === curve.length ? encodeEcPkcs8(curve, scalar) : undefined
  wipe(der)
  return encoded
}

interface InForm {
  readonly form: KeyMaterialForm
  readonly recipient: Uint8Array | undefined
}

/** Bytes that the caller owns. */
async function inForm(keyType: KeyType, material: Uint8Array, { form, recipient }: InForm): Promise<Uint8Array> {
  if (form === 'jwk') return encodeJwk(engine, keyType, material)
  const encoded = algorithms[keyType].encode(engine, material)
  if (recipient === undefined) return encoded
  try {
    return await wrapKeyMaterial(engine, recipient, encoded)
  } finally {
    wipe(encoded)
  }
}

/** In the form that transit unwraps to; the caller wipes it. */
async function importedMaterial(
  keyType: KeyType,
  { keyMaterial, form }: Input<'importKey'>,
  name: string,
): Promise<Uint8Array> {
  const algorithm = algorithms[keyType]
  const { uses, form: natural } = algorithm
  if (uses.includes('mac')) throw invalid(`a key of type ${keyType} cannot be imported: create one`, name)
  if (form !== undefined && form !== natural)
    throw invalid(`the form of ${keyType} key material is ${natural} here: it is wrapped on its way to transit`, name)
  const material = await algorithm.decode(engine, keyMaterial)
  if (material === undefined) throw invalid(`'keyMaterial' is no ${keyType} key in the form ${natural}`, name)
  const encoded = algorithm.encode(engine, material)
  wipe(material)
  return encoded
}

function ours(keyType: unknown, key: string): KeyType {
  // One of the list's.
  if (typeof keyType === 'string' && transitTypes.includes(keyType)) return keyType as KeyType
  throw invalid('a key of this type cannot be exported here', key)
}

function invalid(problem: string, key: string): KmsError {
  return new KmsError('INVALID_INPUT', problem, { key })
}
