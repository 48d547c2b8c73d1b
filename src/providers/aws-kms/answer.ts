/** An answer of AWS KMS, read field by field: what is missing or of another type is the service's failure, never a value. */
import { copyOf } from '../../crypto/bytes.ts'
import { type Evidence, KmsError } from '../../model/errors.ts'
import type { ProviderTrace } from '../../model/operation.ts'

export interface Answer {
  readonly trace: ProviderTrace
  /** The service's plain no: a signature or MAC that is not valid. */
  readonly isNo: boolean
  /** A text that is not empty. */
  text(name: string): string
  optionalText(name: string): string | undefined
  /** Bytes that own their whole ArrayBuffer; at least one. */
  bytes(name: string): Uint8Array
  /** The same, and what the SDK decoded, which may stand in a buffer that others share, is wiped. */
  secret(name: string): Uint8Array
  flag(name: string): boolean
  optionalFlag(name: string): boolean | undefined
  optionalNumber(name: string): number | undefined
  /** RFC 3339, UTC. */
  optionalTime(name: string): string | undefined
  part(name: string): Answer
  /** Absent is empty. */
  parts(name: string): readonly Answer[]
  /** Refuses an answer about another key than the one asked about. */
  demandKey(identity: string, name?: string): void
  /** What is wrong with it, as an error to throw. */
  bad(what: string): KmsError
}

export interface AnswerFacts {
  /** The command it answers. */
  readonly command: string
  readonly trace: ProviderTrace
  /** Whether a change may have been made, although the answer cannot be read. */
  readonly changes: boolean
  readonly isNo?: boolean
}

export function answerOf(value: unknown, facts: AnswerFacts): Answer {
  const { command, trace, changes, isNo = false } = facts

  function bad(what: string): KmsError {
    const evidence: Evidence = changes ? { ...trace, unsettled: true } : trace
    return new KmsError('PROVIDER_UNAVAILABLE', `the answer of AWS KMS to ${command} has ${what}`, { evidence })
  }

  function isRecord(one: unknown): one is Readonly<Record<string, unknown>> {
    return typeof one === 'object' && one !== null && !Array.isArray(one)
  }

  if (!isRecord(value)) throw bad('no fields')
  const fields = value
  /** AWS leaves out what it does not tell; null is the same. */
  const field = (name: string): unknown => fields[name] ?? undefined

  function optional<T>(name: string, is: (one: unknown) => one is T): T | undefined {
    const found = field(name)
    if (found === undefined) return undefined
    if (!is(found)) throw bad(`a '${name}' of the wrong type`)
    return found
  }
  function required<T>(name: string, is: (one: unknown) => one is T): T {
    const found = optional(name, is)
    if (found === undefined) throw bad(`no '${name}'`)
    return found
  }

  const isText = (one: unknown): one is string => typeof one === 'string'
  const isFlag = (one: unknown): one is boolean => typeof one === 'boolean'
  const isNumber = (one: unknown): one is number => Number.isFinite(one)
  const isBytes = (one: unknown): one is Uint8Array => one instanceof Uint8Array && one.length > 0
  const isTime = (one: unknown): one is Date => one instanceof Date && !Number.isNaN(one.getTime())
  const isList = (one: unknown): one is readonly unknown[] => Array.isArray(one)

  function text(name: string): string {
    const found = required(name, isText)
    if (found === '') throw bad(`an empty '${name}'`)
    return found
  }

  return {
    trace,
    isNo,
    bad,
    text,
    optionalText: (name) => optional(name, isText),
    bytes: (name) => copyOf(required(name, isBytes)),
    secret(name) {
      const found = required(name, isBytes)
      const own = copyOf(found)
      found.fill(0)
      return own
    },
    flag: (name) => required(name, isFlag),
    optionalFlag: (name) => optional(name, isFlag),
    optionalNumber: (name) => optional(name, isNumber),
    optionalTime: (name) => optional(name, isTime)?.toISOString(),
    part: (name) => answerOf(required(name, isRecord), facts),
    parts: (name) => (optional(name, isList) ?? []).map((one) => answerOf(one, facts)),
    demandKey(identity, name = 'KeyId') {
      const told = text(name)
      if (told !== identity && !identity.endsWith(`:key/${told}`)) throw bad(`another '${name}' than was asked for`)
    },
  }
}
