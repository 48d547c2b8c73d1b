/** @node AWS's own Smithy model of KMS, and what of a request, an answer or an error breaks it. */
import { sharedJson } from '../../shared.ts'

type Traits = Readonly<Record<string, unknown>>
interface Member {
  readonly target: string
  readonly traits?: Traits
}
interface Shape {
  readonly type: string
  readonly members?: Readonly<Record<string, Member>>
  readonly member?: Member
  readonly key?: Member
  readonly value?: Member
  readonly input?: Member
  readonly output?: Member
  readonly errors?: readonly Member[]
  readonly traits?: Traits
}

/** A way in which a value breaks the model. */
export interface Violation {
  /** Where, in AWS's own way: `keyMetadata.keyId`. */
  readonly path: string
  readonly kind: 'type' | 'missing' | 'unknown' | 'length' | 'range' | 'pattern' | 'enum'
  readonly constraint: string
}

export interface KmsModel {
  readonly operations: readonly string[]
  /** The shape of an operation's input or output. */
  shapeOf(operation: string, direction: 'input' | 'output'): string
  /** How `value`, as JSON has it, breaks a shape. */
  violations(shape: string, value: unknown): readonly Violation[]
  /** The HTTP status that the model gives an error; undefined for one that is not in it. */
  errorStatus(name: string): number | undefined
  /** Whether the model says that the operation may end in the error. */
  mayFailWith(operation: string, error: string): boolean
  /** Member names of a structure. */
  membersOf(shape: string): readonly string[]
  requiredOf(shape: string): readonly string[]
  typeOf(shape: string): string
  /** The shape of a member, and of the items of a list; `smithy.api#Unit` where there is none. */
  memberOf(shape: string, member: string): string
  itemOf(shape: string): string
}

export function kmsModel(): KmsModel {
  const { shapes } = sharedJson<{ shapes: Readonly<Record<string, Shape>> }>(
    'schemas/aws-kms-2014-11-01.smithy.trimmed.json',
  )
  const full = (name: string) => (name.includes('#') ? name : `com.amazonaws.kms#${name}`)

  function find(name: string): Shape {
    const shape = shapes[full(name)]
    if (shape !== undefined) return shape
    if (full(name) === 'smithy.api#Unit') return { type: 'structure', members: {} }
    throw new Error(`the model has no shape ${name}`)
  }

  function check(name: string, value: unknown, path: string, found: Violation[]): void {
    const shape = find(name)
    const say = (kind: Violation['kind'], constraint: string) => found.push({ path, kind, constraint })
    switch (shape.type) {
      case 'structure':
        checkStructure(shape, value, path, found)
        return
      case 'list': {
        if (!Array.isArray(value)) {
          say('type', 'a list')
          return
        }
        checkLength(shape, value.length, say)
        const of = shape.member?.target ?? ''
        for (const [at, item] of value.entries()) check(of, item, `${path}.${at + 1}.member`, found)
        return
      }
      case 'map': {
        if (!isObject(value)) {
          say('type', 'a map')
          return
        }
        for (const [key, item] of Object.entries(value)) {
          check(shape.key?.target ?? '', key, `${path}.key`, found)
          check(shape.value?.target ?? '', item, `${path}.${key}`, found)
        }
        return
      }
      case 'string':
        if (typeof value !== 'string') {
          say('type', 'a string')
          return
        }
        checkLength(shape, [...value].length, say)
        checkPattern(shape, value, say)
        return
      case 'enum': {
        if (typeof value !== 'string') {
          say('type', 'a string')
          return
        }
        const values = Object.values(shape.members ?? {}).map(({ traits }) => traits?.['smithy.api#enumValue'])
        if (!values.includes(value)) say('enum', `Member must satisfy enum value set: [${values.join(', ')}]`)
        return
      }
      case 'blob': {
        const isBase64 = typeof value === 'string' && Buffer.from(value, 'base64').toString('base64') === value
        if (!isBase64) {
          say('type', 'base64')
          return
        }
        checkLength(shape, Buffer.from(value, 'base64').length, say)
        return
      }
      case 'integer': {
        if (!Number.isInteger(value)) {
          say('type', 'an integer')
          return
        }
        const range = shape.traits?.['smithy.api#range'] as { min?: number; max?: number } | undefined
        const number = Number(value)
        if (range?.min !== undefined && number < range.min)
          say('range', `Member must have value greater than or equal to ${range.min}`)
        if (range?.max !== undefined && number > range.max)
          say('range', `Member must have value less than or equal to ${range.max}`)
        return
      }
      case 'boolean':
        if (typeof value !== 'boolean') say('type', 'a boolean')
        return
      case 'timestamp':
        // AWS JSON 1.1 has epoch seconds.
        if (typeof value !== 'number' || !Number.isFinite(value)) say('type', 'a number of seconds')
        return
      default:
        throw new Error(`a shape of type ${shape.type} was not thought of`)
    }
  }

  function checkStructure(shape: Shape, value: unknown, path: string, found: Violation[]): void {
    if (!isObject(value)) {
      found.push({ path, kind: 'type', constraint: 'a structure' })
      return
    }
    const members = shape.members ?? {}
    for (const [name, { target, traits }] of Object.entries(members)) {
      const at = path === '' ? lowerFirst(name) : `${path}.${lowerFirst(name)}`
      if (value[name] !== undefined && value[name] !== null) check(target, value[name], at, found)
      else if (value[name] === null) found.push({ path: at, kind: 'type', constraint: 'not null' })
      else if (traits?.['smithy.api#required'] !== undefined)
        found.push({ path: at, kind: 'missing', constraint: 'Member must not be null' })
    }
    for (const name of Object.keys(value))
      if (!Object.hasOwn(members, name))
        found.push({ path: path === '' ? name : `${path}.${name}`, kind: 'unknown', constraint: 'no such member' })
  }

  const operationOf = (operation: string): Shape => {
    const shape = find(operation)
    if (shape.type !== 'operation') throw new Error(`${operation} is no operation`)
    return shape
  }

  return {
    operations: Object.entries(shapes)
      .filter(([, { type }]) => type === 'operation')
      .map(([name]) => shortOf(name)),
    shapeOf: (operation, direction) => operationOf(operation)[direction]?.target ?? 'smithy.api#Unit',
    violations(shape, value) {
      const found: Violation[] = []
      check(shape, value, '', found)
      return found
    },
    errorStatus(name) {
      const status = shapes[full(name)]?.traits?.['smithy.api#httpError']
      return typeof status === 'number' ? status : undefined
    },
    mayFailWith: (operation, error) =>
      (operationOf(operation).errors ?? []).some(({ target }) => shortOf(target) === error),
    membersOf: (shape) => Object.keys(find(shape).members ?? {}),
    requiredOf: (shape) =>
      Object.entries(find(shape).members ?? {})
        .filter(([, { traits }]) => traits?.['smithy.api#required'] !== undefined)
        .map(([name]) => name),
    typeOf: (shape) => find(shape).type,
    memberOf: (shape, member) => find(shape).members?.[member]?.target ?? 'smithy.api#Unit',
    itemOf: (shape) => find(shape).member?.target ?? 'smithy.api#Unit',
  }
}

type Say = (kind: Violation['kind'], constraint: string) => void

function checkLength(shape: Shape, length: number, say: Say): void {
  const bounds = shape.traits?.['smithy.api#length'] as { min?: number; max?: number } | undefined
  if (bounds?.min !== undefined && length < bounds.min)
    say('length', `Member must have length greater than or equal to ${bounds.min}`)
  if (bounds?.max !== undefined && length > bounds.max)
    say('length', `Member must have length less than or equal to ${bounds.max}`)
}

function checkPattern(shape: Shape, value: string, say: Say): void {
  const pattern = shape.traits?.['smithy.api#pattern']
  if (typeof pattern === 'string' && !new RegExp(pattern).test(value))
    say('pattern', `Member must satisfy regular expression pattern: ${pattern}`)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function lowerFirst(name: string): string {
  return `${name.charAt(0).toLowerCase()}${name.slice(1)}`
}

function shortOf(name: string): string {
  return name.slice(name.indexOf('#') + 1)
}
