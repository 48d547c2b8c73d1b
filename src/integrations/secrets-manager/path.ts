/** Paths of secrets, which are their identity. */
import { KmsError } from '../../model/errors.ts'

/** Segments of these characters, each behind a slash. `.` and `..` are segments like any other: no path is ever walked. */
const pathPattern = /^(?:\/[A-Za-z0-9_.+-]+)+$/
const prefixPattern = /^\/[A-Za-z0-9_.+/-]*$/
const maxLength = 512

/** @throws KmsError `INVALID_INPUT`. */
export function checkPath(value: unknown): string {
  if (typeof value === 'string' && value.length <= maxLength && pathPattern.test(value)) return value
  throw new KmsError(
    'INVALID_INPUT',
    `'path' must begin with / and be 2–${maxLength} letters, digits or / _ - . +, without // and without / at the end`,
  )
}

/** What paths of a list begin with. */
export function checkPrefix(name: string, value: unknown): string {
  if (typeof value === 'string' && value.length <= maxLength && prefixPattern.test(value) && !value.includes('//'))
    return value
  throw new KmsError('INVALID_INPUT', `'${name}' must be the beginning of a path, such as /database/`)
}

/** What an entry tells of what was asked for: nothing that does not look like a path, which may be a value in the wrong place. */
export function askedPath(value: unknown): string | undefined {
  return typeof value === 'string' && value.length <= maxLength && prefixPattern.test(value) ? value : undefined
}
