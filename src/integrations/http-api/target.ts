/** A request's target, taken apart as it was sent: nothing is normalised, so that no two paths mean the same. */
import { invalid } from './failure.ts'

export interface Target {
  /** Between the slashes, still percent-encoded. */
  readonly segments: readonly string[]
  readonly query: string
}

/** Of an absolute URL or of path and query. A fragment is not sent by anyone, and belongs to no path. */
export function targetOf(url: string): Target {
  const [withoutFragment = ''] = url.split('#', 1)
  const local = withoutFragment.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, '')
  const at = local.indexOf('?')
  const path = at < 0 ? local : local.slice(0, at)
  return { segments: path.split('/').slice(1), query: at < 0 ? '' : local.slice(at + 1) }
}

/** Percent-decoded, UTF-8. @throws KmsError `INVALID_INPUT` for what is no such text, or holds control characters. */
export function decoded(what: string, text: string): string {
  const plain = decode(text)
  if (plain === undefined || plain === '' || /[\u0000-\u001f\u007f]/.test(plain))
    throw invalid(`${what} must be text in percent-encoded UTF-8`)
  return plain
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

const longestQuery = 4096

/** The parameters, each at most once. @throws KmsError `INVALID_INPUT`. */
export function parametersOf(query: string, names: readonly string[]): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  if (query.length > longestQuery) throw invalid(`the query must be at most ${longestQuery} characters`)
  for (const pair of query === '' ? [] : query.split('&')) {
    const at = pair.indexOf('=')
    const name = at < 0 ? pair : pair.slice(0, at)
    if (!names.includes(name)) throw invalid(`the query takes ${names.join(', ') || 'no parameters'}`)
    if (at < 0 || parameters.has(name)) throw invalid(`'${name}' must be given once, with a value`)
    parameters.set(name, decoded(`'${name}'`, pair.slice(at + 1).replaceAll('+', ' ')))
  }
  return parameters
}
