/** Whether a request that failed can have arrived: what may be done twice, and what is not known to be undone, hang on it. */

/** Codes of the network's errors after which nothing can have arrived: no connection, or one that was not trusted. */
const codes: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])

/** By the `code` of a network error; false for what has none. */
export function neverArrived(code: unknown): boolean {
  return codes.has(code)
}
