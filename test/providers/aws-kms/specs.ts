/** What the service knows of each key spec: AWS's documentation as a table. */

export type Usage = 'ENCRYPT_DECRYPT' | 'SIGN_VERIFY' | 'GENERATE_VERIFY_MAC' | 'KEY_AGREEMENT'

export interface Spec {
  readonly usages: readonly Usage[]
  readonly encryption?: readonly string[]
  readonly signing?: readonly string[]
  readonly macs?: readonly string[]
  /** For node:crypto. */
  readonly curve?: string
  readonly bits?: number
  /** Of an HMAC key, and its digest. */
  readonly bytes?: number
}

const rsaSigning = ['PKCS1_V1_5', 'PSS'].flatMap((padding) =>
  ['256', '384', '512'].map((bits) => `RSASSA_${padding}_SHA_${bits}`),
)

const rsa = (bits: number): Spec => ({
  usages: ['ENCRYPT_DECRYPT', 'SIGN_VERIFY'],
  encryption: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'],
  signing: rsaSigning,
  bits,
})
const nist = (curve: string, hash: string): Spec => ({
  usages: ['SIGN_VERIFY', 'KEY_AGREEMENT'],
  signing: [`ECDSA_SHA_${hash}`],
  curve,
})
const hmac = (bits: number): Spec => ({
  usages: ['GENERATE_VERIFY_MAC'],
  macs: [`HMAC_SHA_${bits}`],
  bytes: bits / 8,
})

export const specs: Readonly<Record<string, Spec>> = {
  SYMMETRIC_DEFAULT: { usages: ['ENCRYPT_DECRYPT'], encryption: ['SYMMETRIC_DEFAULT'] },
  RSA_2048: rsa(2048),
  RSA_3072: rsa(3072),
  RSA_4096: rsa(4096),
  ECC_NIST_P256: nist('prime256v1', '256'),
  ECC_NIST_P384: nist('secp384r1', '384'),
  ECC_NIST_P521: nist('secp521r1', '512'),
  ECC_SECG_P256K1: { usages: ['SIGN_VERIFY'], signing: ['ECDSA_SHA_256'], curve: 'secp256k1' },
  HMAC_224: hmac(224),
  HMAC_256: hmac(256),
  HMAC_384: hmac(384),
  HMAC_512: hmac(512),
}
