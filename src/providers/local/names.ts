/** Names that nobody chose. */
import { randomBytes } from '../../crypto/random.ts'

/** Small letters and digits, five random bits each. */
export function randomName(length: number): string {
  return Array.from(randomBytes(length), (byte) => 'abcdefghijklmnopqrstuvwxyz234567'[byte & 31]).join('')
}
