/** Results as one line of JSON: bytes as base64, and code points that a terminal might act upon escaped. */
import { toBase64 } from '../crypto/bytes.ts'
import { jsonText } from '../model/line.ts'

export function toJson(value: unknown): string {
  if (typeof value === 'string') return jsonText(value)
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Uint8Array) return jsonText(toBase64(value))
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  return `{${fields.map(([name, field]) => `${jsonText(name)}:${toJson(field)}`).join(',')}}`
}
