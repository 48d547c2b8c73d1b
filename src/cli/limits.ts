/** How much a verb reads: more than the library's default for one payload, because here a payload is a file. */

/** Bytes of plaintext, or of what is signed or authenticated. The file is held in memory, about four times over. */
export const largestInput: number = 256 * 1024 * 1024
/** A ciphertext of so much, in the text spelling: four characters for three bytes. */
export const largestCiphertext: number = Math.ceil(((largestInput + 1024) * 4) / 3) + 64
/** A signature or HMAC, raw or in base64. */
export const largestSignature: number = 16 * 1024
