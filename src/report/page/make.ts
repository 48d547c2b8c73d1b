/** Elements with text in them: the only way in which this page makes any. */

/** `attributes` as they stand in HTML; text is text, whatever it says. */
export function make<N extends keyof HTMLElementTagNameMap>(
  name: N,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[N] {
  const element = document.createElement(name)
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value)
  element.append(...children)
  return element
}

/** A name that somebody chose, no longer than a line. */
export function brief(name: string): string {
  return name.length > 60 ? `${name.slice(0, 60)}…` : name
}

/** `12,345`. */
export function counted(count: number): string {
  return count.toLocaleString('en-US')
}
