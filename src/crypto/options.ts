/** How to sign or authenticate: the options, and the refusal of those that make no sense for a key type. */
import { KmsError } from '../model/errors.ts'
import type { ImportableKeyType } from '../model/key.ts'
import type { HashAlgorithm, SignatureFormat, SignaturePadding } from '../model/operation.ts'

export interface SignatureOptions {
  readonly hashAlgorithm?: HashAlgorithm | undefined
  /** The input is the digest already: its length is checked, and it is not hashed again. */
  readonly prehashed?: boolean | undefined
  readonly format?: SignatureFormat | undefined
  readonly padding?: SignaturePadding | undefined
}

export const digestLength: { readonly [H in HashAlgorithm]: number } = { sha256: 32, sha384: 48, sha512: 64 }

const nothing: readonly string[] = []
const unhashed: readonly boolean[] = [false]

/** For key types that hash by themselves, in one way, and have one form of signature. */
export function checkNoOptions(keyType: ImportableKeyType, options: SignatureOptions | undefined): void {
  if (options === undefined) return
  checkOption(keyType, 'hashAlgorithm', options.hashAlgorithm, nothing)
  checkOption(keyType, 'prehashed', options.prehashed, unhashed)
  checkOption(keyType, 'format', options.format, nothing)
  checkOption(keyType, 'padding', options.padding, nothing)
}

/** Refuses, with `INVALID_INPUT`, a value of `option` that is not among `allowed`; undefined is always fine. */
export function checkOption(
  keyType: ImportableKeyType,
  option: keyof SignatureOptions,
  value: unknown,
  allowed: readonly (string | boolean)[],
): void {
  if (value === undefined || allowed.some((one) => one === value)) return
  const what = allowed.length === 0 ? 'is not taken' : `must be ${allowed.join(', ')} or absent`
  throw new KmsError('INVALID_INPUT', `${option} ${what} for ${keyType} keys`)
}

/** Refuses, with `INVALID_INPUT`, a prehashed input that is not as long as the digest it is said to be. */
export function checkDigest(hashAlgorithm: HashAlgorithm, input: Uint8Array): void {
  if (input.length === digestLength[hashAlgorithm]) return
  const expected = `${digestLength[hashAlgorithm]} bytes of ${hashAlgorithm}`
  throw new KmsError('INVALID_INPUT', `a prehashed input must be ${expected}, not ${input.length} bytes`)
}
