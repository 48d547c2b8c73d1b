/** The parameter sets of ML-DSA (FIPS 204 §4) as a table. */

export type MlDsaName = 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87'

export interface MlDsaFacts {
  /** RFC 9881 §2, dotted. */
  readonly oid: string
  readonly publicKeyLength: number
  /** Of the expanded private key, which the 32-byte seed determines. */
  readonly secretKeyLength: number
  readonly signatureLength: number
}

/** FIPS 204, table 2. */
export const mlDsaSets: { readonly [N in MlDsaName]: MlDsaFacts } = {
  'ml-dsa-44': {
    oid: '2.16.840.1.101.3.4.3.17',
    publicKeyLength: 1312,
    secretKeyLength: 2560,
    signatureLength: 2420,
  },
  'ml-dsa-65': {
    oid: '2.16.840.1.101.3.4.3.18',
    publicKeyLength: 1952,
    secretKeyLength: 4032,
    signatureLength: 3309,
  },
  'ml-dsa-87': {
    oid: '2.16.840.1.101.3.4.3.19',
    publicKeyLength: 2592,
    secretKeyLength: 4896,
    signatureLength: 4627,
  },
}

/** FIPS 204 §6.1: ξ. */
export const mlDsaSeedLength = 32
