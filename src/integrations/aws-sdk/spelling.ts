/** AWS's names of key types and algorithms, in the words of our entries. */

const keySpecs: Readonly<Record<string, string>> = {
  SYMMETRIC_DEFAULT: 'aes256-gcm96',
  ECC_NIST_P256: 'ecdsa-p256',
  ECC_NIST_P384: 'ecdsa-p384',
  ECC_NIST_P521: 'ecdsa-p521',
  ECC_SECG_P256K1: 'ecdsa-secp256k1',
  ECC_NIST_EDWARDS25519: 'ed25519',
  RSA_2048: 'rsa-2048',
  RSA_3072: 'rsa-3072',
  RSA_4096: 'rsa-4096',
  ML_DSA_44: 'ml-dsa-44',
  ML_DSA_65: 'ml-dsa-65',
  ML_DSA_87: 'ml-dsa-87',
  HMAC_256: 'hmac-sha256',
  HMAC_384: 'hmac-sha384',
  HMAC_512: 'hmac-sha512',
}

/** Algorithms that only keys of one type have. `ECDSA_SHA_256` is not among them: two curves have it. */
const typeOfAlgorithm: Readonly<Record<string, string>> = {
  SYMMETRIC_DEFAULT: 'aes256-gcm96',
  ECDSA_SHA_384: 'ecdsa-p384',
  ECDSA_SHA_512: 'ecdsa-p521',
  ED25519_SHA_512: 'ed25519',
  ED25519_PH_SHA_512: 'ed25519',
  SM2DSA: 'aws:SM2',
  SM2PKE: 'aws:SM2',
  HMAC_SHA_224: 'aws:HMAC_224',
  HMAC_SHA_256: 'hmac-sha256',
  HMAC_SHA_384: 'hmac-sha384',
  HMAC_SHA_512: 'hmac-sha512',
}

/** FIPS 204 table 2: each parameter set has its own length of signature. */
const mlDsaSignatures: Readonly<Record<number, string>> = { 2420: 'ml-dsa-44', 3309: 'ml-dsa-65', 4627: 'ml-dsa-87' }

/** `aws:…` for one that has no name of ours. */
export function keyTypeOfSpec(keySpec: string | undefined): string | undefined {
  if (keySpec === undefined || !isName.test(keySpec)) return undefined
  return Object.hasOwn(keySpecs, keySpec) ? keySpecs[keySpec] : `aws:${keySpec}`
}

/**
 * The type of the key, if the algorithm tells. For RSA and ML-DSA `length` does: of the signature or the ciphertext, which
 * is as long as the modulus (RFC 8017 §7.1, §8).
 */
export function keyTypeOfAlgorithm(algorithm: string | undefined, length: number | undefined): string | undefined {
  if (algorithm === undefined) return undefined
  if (Object.hasOwn(typeOfAlgorithm, algorithm)) return typeOfAlgorithm[algorithm]
  if (length === undefined) return undefined
  if (algorithm.startsWith('RSA') && length >= 256 && length <= 512) return `rsa-${8 * length}`
  if (algorithm.startsWith('ML_DSA')) return mlDsaSignatures[length]
  return undefined
}

/** `RSASSA_PSS_SHA_256` is `pss-sha256`, `ECDSA_SHA_256` and `HMAC_SHA_256` are `sha256`, as a `KmsClient` records them. */
export function algorithmOf(algorithm: string | undefined): string | undefined {
  if (algorithm === undefined || algorithm === 'SYMMETRIC_DEFAULT') return undefined
  const [, family = '', bits] = /^(ECDSA|HMAC|RSASSA_PSS|RSASSA_PKCS1_V1_5|RSAES_OAEP)_SHA_(\d+)$/.exec(algorithm) ?? []
  if (bits === undefined) return ourSpelling(algorithm)
  const padding = paddings[family]
  return padding === undefined ? `sha${bits}` : `${padding}-sha${bits}`
}

const paddings: Readonly<Record<string, string>> = {
  RSASSA_PSS: 'pss',
  RSASSA_PKCS1_V1_5: 'pkcs1v15',
  RSAES_OAEP: 'oaep',
}

const isName = /^\w{1,48}$/

function ourSpelling(name: string): string | undefined {
  return isName.test(name) ? name.toLowerCase().replaceAll('_', '-') : undefined
}
