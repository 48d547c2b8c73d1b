/**
 * JSON Web Keys (RFC 7517): `oct` and `RSA` (RFC 7518 §6), `EC` (the same, and RFC 8812 for secp256k1), `OKP` for Ed25519
 * (RFC 8037), `AKP` for ML-DSA (RFC 9964). Between a JWK and the key material of a type stands the type's own encoding, whose
 * decoder judges whether the parts belong together.
 */
