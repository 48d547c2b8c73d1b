/** How one key is named by an ARN, an id, an alias: told apart only where both sides say the same kind of name. */

/** What is known of a key: its id, its alias, or nothing. */
export interface NamedKey {
  /** UUID, or `mrk-` and 32 hexadecimal digits. */
  readonly id?: string
  /** Without `alias/`. */
  readonly alias?: string
}

const idPattern = /(?:^|[:/-])((?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})|mrk-[0-9a-f]{32})$/i
const aliasPattern = /(?:^|:)alias\/(.+)$/s

/** Of an ARN of a key or an alias, a key id, or `alias/NAME`. */
export function namedKey(name: string | undefined): NamedKey {
  if (name === undefined) return {}
  const alias = aliasPattern.exec(name)?.[1]
  if (alias !== undefined) return { alias }
  const id = idPattern.exec(name)?.[1]
  return id === undefined ? {} : { id: id.toLowerCase() }
}

export function isSameKey(a: NamedKey, b: NamedKey): boolean | undefined {
  if (a.id !== undefined && b.id !== undefined) return a.id === b.id
  if (a.alias !== undefined && b.alias !== undefined) return a.alias === b.alias
  return undefined
}
