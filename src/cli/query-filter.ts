/** What of a trail is asked for on a command line: options become a filter. */
import type { Outcome, Phase } from '../model/entry.ts'
import { KmsError } from '../model/errors.ts'
import { prepareFilter, type SizeBound, type TrailFilter } from '../trail/reading/filter.ts'
import { momentOf } from './audit.ts'
import { type CommandLine, usageError } from './command.ts'
import type { OptionName } from './options.ts'

/** Of every verb that takes a filter. */
export const filterOptions: readonly OptionName[] = [
  'action',
  'key',
  'key-type',
  'key-version',
  'actor',
  'source',
  'origin',
  'region',
  'project',
  'outcome',
  'status',
  'error',
  'valid',
  'phase',
  'size',
  'since',
  'until',
  'event',
  'operation',
  'limit',
]

/** Throws a usage error for a value that no entry can have. */
export function filterOf(line: CommandLine): TrailFilter {
  const given = {
    action: someOf(line.list('action')),
    key: line.text('key'),
    keyType: someOf(line.list('key-type')),
    keyVersion: line.count('key-version'),
    actor: line.text('actor'),
    source: someOf(line.list('source')),
    origin: someOf(line.list('origin')),
    region: line.text('region'),
    project: line.text('project'),
    outcome: oneOf(line, 'outcome', outcomes),
    statusCode: line.count('status'),
    error: someOf(line.list('error')),
    valid: yesOrNo(line),
    phase: oneOf(line, 'phase', phases),
    ...sizesOf(line.list('size')),
    from: momentOf(line, 'since'),
    to: momentOf(line, 'until'),
    eventID: line.text('event'),
    operationID: line.text('operation'),
    limit: line.count('limit'),
  }
  const filter = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  try {
    prepareFilter(filter)
  } catch (error) {
    throw error instanceof KmsError ? usageError(error.message) : error
  }
  return filter
}

const outcomes: readonly Outcome[] = ['success', 'failure', 'pending', 'unknown']
const phases: readonly Phase[] = ['intent', 'result', 'amendment']

function someOf(values: readonly string[]): readonly string[] | undefined {
  return values.length === 0 ? undefined : values
}

function oneOf<T extends string>(line: CommandLine, option: 'outcome' | 'phase', known: readonly T[]): T | undefined {
  const text = line.text(option)
  const found = known.find((name) => name === text)
  if (text !== undefined && found === undefined)
    throw usageError(`option '--${option}' takes one of ${known.join(', ')}`)
  return found
}

function yesOrNo(line: CommandLine): boolean | undefined {
  const text = line.text('valid')
  if (text === undefined) return undefined
  if (text !== 'yes' && text !== 'no') throw usageError("option '--valid' takes yes or no")
  return text === 'yes'
}

interface Sizes {
  readonly minSize?: SizeBound
  readonly maxSize?: SizeBound
}

/** `plaintext>1000`, `>=1000`: the tightest of each. */
function sizesOf(texts: readonly string[]): Sizes {
  const min = new Map<string, number>()
  const max = new Map<string, number>()
  for (const text of texts) {
    const [, payload, order = '', digits = ''] = /^([a-zA-Z]*)([<>]=?|=)(\d{1,12})$/.exec(text) ?? []
    if (payload === undefined)
      throw usageError("option '--size' takes a bound such as 'plaintext>1000', '>=1000' or 'mac=32'")
    const bytes = Number(digits)
    if (order !== '<' && order !== '<=')
      min.set(payload, Math.max(min.get(payload) ?? 0, order === '>' ? bytes + 1 : bytes))
    if (order !== '>' && order !== '>=') {
      if (order === '<' && bytes === 0) throw usageError("option '--size': no payload has fewer than 0 bytes")
      const most = order === '<' ? bytes - 1 : bytes
      max.set(payload, Math.min(max.get(payload) ?? most, most))
    }
  }
  const named = new Set([...min.keys(), ...max.keys()])
  if (named.size > 1 && named.has('')) throw usageError("option '--size' names the payload in each bound, or in none")
  const [minSize, maxSize] = [boundOf(min), boundOf(max)]
  return { ...(minSize !== undefined && { minSize }), ...(maxSize !== undefined && { maxSize }) }
}

function boundOf(bounds: ReadonlyMap<string, number>): SizeBound | undefined {
  if (bounds.size === 0) return undefined
  return bounds.get('') ?? Object.fromEntries(bounds)
}
