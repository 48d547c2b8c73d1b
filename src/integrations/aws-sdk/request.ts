/**
 * What was asked for: read once, when the call is made. Nothing in it is ever a reason to refuse, for the service is
 * the judge; what an entry cannot tell is left out and flagged.
 */
import type { EncryptionContext, PayloadName } from '../../model/operation.ts'
import { utf8Length } from '../../model/text.ts'
import type { Command, SizeRule } from './commands.ts'
import { fieldOf, textOf } from './sdk.ts'

export interface SdkRequest {
  /** What goes on to the SDK: a copy of a plain object, so that what is recorded is what is sent. */
  readonly input: object
  /** How the key was named: id, ARN, `alias/…`, or an alias' ARN. */
  readonly key: string | undefined
  readonly encryptionContext: EncryptionContext | undefined
  readonly sizes: Sizes
  readonly flags: readonly string[]
}

export type Sizes = { readonly [P in PayloadName]?: number }

export function readRequest(command: Command, given: object): SdkRequest {
  const input = copyOf(given)
  const flags: string[] = []
  const context = contextIn(input)
  if (context?.isWhole === false) flags.push('encryption_context_partial')
  if (fieldOf(input, 'DryRun') === true) flags.push('dry_run')
  return {
    input,
    key: textOf(input, command.asked ?? 'KeyId'),
    encryptionContext: context?.pairs,
    sizes: sizesOf(command, 'request', input),
    flags,
  }
}

/** Bytes of a payload as it goes out: the SDK takes text too, as UTF-8. */
export function sizeOf(value: unknown): number | undefined {
  if (value instanceof Uint8Array) return value.byteLength
  const length = typeof value === 'string' ? utf8Length(value) : -1
  return length < 0 ? undefined : length
}

/** Of the payloads that one side of the command has, by their names in the entry. */
export function sizesOf(command: Command, side: SizeRule['of'], fields: object | undefined): Sizes {
  const sizes: { [P in PayloadName]?: number } = {}
  for (const { of, field, as } of command.sizes ?? []) {
    const size = of === side ? sizeOf(fieldOf(fields, field)) : undefined
    if (size !== undefined) sizes[as] = size
  }
  return sizes
}

/** A plain object's copy, each field read once, its encryption context too; anything else goes on as it is. */
function copyOf(given: object): object {
  try {
    if (!isPlain(given)) return given
    const copy: Record<string, unknown> = { ...given }
    for (const name of contextFields) {
      const pairs = copy[name]
      if (isPlain(pairs)) copy[name] = { ...pairs }
    }
    return copy
  } catch {
    // A getter or proxy of the application's failed: the SDK is to meet it as it would without us.
    return given
  }
}

const contextFields = ['EncryptionContext', 'SourceEncryptionContext', 'DestinationEncryptionContext'] as const

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

interface ReadContext {
  readonly pairs: EncryptionContext | undefined
  readonly isWhole: boolean
}

/** The pairs that are well-formed text; undefined where there are none to read. */
function contextIn(input: object): ReadContext | undefined {
  const value = fieldOf(input, 'EncryptionContext') ?? fieldOf(input, 'SourceEncryptionContext')
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'object') return { pairs: undefined, isWhole: false }
  try {
    const pairs = Object.entries(value)
    const texts = pairs.filter((pair): pair is [string, string] => pair.every(isText))
    return { pairs: texts.length === 0 ? undefined : Object.fromEntries(texts), isWhole: texts.length === pairs.length }
  } catch {
    return { pairs: undefined, isWhole: false }
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && utf8Length(value) >= 0
}
