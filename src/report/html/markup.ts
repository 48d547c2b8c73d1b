/**
 * HTML in which text stays text. Every string that goes into a template is escaped, and only what a template made is not:
 * nothing read from a file can be mistaken for that, since JSON has no symbols.
 */
import { jsonText } from '../../model/line.ts'

const made: unique symbol = Symbol('markup')

/** What `html` made. */
export interface Markup {
  readonly [made]: string
}

/** What may stand in a template: `undefined` and `false` are nothing. */
export type Piece = Markup | string | number | undefined | false | readonly Piece[]

/**
 * Markup with the pieces escaped, between tags and within quoted attributes alike. An attribute's value must stand in quotes.
 *
 * @example
 * ```ts
 * html`<td title="${name}">${name}</td>`
 * ```
 */
export function html(texts: TemplateStringsArray, ...pieces: readonly Piece[]): Markup {
  let out = texts[0] ?? ''
  for (let at = 0; at < pieces.length; at++) out += markupOf(pieces[at]) + (texts[at + 1] ?? '')
  return { [made]: out }
}

/** What a template made, as text. */
export function textOf(markup: Markup): string {
  return markup[made]
}

/** Markup that is ours as it stands, such as a built script: never anything from a trail. */
export function trusted(markup: string): Markup {
  return { [made]: markup }
}

/** Text from an entry, set apart so that its direction does not touch its neighbours; what is long is cut, and its length told. */
export function named(value: unknown, most = 120): Markup {
  const text = plainText(value)
  // Only of other scripts than ASCII can a letter have another direction.
  if (text.length <= most) return harmless.test(text) ? html`${text}` : html`<bdi>${text}</bdi>`
  return html`<bdi>${text.slice(0, most)}</bdi>… <small class="quiet">(${counted(text.length)} characters)</small>`
}

/** `12,345`; whatever else a file holds where a number should be, as it is. */
export function counted(value: unknown): string {
  return typeof value === 'number' ? value.toLocaleString('en-US') : plainText(value)
}

/** `1 key`, `2,000 keys`. */
export function plural(count: number, one: string, many: string = `${one}s`): string {
  return `${counted(count)} ${count === 1 ? one : many}`
}

function plainText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

function markupOf(piece: Piece): string {
  if (piece === undefined || piece === false) return ''
  if (Array.isArray(piece)) return piece.map(markupOf).join('')
  if (typeof piece === 'object' && piece !== null && made in piece) return piece[made]
  return escapedText(plainText(piece))
}

const harmless = /^[ !#-%(-;=?-~]*$/

/** With code points that hide or reorder text as `\uXXXX`, as everywhere, and without HTML's five characters. */
function escapedText(text: string): string {
  if (harmless.test(text)) return text
  // The JSON spelling, but quotes and backslashes as they are: in a page they end nothing.
  const shown = jsonText(text)
    .slice(1, -1)
    .replace(/\\(["\\])/g, '$1')
  return shown.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`)
}
