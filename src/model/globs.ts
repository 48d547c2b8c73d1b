/** Patterns in which `*` stands for any characters, also none; all else for itself. Case counts, the whole text must match. */

/** Some patterns, of which one must match. */
export interface Globs {
  /** Whether one of them is `*` alone, which matches whatever there is. */
  readonly all: boolean
  matches(text: string): boolean
}

/** Takes time in proportion to the text times the pattern at worst: nothing is tried twice. */
export function compileGlobs(patterns: readonly string[]): Globs {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const wild = patterns.filter((pattern) => pattern.includes('*')).map(compileGlob)
  const all = patterns.includes('*')
  return {
    all,
    matches(text) {
      if (all || exact.has(text)) return true
      for (const matches of wild) if (matches(text)) return true
      return false
    },
  }
}

function compileGlob(pattern: string): (text: string) => boolean {
  const parts = pattern.split('*')
  const [start = '', end = ''] = [parts[0], parts.at(-1)]
  const middle = parts.slice(1, -1)
  return (text) => {
    if (!text.startsWith(start) || !text.endsWith(end)) return false
    // The first place where a part stands leaves the most room for those after it.
    let at = start.length
    for (const part of middle) {
      const found = text.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return at <= text.length - end.length
  }
}
