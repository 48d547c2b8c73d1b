/** Many calls at once through one client, and what became of each. */
import type { KmsClient } from '../../src/client.ts'
import type { Clock } from '../../src/model/clock.ts'
import { KmsError } from '../../src/model/errors.ts'
import { operations } from '../../src/model/operation.ts'
import type { Chance } from './chance.ts'

export interface Call {
  /** Stands in each of its entries as `context.requestId`. */
  readonly requestId: string
  readonly action: string
  /** Monotonic clock, ms. */
  readonly beganAt: number
  settledAt?: number
  /** Of its entry: given with the result, or with the error. */
  eventID?: string
  released?: true
  error?: KmsError
}

export interface Storm {
  readonly calls: Call[]
  /** One call more. */
  one(): Promise<void>
  /** Begins `count` calls at once; resolves when they and all that began meanwhile have settled. */
  blow(count: number): Promise<void>
}

export interface StormOptions {
  readonly kms: KmsClient
  readonly clock: Clock
  readonly chance: Chance
  /** At the very moment a result leaves. */
  readonly onRelease?: (call: Call) => void
}

/** Makes the keys, so it needs an audit in good order. */
export async function openStorm({ kms, clock, chance, onRelease }: StormOptions): Promise<Storm> {
  await kms.createKey({ slug: 'seal', exportAllowed: true })
  await kms.createKey({ slug: 'sign', keyType: 'ed25519' })
  await kms.createKey({ slug: 'mac', keyType: 'hmac-sha256' })
  await kms.createKey({ slug: 'switch' })
  const input = new Uint8Array(100).fill(7)
  const { ciphertext } = await kms.encrypt({ key: 'seal', plaintext: input })
  const { signature } = await kms.sign({ key: 'sign', input })
  const { hmac } = await kms.hmac({ key: 'mac', input })
  const calls: Call[] = []
  const running = new Set<Promise<void>>()
  let created = 0

  type Options = { readonly context: { readonly requestId: string } }
  type Work = readonly [action: keyof typeof operations, run: (options: Options) => Promise<{ eventID: string }>]
  const often: readonly Work[] = [
    ['encrypt', (o) => kms.encrypt({ key: 'seal', plaintext: input }, o)],
    ['decrypt', (o) => kms.decrypt({ key: 'seal', ciphertext }, o)],
    ['sign', (o) => kms.sign({ key: 'sign', input }, o)],
    ['verify', (o) => kms.call('verify', { key: 'sign', input, signature }, o)],
    ['hmac', (o) => kms.hmac({ key: 'mac', input }, o)],
    ['verifyHmac', (o) => kms.call('verifyHmac', { key: 'mac', input, hmac }, o)],
    ['listKeys', (o) => kms.listKeys({}, o)],
  ]
  const changes: readonly Work[] = [
    ['rotate', (o) => kms.rotate({ key: 'seal' }, o)],
    ['export', (o) => kms.export({ key: 'seal' }, o)],
    ['createKey', (o) => kms.createKey({ slug: `made-${created++}` }, o)],
    ['disableKey', (o) => kms.disableKey({ key: 'switch' }, o)],
    ['enableKey', (o) => kms.enableKey({ key: 'switch' }, o)],
  ]
  const refused: readonly Work[] = [
    ['encrypt', (o) => kms.encrypt({ key: 'nowhere', plaintext: input }, o)],
    ['encrypt', (o) => kms.encrypt({ key: 'seal', plaintext: new Uint8Array() }, o)],
    ['decrypt', (o) => kms.decrypt({ key: 'seal', ciphertext: input }, o)],
    ['sign', (o) => kms.sign({ key: 'mac', input }, o)],
    ['export', (o) => kms.export({ key: 'sign' }, o)],
    ['createKey', (o) => kms.createKey({ slug: 'seal' }, o)],
  ]

  function one(): Promise<void> {
    const call = made().finally(() => running.delete(call))
    running.add(call)
    return call
  }

  async function made(): Promise<void> {
    const dice = chance.next()
    const [operation, run] = chance.pick(dice < 0.7 ? often : dice < 0.9 ? changes : refused)
    const { action } = operations[operation]
    const call: Call = { requestId: `call-${calls.length}`, action, beganAt: clock.monotonic() }
    calls.push(call)
    try {
      const { eventID } = await run({ context: { requestId: call.requestId } })
      call.eventID = eventID
      call.released = true
      onRelease?.(call)
    } catch (error) {
      if (!(error instanceof KmsError)) throw error
      call.error = error
      if (error.eventID !== undefined) call.eventID = error.eventID
    }
    call.settledAt = clock.monotonic()
  }

  return {
    calls,
    one,
    async blow(count) {
      for (let at = 0; at < count; at++) one()
      while (running.size > 0) await Promise.all(running)
    },
  }
}
