/** The names of a key: its ARN is the identity, an alias the slug. */

const keyId = /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/

/** What AWS is asked for: an ARN, `alias/…` and a key id as they are, anything else as the alias of that slug. */
export function keyIdOf(name: string): string {
  return name.startsWith('arn:') || name.startsWith('alias/') || keyId.test(name) ? name : aliasOf(name)
}

export function aliasOf(slug: string): string {
  return `alias/${slug}`
}

/** The slug of an alias; the whole alias where the slug alone would name something else. */
export function slugOf(alias: string): string {
  const slug = alias.startsWith('alias/') ? alias.slice('alias/'.length) : alias
  return keyIdOf(slug) === alias ? slug : alias
}

export interface Alias {
  readonly name: string
  readonly createdAt: string
}

/**
 * The one slug of a key, whatever it was asked for by, so that a rule on a slug cannot be passed by another alias: its
 * oldest alias, of equally old ones the first by name; its key id without any.
 */
export function slugAmong(aliases: readonly Alias[], id: string): string {
  const [first] = aliases.toSorted((a, b) => compare(a.createdAt, b.createdAt) || compare(a.name, b.name))
  return first === undefined ? id : slugOf(first.name)
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
