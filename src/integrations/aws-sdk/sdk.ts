/**
 * What is used of the AWS SDK, structurally: every `KMSClient` and `KMS` of `@aws-sdk/client-kms` since 3.500 has this
 * shape, and the package itself is never named.
 */

/** A `KMSClient`, or the aggregated `KMS`. */
export interface AwsKmsClient {
  readonly config: object
  readonly middlewareStack: SdkStack
}

export interface SdkStack {
  add(middleware: SdkMiddleware, options: SdkPlace<'serialize', 'high'>): void
  add(middleware: SdkInnermost, options: SdkPlace<'deserialize', 'low'>): void
  remove(name: string): boolean
}

export interface SdkPlace<Step, Priority> {
  readonly name: string
  readonly step: Step
  readonly priority: Priority
}

export type SdkMiddleware = (next: SdkHandler, context: SdkContext) => SdkHandler
export type SdkHandler = (args: SdkArguments) => Promise<SdkResult>

export interface SdkContext {
  /** Such as `EncryptCommand`. */
  readonly commandName?: string
}

export interface SdkArguments {
  input: object
  request?: unknown
}

export interface SdkResult {
  response: unknown
  output: object
}

/** Next to the network: one call is one request, and its answer is not read yet. */
export type SdkInnermost = (next: SdkExchange) => SdkExchange
export type SdkExchange = (args: { input: object; request: unknown }) => Promise<{ response: unknown; output?: object }>

/** A field of whatever it is; undefined where looking at it fails. */
export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  try {
    return (value as Readonly<Record<string, unknown>>)[name]
  } catch {
    // A getter or proxy of the application's failed: the entry does without, and the SDK will meet it too.
    return undefined
  }
}

export function textOf(value: unknown, name: string): string | undefined {
  const text = fieldOf(value, name)
  return typeof text === 'string' && text.length > 0 ? text : undefined
}

/** A whole number from 0. */
export function countOf(value: unknown, name: string): number | undefined {
  const count = fieldOf(value, name)
  return Number.isSafeInteger(count) && Number(count) >= 0 ? Number(count) : undefined
}
