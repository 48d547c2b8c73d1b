/**
 * @node A local HTTP server that is AWS KMS as far as its model and documentation go: AWS JSON 1.1, signatures checked, real
 * cryptography, every request and every answer held against AWS's own Smithy model. It shares no code and no table with
 * the provider.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { aliasOperations } from './alias-operations.ts'
import { cryptoOperations } from './crypto-operations.ts'
import { type Fault, type FaultPlan, faults } from './faults.ts'
import { grantOperations } from './grant-operations.ts'
import { keyOperations } from './key-operations.ts'
import { keyStore, type ServiceKey } from './keys.ts'
import { kmsModel, type Violation } from './model.ts'
import { type AnswerBody, type Handler, requestBody } from './operation.ts'
import { refusal, refusalName } from './refusal.ts'
import { rotations } from './rotation.ts'
import { type Credentials, checkSignature } from './sigv4.ts'

export interface EndpointOptions {
  readonly region?: string
  readonly credentials?: Credentials
  /** `by-hand`: a rotation on demand is under way until `completeRotations`, as AWS's are for a while. */
  readonly rotation?: 'at-once' | 'by-hand'
  /** HTTP statuses of errors: the model's (404, 409 …), or 400 for every client error, as the documentation has them. */
  readonly statuses?: 'model' | 'documented'
  readonly now?: () => number
}

/** A request that arrived, and what came of it. */
export interface SeenRequest {
  readonly operation: string
  readonly input: Readonly<Record<string, unknown>>
  readonly requestId: string
  readonly status: number | undefined
  /** Name of the error answered. */
  readonly error: string | undefined
  /** Whether the operation ran to its end, whatever the caller heard. */
  readonly done: boolean
}

export interface KmsEndpoint {
  readonly url: string
  readonly region: string
  readonly account: string
  readonly credentials: Credentials
  /** In the order in which they were answered. Holds what was sent: for tests alone. */
  readonly requests: readonly SeenRequest[]
  /** How often an operation was asked for. */
  count(operation: string): number
  /** The next request, or the next so many, go wrong. */
  fault(plan: FaultPlan): void
  clearFaults(): void
  /** From now on the caller may not do these; `permit` takes it back. */
  deny(...operations: readonly string[]): void
  permit(...operations: readonly string[]): void
  completeRotations(): void
  /** A rotation that AWS does by itself. */
  rotateAutomatically(keyId: string): void
  /** The key as the service has it. */
  key(name: string): ServiceKey
  /** Requests that broke the model, and answers of ours that would have. */
  readonly violations: readonly string[]
  /** Throws if a request or an answer broke the model, so that no test passes over it. */
  close(): Promise<void>
}

/** Needs `../shared`. */
export async function startKmsEndpoint(options: EndpointOptions = {}): Promise<KmsEndpoint> {
  const { region = 'eu-west-1', rotation = 'at-once', statuses = 'model', now = Date.now } = options
  const credentials = options.credentials ?? {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  }
  const account = '111122223333'
  const model = kmsModel()
  const store = keyStore(account, region, now)
  const rotating = rotations(store, now, rotation)
  const planned = faults()
  const denied = new Set<string>()
  const requests: SeenRequest[] = []
  const violations: string[] = []
  const handlers: Readonly<Record<string, Handler>> = {
    ...cryptoOperations(store),
    ...keyOperations(store, now),
    ...aliasOperations(store, now),
    ...grantOperations(store, now),
    ...rotating.operations,
  }

  /** The answer as JSON has it, or a refusal. */
  async function answer(operation: string, input: Readonly<Record<string, unknown>>): Promise<string | undefined> {
    if (denied.has(operation))
      throw refusal(
        'AccessDeniedException',
        `User: arn:aws:iam::${account}:user/tester is not authorized to perform: kms:${operation} on resource: ${String(input['KeyId'] ?? '*')} because no identity-based policy allows the kms:${operation} action`,
      )
    const handler = handlers[operation]
    if (handler === undefined || !model.operations.includes(operation))
      throw refusal('UnknownOperationException', `no operation ${operation} here`)
    const broken = model.violations(model.shapeOf(operation, 'input'), input)
    if (broken.length > 0) throw asRefusal(operation, broken)
    const made = await handler(requestBody(input))
    if (input['DryRun'] === true)
      throw refusal('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.')
    return encode(operation, made)
  }

  function asRefusal(operation: string, broken: readonly Violation[]): Error {
    const [first] = broken
    const text = broken.map(({ path, constraint }) => `Value at '${path}' failed to satisfy constraint: ${constraint}`)
    // What no caller's data can cause is a caller's mistake, which no test may pass over.
    if (first?.kind === 'unknown' || first?.kind === 'type') {
      violations.push(`request ${operation}: ${text.join('; ')}`)
      return refusal('SerializationException', text.join('; '))
    }
    const errors = broken.length === 1 ? '1 validation error' : `${broken.length} validation errors`
    return refusal('ValidationException', `${errors} detected: ${text.join('; ')}`)
  }

  function encode(operation: string, body: AnswerBody): string | undefined {
    const shape = model.shapeOf(operation, 'output')
    if (body === undefined) {
      if (shape !== 'smithy.api#Unit') violations.push(`answer ${operation}: nothing, and the model has ${shape}`)
      return undefined
    }
    const json = JSON.stringify(body, (_name, value) => {
      // A Buffer has been made { type, data } by the time that it gets here.
      const isBuffer =
        typeof value === 'object' && value !== null && value.type === 'Buffer' && Array.isArray(value.data)
      return isBuffer ? Buffer.from(value.data).toString('base64') : value
    })
    const broken = model.violations(shape, JSON.parse(json))
    for (const { path, constraint } of broken) violations.push(`answer ${operation}: ${path}: ${constraint}`)
    if (broken.length > 0) throw refusal('KMSInternalException', 'the endpoint broke the model')
    return json
  }

  function statusOf(name: string, operation: string): number {
    if (protocolErrors[name] !== undefined) return protocolErrors[name]
    const status = model.errorStatus(name)
    if (status === undefined || (handlers[operation] !== undefined && !model.mayFailWith(operation, name)))
      violations.push(`error ${operation}: the model does not have ${name} there`)
    return statuses === 'documented' && (status ?? 0) < 500 ? 400 : (status ?? 400)
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const requestId = randomUUID()
    const [, operation = ''] = /^TrentService\.(\w+)$/.exec(String(request.headers['x-amz-target'] ?? '')) ?? []
    let input: Readonly<Record<string, unknown>> = {}
    let seenAt = -1

    function see(status: number | undefined, error: string | undefined, done: boolean): void {
      const seen = { operation, input, requestId, status, error, done }
      if (seenAt < 0) seenAt = requests.push(seen) - 1
      else requests[seenAt] = seen
    }
    function respond(status: number, text: string | undefined, error?: string): void {
      response.writeHead(status, {
        'x-amzn-requestid': requestId,
        'content-type': 'application/x-amz-json-1.1',
        ...(text === undefined && { 'content-length': '0' }),
      })
      response.end(text)
      see(status, error, seenAt >= 0 ? (requests[seenAt]?.done ?? false) : error === undefined)
    }
    function refuse(name: string, message: string, status = statusOf(name, operation)): void {
      respond(status, JSON.stringify({ __type: name, ...(message !== '' && { message }) }), name)
    }

    const fault = planned.take(operation)
    if (fault?.kind === 'cut' && fault.when === 'before') {
      see(undefined, undefined, false)
      return void request.socket.destroy()
    }
    if (fault?.kind === 'error') {
      const { name, message = '', status = protocolErrors[name] ?? model.errorStatus(name) ?? 400 } = fault
      return refuse(name, message, status)
    }
    try {
      if (request.method !== 'POST' || request.headers['content-type'] !== 'application/x-amz-json-1.1')
        throw refusal('UnknownOperationException', 'AWS JSON 1.1 is spoken here')
      const { method, url = '/', headers } = request
      checkSignature({ method, url, headers, body }, credentials, region, now())
      input = parse(body)
      const text = await answer(operation, input)
      see(undefined, undefined, true)
      await answerWith(fault, text, respond, request)
    } catch (error) {
      const name = refusalName(error)
      if (name === undefined) violations.push(`the endpoint failed: ${String(error)}`)
      refuse(name ?? 'KMSInternalException', name !== undefined && error instanceof Error ? error.message : '')
    }
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      violations.push(`the endpoint failed: ${String(error)}`)
      request.socket.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A test that failed before it closed this must not hang.
  server.unref()
  const { port } = server.address() as AddressInfo

  return {
    url: `http://127.0.0.1:${port}`,
    region,
    account,
    credentials,
    requests,
    violations,
    count: (operation) => requests.filter((seen) => seen.operation === operation).length,
    fault: planned.add,
    clearFaults: planned.clear,
    deny(...operations) {
      for (const operation of operations) denied.add(operation)
    },
    permit(...operations) {
      for (const operation of operations) denied.delete(operation)
    },
    completeRotations: rotating.complete,
    rotateAutomatically: (keyId) => rotating.automatic(store.find(keyId)),
    key: store.find,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      if (violations.length > 0) throw new Error(`the model was broken:\n${violations.join('\n')}`)
    },
  }
}

/** Errors of AWS as a whole, which the model of one service does not have. */
const protocolErrors: Readonly<Record<string, number>> = {
  AccessDeniedException: 400,
  IncompleteSignatureException: 400,
  InvalidSignatureException: 400,
  MissingAuthenticationTokenException: 400,
  NotAuthorizedException: 400,
  SerializationException: 400,
  ThrottlingException: 400,
  UnknownOperationException: 400,
  UnrecognizedClientException: 400,
  ValidationException: 400,
}

type Respond = (status: number, text: string | undefined) => void

/** The operation is done; what the caller hears of it. */
async function answerWith(
  fault: Fault | undefined,
  text: string | undefined,
  respond: Respond,
  request: IncomingMessage,
): Promise<void> {
  switch (fault?.kind) {
    case 'cut':
      return void request.socket.destroy()
    case 'slow':
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, fault.ms)
        request.socket.once('close', () => {
          clearTimeout(timer)
          resolve()
        })
      })
      return respond(200, text)
    case 'body':
      return respond(fault.status ?? 200, fault.body)
    case 'change':
      return respond(200, JSON.stringify(fault.change(JSON.parse(text ?? '{}') as Record<string, unknown>)))
    default:
      return respond(200, text)
  }
}

function parse(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>
  } catch {
    throw refusal('SerializationException', 'the body is no JSON')
  }
  throw refusal('SerializationException', 'the body is no JSON object')
}
