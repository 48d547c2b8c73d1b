/** sign, verify, hmac and verifyHmac: plain standard bytes outside, `vault:vN:` texts inside. */
import { toBase64 } from '../../crypto/bytes.ts'
import { curves } from '../../crypto/curves.ts'
import { parseDer, parseP1363 } from '../../crypto/ecdsa.ts'
import { checkDigest, checkNoOptions, checkOption, digestLength, type SignatureOptions } from '../../crypto/options.ts'
import { KmsError } from '../../model/errors.ts'
import type { KeyRef, KeyType } from '../../model/key.ts'
import type { HashAlgorithm, Input, Output } from '../../model/operation.ts'
import type { CallInfo } from '../../model/provider.ts'
import { type Fields, isSuccess } from './answer.ts'
import { failureOf, malformed } from './failure.ts'
import type { TransitKey } from './key-description.ts'
import type { Keys } from './keys.ts'
import { type Base64, readVersioned, writeVersioned } from './spelling.ts'
import { newTrace, type Trace, traceOf } from './trace.ts'
import type { Asking, Transport } from './transport.ts'

export type SignatureOperation = 'sign' | 'verify' | 'hmac' | 'verifyHmac'

export type Signatures = { readonly [O in SignatureOperation]: (input: Input<O>, call: CallInfo) => Promise<Output<O>> }

/** How transit is asked for one kind of signature, and which bytes can be one. */
interface Scheme {
  /** Behind the key's name. */
  readonly path: string
  readonly fields: Fields
  readonly base64: Base64
  fits(signature: Uint8Array): boolean
}

const hashes: { readonly [H in HashAlgorithm]: string } = { sha256: 'sha2-256', sha384: 'sha2-384', sha512: 'sha2-512' }
const hashAlgorithms: readonly HashAlgorithm[] = ['sha256', 'sha384', 'sha512']
const eitherWay: readonly boolean[] = [true, false]
const ecdsaCurves = { 'ecdsa-p256': curves.p256, 'ecdsa-p384': curves.p384, 'ecdsa-p521': curves.p521 } as const

export function transitSignatures({ ask }: Transport, keys: Keys): Signatures {
  async function make(
    key: TransitKey,
    { verb, scheme, input, keyVersion, field }: Making,
    asking: Asking,
  ): Promise<Made> {
    const body = {
      ...scheme.fields,
      input: toBase64(input),
      ...(keyVersion !== undefined && { key_version: keyVersion }),
    }
    const answer = await ask({ method: 'POST', path: `${verb}/${key.name}${scheme.path}`, body }, asking)
    if (!isSuccess(answer)) throw failureOf(answer, { key: key.name, trace: asking.trace })
    const text = answer.data?.[field]
    const made = typeof text === 'string' ? readVersioned(text, scheme.base64) : undefined
    if (made === undefined || !scheme.fits(made.bytes)) throw malformed(`it holds no ${field}`, asking.trace)
    const wanted = keyVersion ?? answer.data?.['key_version'] ?? made.version
    if (made.version !== wanted) throw malformed('it used another version', asking.trace)
    return { bytes: made.bytes, keyVersion: made.version }
  }

  /** The newest version that says yes, or the one asked for whatever it says. */
  async function judge(key: TransitKey, claim: Claim, call: CallInfo): Promise<Verdict> {
    const trace = newTrace()
    const asking = { trace, signal: call.signal }
    const ref = { ...key.ref }
    const { keyVersion, signature, scheme } = claim
    if (keyVersion !== undefined) {
      if (!scheme.fits(signature)) return { key: ref, valid: false, keyVersion }
      const valid = await isValid(key, { ...claim, keyVersion }, asking)
      return { key: keys.used(key, keyVersion), valid, keyVersion, ...provided(trace) }
    }
    if (!scheme.fits(signature)) return { key: ref, valid: false }
    const matched = await newest(key, { from: key.ref.latestVersion, to: key.least }, claim, asking)
    if (matched !== undefined) return { key: ref, valid: true, keyVersion: matched, ...provided(trace) }
    // A version made elsewhere since the key was last looked at must not make a good signature a bad one.
    const now = await keys.fresh(key.name, asking)
    const later = await newest(now, { from: now.ref.latestVersion, to: key.ref.latestVersion + 1 }, claim, asking)
    if (now.ref.latestVersion > key.ref.latestVersion) keys.forget(key.ref)
    return { key: { ...now.ref }, valid: later !== undefined, ...(later && { keyVersion: later }), ...provided(trace) }
  }

  async function newest(
    key: TransitKey,
    { from, to }: Range,
    claim: Claim,
    asking: Asking,
  ): Promise<number | undefined> {
    for (let keyVersion = from; keyVersion >= to; keyVersion--)
      if (await isValid(key, { ...claim, keyVersion }, asking)) return keyVersion
    return undefined
  }

  async function isValid(
    key: TransitKey,
    claim: Claim & { readonly keyVersion: number },
    asking: Asking,
  ): Promise<boolean> {
    const { scheme, input, signature, keyVersion, field } = claim
    const text = writeVersioned({ version: keyVersion, bytes: signature }, scheme.base64)
    const body = { ...scheme.fields, input: toBase64(input), [field]: text }
    const answer = await ask({ method: 'POST', path: `verify/${key.name}${scheme.path}`, body }, asking)
    if (!isSuccess(answer)) {
      if (answer.status === 400 && answer.errors.some(isBadSignature)) return false
      throw failureOf(answer, { key: key.name, trace: asking.trace })
    }
    const valid = answer.data?.['valid']
    if (typeof valid !== 'boolean') throw malformed('it holds no verdict', asking.trace)
    return valid
  }

  return {
    async sign(input, call) {
      const key = await keys.of(input, call)
      const scheme = signing(key, input, input.input)
      const asking = { trace: newTrace(), signal: call.signal }
      const made = await make(key, { ...input, verb: 'sign', scheme, field: 'signature' }, asking)
      const { bytes: signature, keyVersion } = made
      return { key: keys.used(key, keyVersion), keyVersion, signature, provider: traceOf(asking.trace) }
    },
    async verify(input, call) {
      const key = await keys.of(input, call)
      return judge(key, { ...input, scheme: signing(key, input, input.input), field: 'signature' }, call)
    },
    async hmac(input, call) {
      const key = await keys.of(input, call)
      const scheme = authenticating(input.hashAlgorithm)
      const asking = { trace: newTrace(), signal: call.signal }
      const made = await make(key, { ...input, verb: 'hmac', scheme, field: 'hmac' }, asking)
      const { bytes: hmac, keyVersion } = made
      return { key: keys.used(key, keyVersion), keyVersion, hmac, provider: traceOf(asking.trace) }
    },
    async verifyHmac(input, call) {
      const key = await keys.of(input, call)
      const scheme = authenticating(input.hashAlgorithm)
      return judge(key, { ...input, signature: input.hmac, scheme, field: 'hmac' }, call)
    },
  }
}

interface Making {
  readonly verb: 'sign' | 'hmac'
  readonly scheme: Scheme
  readonly input: Uint8Array
  readonly keyVersion?: number
  readonly field: 'signature' | 'hmac'
}

interface Made {
  readonly bytes: Uint8Array
  readonly keyVersion: number
}

interface Claim {
  readonly scheme: Scheme
  readonly input: Uint8Array
  readonly signature: Uint8Array
  readonly keyVersion?: number
  readonly field: 'signature' | 'hmac'
}

interface Range {
  readonly from: number
  readonly to: number
}

interface Verdict {
  readonly key: KeyRef
  readonly valid: boolean
  readonly keyVersion?: number
  readonly provider?: ReturnType<typeof traceOf>
}

function provided(trace: Trace): Pick<Verdict, 'provider'> {
  return trace.attempts === 0 ? {} : { provider: traceOf(trace) }
}

function isBadSignature(text: string): boolean {
  return /^supplied signature (?:is invalid|contains extra data)$/.test(text)
}

/** Options that make no sense for the key type are `INVALID_INPUT`, as everywhere. */
function signing({ ref, derived }: TransitKey, options: SignatureOptions, input: Uint8Array): Scheme {
  // Types that are not ours do not match below.
  const keyType = ref.keyType as KeyType
  if (derived)
    throw new KmsError('INVALID_INPUT', 'the key is derived: its signatures need a context, which sign has not', {
      key: ref.slug,
    })
  if (keyType === 'ed25519') {
    checkNoOptions(keyType, options)
    return { path: '', fields: {}, base64: 'standard', fits: ({ length }) => length === 64 }
  }
  if (keyType === 'ecdsa-p256' || keyType === 'ecdsa-p384' || keyType === 'ecdsa-p521')
    return ecdsa(keyType, options, input)
  if (keyType === 'rsa-2048' || keyType === 'rsa-3072' || keyType === 'rsa-4096') return rsa(keyType, options, input)
  throw new KmsError('UNSUPPORTED_OPERATION', `a key of type ${ref.keyType} cannot sign or verify`, { key: ref.slug })
}

function ecdsa(keyType: keyof typeof ecdsaCurves, options: SignatureOptions, input: Uint8Array): Scheme {
  const curve = ecdsaCurves[keyType]
  const { hashAlgorithm = curve.hashAlgorithm, prehashed, format = 'der', padding } = options
  checkOption(keyType, 'format', format, ['der', 'ieee-p1363'])
  checkOption(keyType, 'padding', padding, [])
  const isP1363 = format === 'ieee-p1363'
  return {
    path: hashed(keyType, { hashAlgorithm, prehashed }, input),
    fields: { marshaling_algorithm: isP1363 ? 'jws' : 'asn1', ...(prehashed && { prehashed }) },
    base64: isP1363 ? 'url' : 'standard',
    // transit's own reading is laxer: one signature must not have several spellings.
    fits: (signature) => (isP1363 ? parseP1363 : parseDer)(curve, signature) !== undefined,
  }
}

function rsa(keyType: 'rsa-2048' | 'rsa-3072' | 'rsa-4096', options: SignatureOptions, input: Uint8Array): Scheme {
  const { hashAlgorithm = 'sha256', prehashed, format, padding = 'pss' } = options
  checkOption(keyType, 'format', format, [])
  checkOption(keyType, 'padding', padding, ['pss', 'pkcs1v15'])
  const size = Number(keyType.slice('rsa-'.length)) / 8
  return {
    path: hashed(keyType, { hashAlgorithm, prehashed }, input),
    fields: {
      signature_algorithm: padding,
      // By itself transit takes the longest salt that fits.
      ...(padding === 'pss' && { salt_length: 'hash' }),
      ...(prehashed && { prehashed }),
    },
    base64: 'standard',
    fits: ({ length }) => length === size,
  }
}

function hashed(
  keyType: KeyType,
  { hashAlgorithm, prehashed }: { readonly hashAlgorithm: HashAlgorithm; readonly prehashed: boolean | undefined },
  input: Uint8Array,
): string {
  checkOption(keyType, 'hashAlgorithm', hashAlgorithm, hashAlgorithms)
  checkOption(keyType, 'prehashed', prehashed, eitherWay)
  // transit does not look at the length of an ECDSA digest.
  if (prehashed) checkDigest(hashAlgorithm, input)
  return `/${hashes[hashAlgorithm]}`
}

/** Every transit key has a MAC key beside it, of whatever type it is. */
function authenticating(hashAlgorithm: HashAlgorithm = 'sha256'): Scheme {
  const fits = ({ length }: Uint8Array) => length === digestLength[hashAlgorithm]
  return { path: `/${hashes[hashAlgorithm]}`, fields: {}, base64: 'standard', fits }
}
