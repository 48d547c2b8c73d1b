/** The token in use: asked for once however many calls wait, replaced before its end and after a 403. */
import type { Clock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import { checkedToken, type VaultToken } from './options.ts'

/** One token; another object is another token. */
export interface HeldToken {
  /** A function, so that no inspection of this object shows it. */
  readonly text: () => string
}

export interface TokenSource {
  current(): Promise<HeldToken>
  /** The token to go on with after `refused` met a 403; undefined if there is none better. */
  renewed(refused: HeldToken): Promise<HeldToken | undefined>
}

export interface TokenOptions {
  readonly token: string | (() => VaultToken | Promise<VaultToken>)
  /** For one call of the callback. */
  readonly timeoutMs: number
  readonly clock: Clock
}

/** A 403 may also be a policy's word, which no new token changes: callers who meet it all the time must not make a login of each. */
const leastBetweenRenewals = 5_000
/** Of a token's life, after which it is replaced. */
const used = 0.9

export function tokenSource({ token, timeoutMs, clock }: TokenOptions): TokenSource {
  if (typeof token === 'string') {
    const held = hold(token)
    return { current: async () => held, renewed: async () => undefined }
  }
  const callback = token
  let held: HeldToken | undefined
  let endsAt = Number.POSITIVE_INFINITY
  let renewedAt = Number.NEGATIVE_INFINITY
  let asking: Promise<HeldToken> | undefined

  function ask(): Promise<HeldToken> {
    asking ??= given().finally(() => {
      asking = undefined
    })
    return asking
  }

  async function given(): Promise<HeldToken> {
    const answer = await inTime(callback, timeoutMs, clock)
    // A callback of an application may answer anything.
    const { token: text, ttlMs } = typeof answer === 'object' && answer !== null ? answer : { token: answer }
    const next = hold(usable(text))
    endsAt = typeof ttlMs === 'number' && ttlMs > 0 ? clock.monotonic() + used * ttlMs : Number.POSITIVE_INFINITY
    held = next
    return next
  }

  return {
    async current() {
      return held !== undefined && clock.monotonic() < endsAt ? held : ask()
    },
    async renewed(refused) {
      if (asking !== undefined) return asking
      // Another call has replaced it meanwhile.
      if (held !== undefined && held !== refused) return held
      if (clock.monotonic() - renewedAt < leastBetweenRenewals) return undefined
      renewedAt = clock.monotonic()
      return ask()
    },
  }
}

function hold(text: string): HeldToken {
  return { text: () => text }
}

function usable(text: unknown): string {
  try {
    return checkedToken(text)
  } catch (error) {
    throw new KmsError('ACCESS_DENIED', 'the token callback gave no usable token', { cause: error })
  }
}

function inTime(callback: () => VaultToken | Promise<VaultToken>, ms: number, clock: Clock): Promise<VaultToken> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new KmsError('PROVIDER_UNAVAILABLE', `the token callback gave nothing within ${ms} ms`))
    const cancel = clock.after(ms, late)
    const failed = (cause: unknown) => {
      cancel()
      reject(new KmsError('PROVIDER_UNAVAILABLE', 'the token callback failed', { cause }))
    }
    Promise.resolve()
      .then(callback)
      .then((answer) => {
        cancel()
        resolve(answer)
      }, failed)
  })
}
