/** The template of the route that Express is serving. */

/** What of an Express request tells its route. */
export interface ExpressRouting {
  /** The part of the path that mounts have matched, as it is in the URL. */
  baseUrl: string
  /** Parameters of what was matched last. */
  readonly params: Readonly<Record<string, unknown>>
  readonly route?: { readonly path?: unknown } | undefined
}

/** By request: templates of its mounts, by what they have matched. */
const mounts = new WeakMap<object, Map<string, string>>()

/**
 * Looks on as routers are entered. Express keeps no template of a mount, only what it has matched: its parameters are known at
 * the moment in which `baseUrl` is set, and those of an inner router replace them right after.
 */
export function watchMounts(request: ExpressRouting): void {
  if (mounts.has(request)) return
  let { baseUrl } = request
  // Whoever mounts this inside a router has passed some already.
  const templates = new Map([
    ['', ''],
    [baseUrl, hidden(baseUrl)],
  ])
  mounts.set(request, templates)
  Object.defineProperty(request, 'baseUrl', {
    configurable: true,
    enumerable: true,
    get: () => baseUrl,
    set(next: string) {
      const above = templates.get(baseUrl)
      if (above !== undefined && next.length > baseUrl.length && next.startsWith(baseUrl))
        templates.set(next, above + templateOf(next.slice(baseUrl.length), request.params))
      baseUrl = next
    },
  })
}

/** The template, or undefined before a route is reached, and for one that is a regular expression. */
export function expressRoute(request: ExpressRouting): string | undefined {
  const path = request.route?.path
  const paths: readonly unknown[] = Array.isArray(path) ? path.flat() : [path]
  const known = paths.filter((one) => typeof one === 'string')
  if (known.length === 0 || known.length < paths.length) return undefined
  const base = mounts.get(request)?.get(request.baseUrl) ?? hidden(request.baseUrl)
  return known.map((one) => (base !== '' && one === '/' ? base : base + one)).join(' or ')
}

/** `matched` with the names of `params` in place of their values. */
function templateOf(matched: string, params: Readonly<Record<string, unknown>>): string {
  const open = new Map(Object.entries(params).filter(([, value]) => value !== undefined))
  const segments = matched.split('/')
  const values = new Set(open.values())
  // A value that is also a part of the mount's own path, as whoever asks may choose it: which is which cannot be told.
  if (segments.filter((segment) => values.has(decoded(segment))).length > open.size) return hidden(matched)
  const named = segments.map((segment) => {
    for (const [name, value] of open) {
      if (decoded(segment) !== value) continue
      open.delete(name)
      return `:${name}`
    }
    return segment
  })
  // A parameter that is no whole segment is somewhere in there.
  return open.size === 0 ? named.join('/') : hidden(matched)
}

function hidden(matched: string): string {
  return matched.replace(/[^/]+/g, '*')
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch (error) {
    // Express would not have matched it.
    if (error instanceof URIError) return undefined
    throw error
  }
}
