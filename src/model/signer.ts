/** What signs a trail's checkpoints. */

/** An Ed25519 signing key outside the trail's own directory. */
export interface Signer {
  /** Raw public key, 32 bytes (RFC 8032). */
  readonly publicKey: Uint8Array
  /** Ed25519 signature over `message`, 64 bytes. */
  sign(message: Uint8Array): Uint8Array
  /** The key before this one, as long as it is kept: a trail that it still signs is handed over to this one. */
  readonly previous?: Signer
}
