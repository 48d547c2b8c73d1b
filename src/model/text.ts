/** Measures of text: UTF-8 length, and the cap that keeps a caller's string from swelling an entry. */

/** Bytes of `text` in UTF-8, or -1 if it holds a lone surrogate and so has no UTF-8 form. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x80) continue
    if (unit < 0x800) bytes += 1
    else if (unit < 0xd800 || unit > 0xdfff) bytes += 2
    else {
      const next = text.charCodeAt(at + 1)
      if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return -1
      // Four bytes for the two units that `text.length` counted.
      bytes += 2
      at += 1
    }
  }
  return bytes
}

/** `text`, or its first `max` characters marked `…#<length>`; a surrogate pair is never split. */
export function capText(text: string, max: number): string {
  if (text.length <= max) return text
  const last = text.charCodeAt(max - 1)
  const end = last >= 0xd800 && last <= 0xdbff ? max - 1 : max
  return `${text.slice(0, end)}…#${text.length}`
}
