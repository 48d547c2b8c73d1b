/** How signatures of the transit engine are verified, by type. */
import { KmsError } from '../model/errors.ts'
import type { TransitKeyType } from '../model/key.ts'
import type { HashAlgorithm } from '../model/operation.ts'
import { toBase64, wipe } from './bytes.ts'
import type { Curve } from './curves.ts'
import { parseDer, parseP1363 } from './ecdsa.ts'
import { verifyDigest } from './ecdsa-digest.ts'
import { ed25519Public, ed25519Verify } from './ed25519.ts'
import type { Engine } from './engine.ts'
import { checkOption } from './options.ts'
import { decodeRsaSpki, encodeEcSpki, encodeEd25519Spki, publicKeyPem, type RsaPublicNumbers } from './pkcs8.ts'
import { publicPart } from './rsa.ts'
import type { PublicKey } from './signing.ts'
import type { TransitOptions } from './transit.ts'
import { isOther, type TransitHash, transitDigest, transitHashes, transitHashLength } from './transit-hash.ts'
import { derivedKey } from './transit-kdf.ts'
import { type TransitVersion, transitKinds } from './transit-material.ts'
import { verifyTransitRsa } from './transit-rsa.ts'

export interface TransitVerifying {
  /** Checks the options, which may be `INVALID_INPUT`, then signatures: their bytes. */
  prepare(input: Uint8Array, options: TransitOptions): (signature: Uint8Array) => boolean
  /** What plain signatures are made with unless the options say otherwise, if it is not what transit takes. */
  readonly plainHash?: HashAlgorithm
  /** Absent where each context has its own. */
  readonly publicKey?: () => PublicKey
}

type Prepare = TransitVerifying['prepare']

/** Undefined for types that do not sign. */
export function transitVerifying(
  engine: Engine,
  keyType: TransitKeyType,
  facts: TransitVersion,
): TransitVerifying | undefined {
  const kind = transitKinds[keyType]
  switch (kind.is) {
    case 'ed25519':
      return facts.derivation === 'none' ? ed25519(engine, facts) : derivedEd25519(engine, facts)
    case 'ecdsa':
      return ecdsa(engine, keyType, kind.curve, facts)
    case 'rsa':
      return rsa(engine, keyType, publicPart(kind.native, facts.key))
    default:
      return undefined
  }
}

function ed25519(engine: Engine, { key }: TransitVersion): TransitVerifying {
  const publicKey = ed25519Public(engine, key)
  const verify = ed25519Verify(engine, publicKey)
  return {
    prepare(input, options) {
      checkEd25519(options)
      return (signature) => verify(input, signature)
    },
    publicKey: () => ({ spki: encodeEd25519Spki(publicKey), text: toBase64(publicKey) }),
  }
}

/** Its keys come from the context: 32 bytes of HKDF over all 64 of Go's private key. */
function derivedEd25519(engine: Engine, facts: TransitVersion): TransitVerifying {
  return {
    prepare(input, options) {
      checkEd25519(options)
      if (options.context === undefined || options.context.length === 0)
        throw new KmsError(
          'UNSUPPORTED_OPERATION',
          'this Ed25519 key is derived for each context, which verify does not take: let Vault or OpenBao verify its signatures',
        )
      const { context } = options
      return (signature) => {
        const seed = derivedKey(engine, facts, context, 32)
        const publicKey = ed25519Public(engine, seed)
        wipe(seed)
        return ed25519Verify(engine, publicKey)(input, signature)
      }
    },
  }
}

function checkEd25519({ hashAlgorithm, prehashed, padding }: TransitOptions): void {
  checkOption('transit-ed25519', 'hashAlgorithm', hashAlgorithm, [])
  checkOption('transit-ed25519', 'prehashed', prehashed, [false])
  checkOption('transit-ed25519', 'padding', padding, [])
}

function ecdsa(engine: Engine, keyType: TransitKeyType, curve: Curve, { key }: TransitVersion): TransitVerifying {
  const pair = engine.ecdsa(curve, key)
  const { publicKey } = pair
  pair.destroy()
  const equation = engine.ecdsaVerifier(curve, publicKey)
  const prepare: Prepare = (input, { hashAlgorithm: hash = 'sha256', prehashed = false, padding, format }) => {
    checkOption(keyType, 'hashAlgorithm', hash, transitHashes)
    checkOption(keyType, 'padding', padding, [])
    const known = hash as TransitHash // one of `transitHashes`
    const digest = digestOf(engine, known, prehashed, input)
    return (signature) => {
      const parsed = format === 'ieee-p1363' ? parseP1363(curve, signature) : parseDer(curve, signature)
      if (parsed === undefined) return false
      if (prehashed || isOther(known)) return verifyDigest(curve, publicKey, digest(), parsed)
      return equation?.(known, input, parsed) ?? false
    }
  }
  return {
    prepare,
    plainHash: curve.hashAlgorithm,
    publicKey() {
      const spki = encodeEcSpki(curve, publicKey)
      return { spki, text: publicKeyPem(spki) }
    },
  }
}

function rsa(engine: Engine, keyType: TransitKeyType, spki: Uint8Array | undefined): TransitVerifying | undefined {
  const numbers: RsaPublicNumbers | undefined = spki && decodeRsaSpki(spki)
  if (spki === undefined || numbers === undefined) return undefined
  return {
    prepare(input, { hashAlgorithm: hash = 'sha256', prehashed = false, padding = 'pss' }) {
      checkOption(keyType, 'hashAlgorithm', hash, [...transitHashes, 'none'])
      if (hash === 'none' && (padding !== 'pkcs1v15' || !prehashed))
        throw new KmsError('INVALID_INPUT', "hashAlgorithm 'none' goes with pkcs1v15 and a prehashed input")
      const digest = hash === 'none' ? () => input : digestOf(engine, hash, prehashed, input)
      return (signature) => verifyTransitRsa(engine, numbers, { padding, hash, digest: digest() }, signature)
    },
    publicKey: () => ({ spki: spki.slice(), text: publicKeyPem(spki) }),
  }
}

/** Not made before it is wanted: of a key's versions, a signature names one. */
function digestOf(engine: Engine, hash: TransitHash, prehashed: boolean, input: Uint8Array): () => Uint8Array {
  if (!prehashed) return () => transitDigest(engine, hash, input)
  if (input.length === transitHashLength(hash)) return () => input
  const expected = `${transitHashLength(hash)} bytes of ${hash}`
  throw new KmsError('INVALID_INPUT', `a prehashed input must be ${expected}, not ${input.length} bytes`)
}
