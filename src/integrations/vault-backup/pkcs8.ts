/**
 * Two forms of PKCS#8 that Vault and OpenBao import and `importKey` does not: Ed25519 as NSS writes it, in the envelope of an
 * elliptic curve key, and RSA under the object identifier of RSASSA-PSS.
 */
import { wipe } from '../../crypto/bytes.ts'
import { encodeDer, integer, objectIdentifier, readDer, sequence, tags } from '../../crypto/der.ts'
import { decodeRsaPkcs8, encodeEd25519Pkcs8, encodeRsaPkcs8 } from '../../crypto/pkcs8.ts'
import { KmsError } from '../../model/errors.ts'

const version = (value: number) => encodeDer(integer(Uint8Array.of(value)))
// GnuTLS' number for the curve; RFC 8410 came later.
const nssEd25519 = encodeDer(
  sequence(objectIdentifier('1.2.840.10045.2.1'), objectIdentifier('1.3.6.1.4.1.11591.15.1')),
)
// RFC 8017 §A.2.3, here without the parameters that would bind the key to one digest.
const rsaPss = encodeDer(sequence(objectIdentifier('1.2.840.113549.1.1.10')))
const rsaPlain = encodeDer(sequence(objectIdentifier('1.2.840.113549.1.1.1'), { tag: tags.null, contents: [] }))
const publicKeyTag = 0xa1

/**
 * The same key in the form that `importKey` takes as `pkcs8`: bytes that the caller owns, and wipes. `INVALID_INPUT` for anything
 * but these two forms. An RSA key loses what the other identifier said: that it is for PSS alone.
 */
export function usualPkcs8(pkcs8: Uint8Array): Uint8Array {
  if (!(pkcs8 instanceof Uint8Array)) throw new KmsError('INVALID_INPUT', "'pkcs8' must be a Uint8Array: DER, not PEM")
  const seed = nssSeed(pkcs8)
  const usual = seed === undefined ? rsaKey(pkcs8) : encodeEd25519Pkcs8(seed)
  if (usual !== undefined) return usual
  throw new KmsError(
    'INVALID_INPUT',
    'this is neither an Ed25519 key as NSS writes it nor an RSA key under the identifier of RSASSA-PSS',
  )
}

/** A view of the seed. Beside it stands the X25519 public key of the same bytes, which says nothing of this one. */
function nssSeed(pkcs8: Uint8Array): Uint8Array | undefined {
  const found = readDer(pkcs8, (from) =>
    from.within(tags.sequence, () => {
      from.expect(version(0))
      from.expect(nssEd25519)
      return from.within(tags.octetString, () =>
        from.within(tags.sequence, () => {
          from.expect(version(1))
          const seed = from.take(tags.octetString)
          return { seed, publicKey: from.within(publicKeyTag, () => from.withinBits(() => from.rest())) }
        }),
      )
    }),
  )
  return found?.seed.length === 32 && found.publicKey.length === 32 ? found.seed : undefined
}

function rsaKey(pkcs8: Uint8Array): Uint8Array | undefined {
  const key = readDer(pkcs8, (from) =>
    from.within(tags.sequence, () => {
      from.expect(version(0))
      from.expect(rsaPss)
      return from.take(tags.octetString)
    }),
  )
  if (key === undefined) return undefined
  const plain = encodeDer(sequence(version(0), rsaPlain, { tag: tags.octetString, contents: [key] }))
  const parts = decodeRsaPkcs8(plain)
  wipe(plain)
  if (parts === undefined) return undefined
  const usual = encodeRsaPkcs8(parts)
  const { d, p, q, dp, dq, qi } = parts
  wipe(d, p, q, dp, dq, qi)
  return usual
}
