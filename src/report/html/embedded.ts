/** A review as the JSON that lies in its page: nothing in it can end the element that it stands in. */
import { hex } from '../../crypto/bytes.ts'
import type { Review } from '../review.ts'
import { html, type Markup, trusted } from './markup.ts'

/** Sizes are numbers and roots hexadecimal, as `audit review --json` prints them. */
export function embedded(review: Review): Markup {
  const text = JSON.stringify(review, (_name, value: unknown) => {
    if (typeof value === 'bigint') return Number(value)
    return value instanceof Uint8Array ? hex(value) : value
  })
  // Within strings only, where an escape means the same: outside them JSON has none of these.
  const safe = text.replace(/[<>&\u007f-\uffff]/g, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return html`<script type="application/json" id="review">${trusted(safe)}</script>`
}
