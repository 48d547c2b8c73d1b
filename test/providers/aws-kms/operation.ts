/** @node A request's body as its operation reads it. */
import { invalid } from './refusal.ts'

/** Checked against the model already: what is there has its type. */
export interface RequestBody {
  text(name: string): string | undefined
  required(name: string): string
  number(name: string): number | undefined
  flag(name: string): boolean
  bytes(name: string): Buffer
  map(name: string): Readonly<Record<string, string>>
  list(name: string): readonly unknown[]
  has(name: string): boolean
}

/** Members that are bytes are Buffers; the endpoint writes them as base64. Undefined for operations that answer nothing. */
export type AnswerBody = Readonly<Record<string, unknown>> | undefined

export type Handler = (body: RequestBody) => AnswerBody | Promise<AnswerBody>

export function requestBody(fields: Readonly<Record<string, unknown>>): RequestBody {
  const text = (name: string) => {
    const value = fields[name]
    return typeof value === 'string' ? value : undefined
  }
  return {
    text,
    required(name) {
      const value = text(name)
      if (value === undefined) throw invalid(name, 'Member must not be null')
      return value
    },
    number(name) {
      const value = fields[name]
      return typeof value === 'number' ? value : undefined
    },
    flag: (name) => fields[name] === true,
    bytes: (name) => Buffer.from(text(name) ?? '', 'base64'),
    // The model's validator has seen that it is a map of texts.
    map: (name) => (fields[name] ?? {}) as Readonly<Record<string, string>>,
    list: (name) => (Array.isArray(fields[name]) ? fields[name] : []),
    has: (name) => fields[name] !== undefined,
  }
}
