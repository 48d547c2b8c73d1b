/** AWS KMS as the operations see it: a command in, a checked answer or a `KmsError` out, with what the entry tells of it. */
import type { Clock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import type { Signal } from '../../model/host.ts'
import type { ProviderTrace } from '../../model/operation.ts'
import { type Answer, answerOf } from './answer.ts'
import { failureOf } from './failure.ts'
import { type Attempts, type AwsKmsClient, type CommandInputs, type CommandName, send } from './sdk.ts'

export interface Asking {
  readonly signal?: Signal | undefined
  /** `retried` unless said. */
  readonly attempts?: Attempts
  /** Whether it changes anything. */
  readonly changes?: boolean
  /** The error that is an answer: not valid. */
  readonly no?: string
  /** A ciphertext is opened. */
  readonly opens?: boolean
}

export interface Service {
  ask<N extends CommandName>(command: N, input: CommandInputs[N], asking?: Asking): Promise<Answer>
  /** All pages of a list that `member` holds. */
  askAll<N extends ListName>(command: N, input: CommandInputs[N], member: string, signal?: Signal): Promise<Answer[]>
}

type ListName = 'ListAliases' | 'ListKeyRotations' | 'ListKeys' | 'ListResourceTags'

/** More pages than any account has: a service that never ends must not keep us for ever. */
const mostPages = 10_000

export function awsService(client: AwsKmsClient, clock: Clock): Service {
  async function ask<N extends CommandName>(
    command: N,
    input: CommandInputs[N],
    { signal, attempts = 'retried', changes = false, no, opens = false }: Asking = {},
  ): Promise<Answer> {
    if (signal?.aborted) throw new KmsError('ABORTED', 'the call was aborted before the request was sent')
    const begun = clock.monotonic()
    const traceOf = (of: unknown) => trace(of, attempts, clock.monotonic() - begun)
    let output: unknown
    try {
      output = await send(client, { name: command, input, attempts, signal })
    } catch (thrown) {
      const facts = { command, trace: traceOf(thrown), changes }
      if (no !== undefined && named(thrown, no)) return answerOf({}, { ...facts, isNo: true })
      throw failureOf(thrown, { ...facts, attempts, opens })
    }
    return answerOf(output, { command, trace: traceOf(output), changes })
  }

  return {
    ask,
    async askAll(command, input, member, signal) {
      const all: Answer[] = []
      let marker: string | undefined
      for (let page = 0; page < mostPages; page++) {
        const next = marker === undefined ? input : { ...input, Marker: marker }
        const answer = await ask(command, next, { signal })
        all.push(...answer.parts(member))
        if (answer.optionalFlag('Truncated') !== true) return all
        marker = answer.text('NextMarker')
      }
      throw new KmsError('PROVIDER_UNAVAILABLE', `the pages of AWS KMS for ${command} do not end`)
    },
  }
}

function named(thrown: unknown, name: string): boolean {
  return thrown instanceof Error && thrown.name === name
}

/** From `$metadata`, which the SDK puts on outputs and errors alike. */
function trace(of: unknown, attempts: Attempts, durationMs: number): ProviderTrace {
  const metadata = typeof of === 'object' && of !== null ? Reflect.get(of, '$metadata') : undefined
  const fields: Readonly<Record<string, unknown>> = typeof metadata === 'object' && metadata !== null ? metadata : {}
  const { requestId } = fields
  // The SDK counts only where it may repeat.
  const count = attempts === 'once' ? 1 : fields['attempts']
  return {
    ...(typeof requestId === 'string' && requestId !== '' && { requestId }),
    ...(Number.isSafeInteger(count) && { attempts: Number(count) }),
    durationMs,
  }
}
