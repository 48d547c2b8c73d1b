/** From method and path to an endpoint. */
import type { EndpointFacts } from './endpoints.ts'

/** Segments as they were sent, percent-encoded still. */
export interface Match<E> {
  readonly endpoint: E
  readonly region: string | undefined
  readonly key: string | undefined
}

/** There is no such path; or there is, for the methods in `allow`. */
export interface NoMatch {
  readonly endpoint: undefined
  readonly allow: readonly string[]
}

export function matchRoute<E extends EndpointFacts>(
  endpoints: readonly E[],
  method: string,
  segments: readonly string[],
): Match<E> | NoMatch {
  const allow: string[] = []
  for (const endpoint of endpoints) {
    const places = placesIn(endpoint.template, segments)
    if (places === undefined) continue
    if (endpoint.method === method) return { endpoint, region: places['{region}'], key: places['{id}'] }
    allow.push(endpoint.method)
  }
  return { endpoint: undefined, allow }
}

/** What stands where the template has braces; undefined if it does not fit. No segment is empty. */
function placesIn(template: string, segments: readonly string[]): Readonly<Record<string, string>> | undefined {
  const parts = template.split('/').slice(1)
  if (parts.length !== segments.length) return undefined
  const places: Record<string, string> = {}
  for (const [at, part] of parts.entries()) {
    const segment = segments[at] ?? ''
    if (part.startsWith('{') && segment !== '') places[part] = segment
    else if (part !== segment) return undefined
  }
  return places
}
