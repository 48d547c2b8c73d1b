/** Connecting a thread to the token and logging in: one at a time, and never again after the token has refused the PIN. */
import { KmsError } from '../../model/errors.ts'
import { ckf } from './constants.ts'
import { failureError, isPinRefused } from './failure.ts'
import type { Connected, Job, Jobs, TokenChoice } from './protocol.ts'
import type { Thread } from './thread.ts'

export interface LoginOptions {
  readonly module: string
  readonly choice: TokenChoice
  readonly pin: () => string | Promise<string>
  /** A thread has initialized the module: what was known of its sessions and objects is void. */
  readonly onInitialized: () => void
}

/** Connects `thread`; `first` if somebody opens the token now, `again` if it happens by itself. Rejects with the refusal. */
export type Connect = (thread: Thread, time: 'first' | 'again') => Promise<Connected>

export function connecting({ module, choice, pin, onInitialized }: LoginOptions): Connect {
  let logins: Promise<unknown> = Promise.resolve()
  /** Why nobody logs in again. */
  let refused: KmsError | undefined

  async function login(thread: Thread, { token }: Connected, time: 'first' | 'again'): Promise<void> {
    if (refused !== undefined) throw refused
    // One more wrong PIN locks the token: that is for somebody to decide who opens it.
    if (time === 'again' && (token.flags & ckf.USER_PIN_FINAL_TRY) !== 0) {
      const message = 'one PIN try is left on the token: it is not used up without being asked, open it again'
      refused = new KmsError('ACCESS_DENIED', message)
      throw refused
    }
    const reply = await thread.ask('login', { pin: await given(pin) })
    if (reply === 'gone') throw goneError(thread)
    if (!('failure' in reply)) return
    const error = failureError(reply.failure)
    if (isPinRefused(reply.failure)) refused = error
    throw error
  }

  return async (thread, time) => {
    if (refused !== undefined) throw refused
    const { initialized } = await demand(thread, 'load', { module })
    if (initialized) onInitialized()
    const connected = await demand(thread, 'connect', { choice })
    if (connected.loggedIn) return connected
    const done = logins.then(() => login(thread, connected, time))
    logins = done.catch(() => undefined)
    await done
    return connected
  }
}

async function demand<J extends Job>(thread: Thread, job: J, input: Jobs[J]['input']): Promise<Jobs[J]['output']> {
  const reply = await thread.ask(job, input)
  if (reply === 'gone') throw goneError(thread)
  if ('failure' in reply) throw failureError(reply.failure)
  // The thread answers a job with its own output.
  return reply.output as Jobs[J]['output']
}

async function given(pin: LoginOptions['pin']): Promise<string> {
  let found: unknown
  try {
    found = await pin()
  } catch (cause) {
    throw new KmsError('ACCESS_DENIED', "'pin' gave no PIN, but failed", { cause })
  }
  if (typeof found !== 'string' || found === '') throw new KmsError('ACCESS_DENIED', "'pin' gave no PIN")
  return found
}

export function goneError({ error }: Thread, evidence: { readonly unsettled?: true } = {}): KmsError {
  const message = 'the thread that talks to the PKCS#11 module has ended in the middle of a call'
  return new KmsError('PROVIDER_UNAVAILABLE', message, { evidence, ...(error !== undefined && { cause: error }) })
}
