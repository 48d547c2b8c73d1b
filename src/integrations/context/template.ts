/** A route's template as routers write it, for an entry. */

/** Without the marks of optional parameters: a question mark would be taken for a query's. */
export function templateOf(url: string | undefined): string | undefined {
  return url?.replace(/[?#]/g, '') || undefined
}
