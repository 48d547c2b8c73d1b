/** One version of a key as a transit backup has it, and the key in it. */
import { concat, equal, wipe } from '../../crypto/bytes.ts'
import { type Curve, validScalar } from '../../crypto/curves.ts'
import { ed25519Public } from '../../crypto/ed25519.ts'
import type { Engine } from '../../crypto/engine.ts'
import { encodeRsaPkcs8 } from '../../crypto/pkcs8.ts'
import { transitKinds } from '../../crypto/transit-material.ts'
import type { TransitKeyType } from '../../model/key.ts'
import { type Fields, refusal } from './go-json.ts'

/** What stands in a backup of one version; `wipe` what is not empty. */
export interface KeyEntry {
  /** Symmetric keys; all 64 bytes of Go's Ed25519 key. */
  readonly key: Uint8Array
  readonly hmacKey: Uint8Array
  /** When it was made, as the backup says it. */
  readonly createdAt: string
  /** 0 where it is the policy's. */
  readonly convergent: number
  readonly fields: Fields
}

/** The entry of a version, which must have a private key. */
export function readEntry(fields: Fields): KeyEntry {
  if (secretIn(fields) === '' || fields.flag('public_key_imported'))
    throw refusal(
      fields.path,
      'has no private key: a managed key stays where it is, and a public key alone opens nothing',
    )
  fields.ignore('creation_time', 'public_key', 'rsa_public_key', 'certificate_chain', 'ec_x', 'ec_y', 'ec_d', 'rsa_key')
  const entry = {
    key: fields.bytes('key'),
    hmacKey: fields.bytes('hmac_key'),
    createdAt: fields.text('time'),
    convergent: fields.count('convergent_version'),
    fields,
  }
  fields.end()
  return entry
}

/** The private key as the backup spells it, whatever its type; empty where there is none, as in the first place of an archive. */
export function secretIn(fields: Fields): string {
  const rsa = fields.has('rsa_key') ? fields.fields('rsa_key').number('D') : ''
  const ec = fields.has('ec_d') ? fields.number('ec_d') : ''
  return `${fields.text('key')}${ec}${rsa}`
}

/** The key as transit-material.ts has it, an array of its own: its parts belong together. */
export function keyOf(
  engine: Engine,
  keyType: TransitKeyType,
  { key, fields }: KeyEntry,
  isDerived: boolean,
): Uint8Array {
  const kind = transitKinds[keyType]
  switch (kind.is) {
    case 'ecdsa':
      return scalarOf(engine, kind.curve, fields)
    case 'rsa':
      return rsaOf(fields.fields('rsa_key'))
    case 'ed25519': {
      const seed = key.subarray(0, 32)
      if (key.length !== 64 || !equal(ed25519Public(engine, seed), key.subarray(32)))
        throw refusal(`${fields.path}.key`, 'is no Ed25519 key: its halves do not belong together')
      return isDerived ? key.slice() : seed.slice()
    }
    default:
      return key.slice()
  }
}

function scalarOf(engine: Engine, curve: Curve, fields: Fields): Uint8Array {
  const [x, y, d] = ['ec_x', 'ec_y', 'ec_d'].map((name) => bigEndian(fields.number(name), curve.length))
  if (!x || !y || !d || !validScalar(curve, d)) throw refusal(fields.path, `holds no key of ${curve.title}`)
  const pair = engine.ecdsa(curve, d)
  pair.destroy()
  if (equal(pair.publicKey, concat([Uint8Array.of(4), x, y]))) return d
  wipe(d)
  throw refusal(fields.path, `holds no key of ${curve.title}: ec_d is not the private key of ec_x and ec_y`)
}

/** PKCS#8; what the CRT needs is computed, since Go leaves it out at times. That all belongs together is asked at the import. */
function rsaOf(fields: Fields): Uint8Array {
  // Under what follows from the other parts Go keeps more than RFC 8017 has.
  fields.ignore('Precomputed')
  const [n, e, d] = [fields.number('N'), fields.number('E'), fields.number('D')]
  const primes = fields.list('Primes')
  const [p, q] = primes
  if (primes.length !== 2 || typeof p !== 'bigint' || typeof q !== 'bigint' || p < 3n || q < 3n)
    throw refusal(`${fields.path}.Primes`, 'are not two: keys of more are not taken')
  fields.end()
  const numbers = { n, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q % p, p) }
  const [N, E, D, P, Q, DP, DQ, QI] = Object.values(numbers).map((number) => bigEndian(number, byteLength(number)))
  if (!N || !E || !D || !P || !Q || !DP || !DQ || !QI) throw refusal(fields.path, 'is no RSA key')
  const pkcs8 = encodeRsaPkcs8({ n: N, e: E, d: D, p: P, q: Q, dp: DP, dq: DQ, qi: QI })
  wipe(D, P, Q, DP, DQ, QI)
  return pkcs8
}

/** Modulo a prime; 0 if there is none. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [r, nextR] = [modulus, value]
  let [t, nextT] = [0n, 1n]
  while (nextR > 0n) {
    const quotient = r / nextR
    ;[r, nextR] = [nextR, r - quotient * nextR]
    ;[t, nextT] = [nextT, t - quotient * nextT]
  }
  return r === 1n ? (t + modulus) % modulus : 0n
}

function byteLength(number: bigint): number {
  let length = 1
  for (let rest = number >> 8n; rest > 0n; rest >>= 8n) length++
  return length
}

/** Undefined if it does not fit. */
function bigEndian(number: bigint, length: number): Uint8Array | undefined {
  const out = new Uint8Array(length)
  let rest = number
  for (let at = length - 1; at >= 0; at--, rest >>= 8n) out[at] = Number(rest & 0xffn)
  return rest === 0n ? out : undefined
}
